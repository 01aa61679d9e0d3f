"""`SignsOfLife`: tells which runs that are listed as running give no sign of life, and which are back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from trainsignal.relay.requests import RUNNING, RunEntry

_logger = logging.getLogger(__name__)

LONGEST_SILENCE_S: Final = 30.0
"""A run gives a sign of life every two seconds, as long as its process lives and reaches the broker."""


def silence_s(entry: RunEntry, now_ms: int) -> float | None:
    """Return for how many seconds a run has given no sign of life; None: it does, or it has ended.

    Args:
        entry: how it is listed.
        now_ms: time of the broker's clock, in Unix milliseconds.
    """
    silent_s = now_ms / 1000 - entry.seen_at
    return silent_s if entry.state == RUNNING and silent_s > LONGEST_SILENCE_S else None


class SignsOfLife:
    """Watches the list of runs."""

    def __init__(self) -> None:
        self._silent: set[str] = set()

    def look(self, entries: Mapping[str, RunEntry], now_ms: int) -> None:
        """Tell of each run once that it is silent, and once that it is back.

        Args:
            entries: how each run is listed, by its name.
            now_ms: time of the broker's clock, in Unix milliseconds.
        """
        for name, entry in entries.items():
            silent_s = silence_s(entry, now_ms)
            if silent_s is not None and name not in self._silent:
                self._silent.add(name)
                _logger.warning(
                    "run %r: no sign of life for %.0f s: its process may have been killed or suspended, or "
                    "be away from the broker", name, silent_s,
                )  # fmt: skip
            elif silent_s is None and name in self._silent:
                self._silent.discard(name)
                if entry.state == RUNNING:
                    _logger.info("run %r gives signs of life again", name)
