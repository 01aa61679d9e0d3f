"""`Positions`: how far a named listener is, kept on the broker.

So one that is started again goes on there.
"""

from __future__ import annotations

from typing import Final

from trainsignal.relay import streams
from trainsignal.relay.broker import Broker
from trainsignal.remote.troubles import Troubles

_LONGEST_COUNT: Final = 19


class Positions:
    """How many durable messages of each run a listener has worked off.

    Args:
        broker: keeps them.
        name: of the listener; None: it has none, and nothing is kept.
    """

    def __init__(self, broker: Broker, name: str | None) -> None:
        self._broker = broker
        self._key = None if name is None else streams.listener(name)
        self._known: dict[str, int] = {}
        self._unsaved: set[str] = set()

    def find(self, run: str, run_id: str, troubles: Troubles) -> int:
        """Return how many durable messages of a run have been worked off, also by an earlier process.

        Args:
            run: its name, for `troubles`.
            run_id: of the run.
            troubles: told of what the broker has that is no count.

        Raises:
            RelayError: the broker is away.
        """
        if self._key is None:
            return 0
        if run_id not in self._known:
            text = self._broker.field(self._key, run_id) or b"0"
            is_count = text.isdigit() and len(text) < _LONGEST_COUNT
            if not is_count:
                troubles.note(run, "bad", f"the listener's place in it is no count: {text[:50]!r}")
            self._known[run_id] = int(text) if is_count else 0
        return self._known[run_id]

    def note(self, run_id: str, durable: int) -> None:
        """Note that so many have been worked off; `save` brings it to the broker."""
        if self._key is not None and self._known.get(run_id, 0) < durable:
            self._known[run_id] = durable
            self._unsaved.add(run_id)

    def save(self) -> None:
        """Bring what is new to the broker.

        Raises:
            RelayError: it is away; try again later.
        """
        for run_id in tuple(self._unsaved):
            assert self._key is not None
            self._broker.put(self._key, run_id, str(self._known[run_id]))
            self._unsaved.discard(run_id)

    def save_all(self) -> None:
        """Have the next `save` bring everything, for the broker may have forgotten it."""
        self._unsaved.update(run_id for run_id, durable in self._known.items() if durable)
