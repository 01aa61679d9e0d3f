"""Which minibatches are timed, and for how many others each of them stands.

Timing every call would cost more than the calls. Knows a clock and indices of minibatches, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

ALWAYS = 64
"""So many first minibatches are timed each."""

EVERY = 251
"""Afterwards one in so many is; a prime, so that it meets every phase of a frequency."""

EACH_S = 0.5
"""Where minibatches are slow, one is timed about this often (seconds), as far as the last pace tells."""


class Sampler:
    """Decides at which minibatches of one signal the clock is looked at.

    Attributes:
        next_look: the minibatch of this epoch at which to look next.
    """

    __slots__ = ("_clock", "_last", "_last_s", "_looks", "next_look")

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin before the first minibatch.

        Args:
            clock: seconds.
        """
        self._clock = clock
        self._looks = 0
        self._last = -1
        self._last_s = clock()
        self.next_look = 0

    def weight(self, minibatch: int) -> int:
        """Return for how many minibatches the time of this one stands; 0: it is not timed."""
        return max(1, minibatch - self._last) if minibatch >= self.next_look else 0

    def look(self, minibatch: int) -> None:
        """Note the time after a minibatch that was timed, and decide when to look next."""
        now_s = self._clock()
        each_s = (now_s - self._last_s) / max(1, minibatch - self._last)
        self._looks += 1
        step = 1 if self._looks < ALWAYS else min(EVERY, int(EACH_S / max(each_s, 1e-9)))
        self._last, self._last_s = minibatch, now_s
        self.next_look = minibatch + max(1, step)

    def begin_epoch(self, minibatches: int) -> None:
        """Count minibatches from 0 again, after an epoch of so many."""
        self._last -= minibatches
        self.next_look = max(0, self.next_look - minibatches)
