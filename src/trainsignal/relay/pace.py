"""`Pace`: how often to look at the clock so that something happens about each interval of time. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOST: Final = 64
"""Minibatches from one look to the next, at most: so many may be slow before the pace is known again."""

_LOOKS: Final = 8
"""In an interval, about."""


class Pace:
    """Says when an interval is over, and at which minibatches to ask: not each is worth a look at the clock.

    Args:
        interval_s: seconds.
        clock: seconds, monotonic.

    Attributes:
        stride: ask at each so-manieth minibatch: 1, or a power of 2 where they are fast.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float]) -> None:
        self.stride = 1
        self._interval_s = interval_s
        self._clock = clock
        self._began_s = clock()
        self._began_at = 0

    def is_over(self, minibatches: int) -> bool:
        """Return whether the interval is over; if so, begin the next one and set `stride` by the pace.

        Args:
            minibatches: done so far, over all epochs.
        """
        now_s = self._clock()
        spent_s = now_s - self._began_s
        if spent_s < self._interval_s:
            return False
        between_looks = (minibatches - self._began_at) / spent_s * self._interval_s / _LOOKS
        self.stride = min(MOST, 1 << max(0, int(between_looks).bit_length() - 1))
        self._began_s, self._began_at = now_s, minibatches
        return True
