"""When a callback or handler fires: neon's rule for frequencies, and every / at / intervals of time.

Pure functions over 0-based indices; the only state is an interval's last firing. Knows no signal.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from numbers import Integral
from typing import TypeAlias, TypeGuard, cast

from trainsignal.errors import FrequencyError

Frequency: TypeAlias = int | Collection[int] | None
"""int n: every nth time, when `(time + 1) % n == 0`; a collection: when the time is in it; None: never."""

NEVER = sys.maxsize
"""A time that does not come."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_INTERVAL = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(_SECONDS)})\s*")


def check_frequency(value: object, name: str) -> None:
    """Refuse what is no frequency.

    Args:
        value: what was given.
        name: what it was given as, for the message.

    Raises:
        FrequencyError: not an int of at least 1, a collection of 0-based indices, or None.
    """
    if value is None:
        return
    if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
        try:
            items = list(cast("Collection[object]", value))
        except TypeError as error:  # a NumPy array of no dimension
            raise FrequencyError(f"{name}={value!r}: expected an int or a row of 0-based indices") from error
        for item in items:
            if not is_int(item) or item < 0:
                raise FrequencyError(f"{name}={value!r}: {item!r} is not a 0-based index")
    elif not is_int(value) or value < 1:
        raise FrequencyError(
            f"{name}={value!r}: expected an int of at least 1 (fires every nth time), "
            "a list of 0-based indices (fires then), or None (never fires)"
        )


def fires(frequency: Frequency, time: int) -> bool:
    """Return whether `frequency` fires at the 0-based `time`, by neon's rule."""
    if frequency is None:
        return False
    if isinstance(frequency, Collection):
        return time in frequency
    return (time + 1) % int(frequency) == 0  # a NumPy integer of 8 bits could not hold the time


def frequency_words(frequency: Frequency) -> str:
    """Return when a frequency fires: "each time", "every 3", "at [0, 2]", "never"."""
    if frequency is None:
        return "never"
    if is_int(frequency):
        return "each time" if frequency == 1 else f"every {frequency}"
    return f"at {frequency}"


def next_firing(frequency: Frequency, time: int) -> int:
    """Return the first time at or after `time` at which `frequency` fires; `NEVER` where there is none."""
    if frequency is None:
        return NEVER
    if isinstance(frequency, Collection):
        return min((int(item) for item in frequency if item >= time), default=NEVER)
    return time + (-(time + 1)) % int(frequency)


def firings(frequency: Frequency, times: int | None) -> int | None:
    """Return the rows of a series of `frequency` over `times` epochs: the list's length, or `times // n`.

    None where that is unknown, because nobody knows how many times there will be.
    """
    if isinstance(frequency, Collection):
        return len(frequency)
    if frequency is None:
        return 0
    return None if times is None else times // int(frequency)


def row_of(frequency: Frequency, time: int) -> int:
    """Return the row that belongs to `time` in a series of `frequency`.

    Raises:
        FrequencyError: the series has none, for its frequency does not fire then.
    """
    if frequency is None or not fires(frequency, time):
        raise FrequencyError(
            f"epoch {time} has no row in a series that was begun with the frequency {frequency!r}: choose, "
            "before training, one that fires whenever it will be written"
        )
    if isinstance(frequency, Collection):
        return list(frequency).index(time)
    return time // int(frequency)


def meet(first: Frequency, second: Frequency, times: int | None) -> bool:
    """Return whether both fire at one common time below `times` (None: however late)."""
    limit = NEVER if times is None else times
    if isinstance(first, Collection):
        return any(time < limit and fires(second, time) for time in first)
    if isinstance(second, Collection) or first is None or second is None:
        return second is not None and first is not None and meet(second, first, times)
    return math.lcm(int(first), int(second)) <= limit


def interval_seconds(value: str | timedelta) -> float:
    """Return the seconds in "500ms", "30s", "5m", "2h", "1d" or a timedelta.

    Raises:
        FrequencyError: the text is no such interval, or it is not longer than nothing.
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    else:
        match = _INTERVAL.fullmatch(value)
        if match is None:
            raise FrequencyError(
                f"{value!r} is no interval of time: write a number and a unit, as '500ms', '30s', '5m', '2h'"
            )
        seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds <= 0:
        raise FrequencyError(f"the interval {value!r} is not longer than nothing")
    return seconds


@dataclass(slots=True)
class Interval:
    """Fires at the first time asked after each `seconds`, counted from when it was first asked."""

    seconds: float
    clock: Callable[[], float]
    _last: float | None = field(default=None, init=False)

    def fires(self) -> bool:
        """Return whether the interval has passed since the last firing; if so, begin the next one."""
        now = self.clock()
        if self._last is None:
            self._last = now
            return False
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True


def is_int(value: object) -> TypeGuard[int]:
    """Return whether `value` counts as an integer: NumPy's do, bools do not."""
    return not isinstance(value, bool) and isinstance(value, Integral)
