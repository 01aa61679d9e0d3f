"""`TimeLimitCallback`: stop when the time is up."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from numbers import Real
from time import perf_counter
from typing import Any

from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.frequency import interval_seconds
from trainsignal.shared_data import SharedData


class TimeLimitCallback(Callback):
    """Stops at the first minibatch boundary at which the run has lasted as long as the limit, or longer.

    Counted from train begin in this process: a run that is resumed has the whole time again.
    """

    def __init__(self, limit: str | float | timedelta, *, clock: Callable[[], float] = perf_counter) -> None:
        """Store the limit.

        Args:
            limit: "90s", "30m", "2h", "1d", a timedelta, or seconds.
            clock: seconds, monotonic.

        Raises:
            ConfigurationError: a number that is no time, or something else.
            FrequencyError: a text that is no interval, or one not longer than nothing.
        """
        super().__init__()
        self.limit = limit
        self._limit_s = _seconds(limit)
        self._clock = clock
        self._deadline = math.inf

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        self._deadline = self._clock() + self._limit_s

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        if self._clock() >= self._deadline:
            self._deadline = math.inf  # one vote will do
            self.request_stop(f"the time limit of {self.limit} is over")

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: the clock of another process is not this one's."""
        return {}


def _seconds(limit: object) -> float:
    if isinstance(limit, (str, timedelta)):
        return interval_seconds(limit)
    seconds = math.nan if isinstance(limit, bool) or not isinstance(limit, Real) else float(limit)
    if not 0 < seconds < math.inf:
        raise ConfigurationError(
            f"limit={limit!r}: expected seconds above 0, a text such as '2h', or a timedelta"
        )
    return seconds
