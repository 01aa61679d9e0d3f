"""`RunTimerCallback`: when the run began and ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.run_link import ExitReason
from trainsignal.shared_data import SharedData


class RunTimerCallback(Callback):
    """Writes the wall-clock time of the run's begin and end; NaN where an end was not reached.

    Unlike neon's, which writes the end only after a complete run, the end of a run that was cut short is
    written too.
    """

    writes = (keys.TRAIN_START, keys.TRAIN_END)

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        """Store the clock.

        Args:
            clock: seconds since 1970-01-01 UTC.
        """
        super().__init__()
        self._clock = clock

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        for key in (keys.TRAIN_START, keys.TRAIN_END):
            callback_data.create_series(key, 1, dtype="f8", attributes={keys.UNITS: "seconds"})
        callback_data[keys.TRAIN_START][0] = self._clock()

    def on_train_end(self, callback_data: SharedData, model: Any) -> None:
        callback_data[keys.TRAIN_END][0] = self._clock()

    def on_run_closed(
        self, callback_data: SharedData, model: Any, reason: ExitReason, error: BaseException | None
    ) -> None:
        if keys.TRAIN_END in callback_data and math.isnan(callback_data[keys.TRAIN_END][0]):
            callback_data[keys.TRAIN_END][0] = self._clock()
