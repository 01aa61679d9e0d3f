"""`TensorBoardCallback`: the series as scalars in TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.files import expand
from trainsignal.frequency import Frequency
from trainsignal.readings import is_per_minibatch, tracked_series, value_at_epoch_end, value_in
from trainsignal.run_link import ExitReason, run_of
from trainsignal.scalar_events import ScalarWriter, import_tensorboard, keep_events_aside
from trainsignal.shared_data import SharedData


class TensorBoardCallback(Callback):
    """Writes what the series say to a folder that TensorBoard shows, each under its key.

    The step of a point is the number of minibatches that are done, also that of what is evaluated at the end
    of an epoch. A missing value (NaN) is no point. Series of several numbers a row are left out.

    A new run moves what an earlier one left in the folder into "earlier_1", "earlier_2", which TensorBoard
    shows as runs of their own. A resumed run goes on in the folder, and what the earlier process wrote after
    the checkpoint is shown no more. An exception in the writer's thread is raised at the callback's next
    hook. Needs the extra "tensorboard".
    """

    optional_reads = (keys.EVERYTHING,)
    only_first = True

    def __init__(
        self, log_dir: str | Path, minibatch_freq: Frequency = 10, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Store where to write.

        Args:
            log_dir: folder for one run; made at train begin.
            minibatch_freq: at which minibatches the series of minibatches, such as the training cost, are
                written.
            clock: seconds since 1970-01-01 UTC; the time of a point.

        Raises:
            ConfigurationError: `log_dir` is no path, or TensorBoard is not installed.
        """
        super().__init__(minibatch_freq=minibatch_freq)
        expand(log_dir)  # refuses what is no path
        import_tensorboard()
        self.log_dir = log_dir
        self._clock = clock
        self._writer: ScalarWriter | None = None
        self._minibatch_keys: list[str] = []
        self._step = 0
        self._points: dict[str, float] = {}

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        run = run_of(self)
        folder = expand(self.log_dir).absolute()  # wherever the process goes later
        run.claim_file(folder, f"{type(self).__name__}(log_dir)", self)
        self._step, self._points = 0, {}
        try:
            if not run.is_resumed:
                keep_events_aside(folder)
            self._writer = ScalarWriter(folder, self._clock)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write to log_dir={str(folder)!r}: {error}. Name a folder, not a file, where you may "
                "write."
            ) from error

    def on_epoch_begin(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        self._minibatch_keys = [
            key for key, series in tracked_series(callback_data).items() if is_per_minibatch(series)
        ]

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        done = run_of(self).minibatches_complete + minibatch + 1
        self._write(done, {key: value_in(callback_data[key], done - 1) for key in self._minibatch_keys})

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        done = run_of(self).minibatches_done
        values = {
            key: value_at_epoch_end(series, epoch, done)
            for key, series in tracked_series(callback_data).items()
            if not is_per_minibatch(series)
        }
        self._write(done, values)
        self._open_writer().flush()

    def on_run_closed(
        self, callback_data: SharedData, model: Any, reason: ExitReason, error: BaseException | None
    ) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the last step and its points, after all points have come to the folder that can.

        So a checkpoint can be saved when they cannot; the callback's next hook raises why.
        """
        if self._writer is not None:
            self._writer.settle()
        return {"step": self._step, "points": dict(self._points)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hide what was written after the state was saved.

        TensorBoard hides whole steps, and that of the state may have got more points afterwards: the step is
        hidden too, and its own points are written again.
        """
        self._step, self._points = state["step"], dict(state["points"])
        writer = self._open_writer()
        writer.hide_from(self._step)
        writer.write(self._step, self._points)

    def _write(self, step: int, values: Mapping[str, Any]) -> None:
        points = {key: float(value) for key, value in values.items() if value is not None}
        if step != self._step:
            self._step, self._points = step, {}
        self._points.update(points)
        self._open_writer().write(step, points)

    def _open_writer(self) -> ScalarWriter:
        assert self._writer is not None  # on_train_begin has made it
        return self._writer
