"""`Positions`: how far a named listener is, kept on the broker.

So one that is started again goes on there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from trainsignal.relay import streams
from trainsignal.relay.broker import Broker
from trainsignal.remote.troubles import Troubles

_LARGEST_COUNT: Final = 10**18
_MOST_PROCESSES: Final = 100
"""Of one run; of more the first ones are forgotten, which the broker has forgotten before."""


class Positions:
    """How many durable messages of each process of each run a listener has worked off.

    Args:
        broker: keeps them.
        name: of the listener; None: it has none, and nothing is kept.
    """

    def __init__(self, broker: Broker, name: str | None) -> None:
        self._broker = broker
        self._key = None if name is None else streams.listener(name)
        self._known: dict[str, dict[str, int]] = {}
        self._unsaved: set[str] = set()

    def find(self, run: str, run_id: str, troubles: Troubles) -> Mapping[str, int]:
        """Return how many durable messages of a run have been worked off, also by an earlier listener.

        Args:
            run: its name, for `troubles`.
            run_id: of the run.
            troubles: told of what the broker has that is no such counts.

        Returns:
            {id of a process of the run: the count of its last durable message that was worked off}.

        Raises:
            RelayError: the broker is away.
        """
        if self._key is None:
            return {}
        if run_id not in self._known:
            text = self._broker.field(self._key, run_id) or b"{}"
            counts = _counts(text)
            if counts is None:
                troubles.note(run, "bad", f"the listener's place in it is no count: {text[:50]!r}")
            self._known[run_id] = counts or {}
        return dict(self._known[run_id])

    def note(self, run_id: str, process: str, durable: int) -> None:
        """Note that so many of a process have been worked off; `save` brings it to the broker."""
        if self._key is None:
            return
        counts = self._known.setdefault(run_id, {})
        if counts.get(process, 0) < durable:
            counts[process] = durable
            if len(counts) > _MOST_PROCESSES:
                del counts[next(iter(counts))]
            self._unsaved.add(run_id)

    def save(self) -> None:
        """Bring what is new to the broker.

        Raises:
            RelayError: it is away; try again later.
        """
        for run_id in tuple(self._unsaved):
            assert self._key is not None
            self._broker.put(self._key, run_id, json.dumps(self._known[run_id], separators=(",", ":")))
            self._unsaved.discard(run_id)

    def save_all(self) -> None:
        """Have the next `save` bring everything, for the broker may have forgotten it."""
        self._unsaved.update(run_id for run_id, counts in self._known.items() if counts)


def _counts(text: bytes) -> dict[str, int] | None:
    """Return the counts that a text holds; None where it holds something else."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    counts = cast("dict[str, Any]", found)
    are_counts = all(type(one) is int and 0 <= one < _LARGEST_COUNT for one in counts.values())
    return counts if are_counts else None
