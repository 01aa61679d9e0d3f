"""`SerializeModelCallback`: checkpoints at regular moments, from which a run can go on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from trainsignal import keys
from trainsignal.abilities import CanSerialize
from trainsignal.callback import Callback
from trainsignal.checkpoint import CheckpointHistory
from trainsignal.errors import FrequencyError
from trainsignal.frequency import Frequency, Interval, interval_seconds, is_int
from trainsignal.run_link import ExitReason, run_of
from trainsignal.saving import save_and_tell
from trainsignal.shared_data import SharedData


class SerializeModelCallback(Callback):
    """Saves the model and the whole run, and keeps the newest `history` checkpoints.

    Runs after everything else at its moment, handlers too, so that a run which is resumed from the checkpoint
    (`Callbacks(..., resume=True)`) has seen all of it. A run that is interrupted or preempted is saved once
    more, so that nothing of it is lost; but not over a whole checkpoint when it was cut amid a minibatch.
    """

    needs = (CanSerialize,)
    optional_reads = (keys.RUN_STATE,)
    only_first = True

    def __init__(
        self,
        save_path: str | Path,
        epoch_freq: Frequency = 1,
        history: int = 1,
        *,
        every: int | str | timedelta | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Store where and when to save.

        Args:
            save_path: its suffix chooses the format. With `history` above 1, epoch 7 is saved as
                `<stem>_7<suffix>`, 120 minibatches within it as `<stem>_7_120<suffix>`, and `save_path` is a
                link to the newest.
            epoch_freq: save every nth epoch.
            history: how many checkpoints to keep.
            every: save within epochs too: every nth minibatch, or after each interval ("30m", a timedelta).
            clock: seconds, for intervals.

        Raises:
            ConfigurationError: no format has this suffix, or `history` is no count.
            FrequencyError: `every` is no frequency and no interval.
        """
        minibatch_freq: int | None = 1
        self._interval: Interval | None = None
        if isinstance(every, (str, timedelta)):
            self._interval = Interval(interval_seconds(every), clock)
        else:
            if every is not None and (not is_int(every) or every < 1):
                raise FrequencyError(
                    f"every={every!r} (checkpoint_every of Callbacks): expected a number of minibatches, at "
                    "least 1, or an interval of time such as '30m'"
                )
            minibatch_freq = every
        super().__init__(epoch_freq, minibatch_freq)
        self.save_path = save_path
        self.history = history
        self.every = every
        self._clock = clock
        self._checkpoints = CheckpointHistory(save_path, history)  # refuses what cannot work, at once

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        run = run_of(self)
        run.claim_file(self.save_path, f"{type(self).__name__}(save_path)", self)
        self._checkpoints = CheckpointHistory(self.save_path, self.history)
        if self._interval is not None:
            self._interval = Interval(self._interval.seconds, self._clock)
            self._interval.fires()  # begins it

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        if self._interval is None or self._interval.fires():
            self._save(callback_data, model, epoch, minibatch + 1)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        self._save(callback_data, model, epoch, None)

    def on_run_closed(
        self, callback_data: SharedData, model: Any, reason: ExitReason, error: BaseException | None
    ) -> None:
        run = run_of(self)
        is_whole = (run.open_minibatch is None and not run.is_forced) or not self._checkpoints.has_any
        has_begun = run.minibatches_done > 0 and not run.is_being_restored
        if reason not in ("interrupted", "preempted") or not has_begun or not is_whole:
            return
        done = run.epoch_minibatches if run.open_minibatch is None else run.open_minibatch + 1
        self._save(callback_data, model, run.epoch, done if run.is_in_epoch else None)

    def state_dict(self) -> dict[str, Any]:
        """Return which files are this run's."""
        return {"written": self._checkpoints.written}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with the files of the earlier process, and no others."""
        start = run_of(self).resumed_from
        assert start is not None  # only a resumed run puts its callbacks back
        self._checkpoints.adopt(state["written"], start)

    def _save(self, callback_data: SharedData, model: Any, epoch: int, minibatches: int | None) -> None:
        """Save; `minibatches`: how many of the epoch are done, None where it is complete."""
        state = run_of(self).snapshot(minibatches)
        save_and_tell(self, callback_data, lambda: self._checkpoints.save(state, epoch, minibatches))
