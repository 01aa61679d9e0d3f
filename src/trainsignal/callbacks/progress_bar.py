"""`ProgressBarCallback`: neon's progress line, drawn by tqdm."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Generator
from importlib.util import find_spec
from time import perf_counter
from typing import Any, TextIO

import numpy as np

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.frequency import Frequency
from trainsignal.run_link import ExitReason, run_of
from trainsignal.shared_data import SharedData
from trainsignal.smoothed_cost import cost_words, smoothed_costs

_FORMAT = "{desc}[Train |{bar:20}| {n_fmt:>4}/{total_fmt:<4} batches{cost_text}, {elapsed_s:.2f}s]{loss_text}"


class ProgressBarCallback(Callback):
    """Shows epoch, batches, cost, seconds and the evaluation loss.

    In a terminal and in a notebook it is a bar that moves; anywhere else one plain line an epoch, without
    control characters.
    """

    optional_reads = (keys.TRAIN_COST, keys.MULTICOST_TRAIN, keys.LOSS)
    only_first = True

    def __init__(
        self,
        epoch_freq: Frequency = 1,
        minibatch_freq: Frequency = 1,
        update_thresh_s: float = 0.1,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Store when and where to draw.

        Args:
            epoch_freq: which epochs are shown.
            minibatch_freq: at which minibatches the bar may move.
            update_thresh_s: seconds between two drawings, at least.
            stream: where to draw; None: standard output, as it is when an epoch begins.
            clock: seconds.

        Raises:
            ConfigurationError: a negative threshold.
        """
        super().__init__(epoch_freq=epoch_freq, minibatch_freq=minibatch_freq)
        if update_thresh_s < 0:
            raise ConfigurationError(f"update_thresh_s={update_thresh_s!r}: expected 0 or more seconds")
        self.update_thresh_s = update_thresh_s
        self._chosen_stream = stream
        self._clock = clock
        self._line: Any = None
        self._is_broken = False

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        self._line, self._is_broken = None, False

    def on_epoch_begin(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        self._began = self._drawn = self._clock()
        self._done = 0
        stream = sys.stdout if self._chosen_stream is None else self._chosen_stream
        if stream is None or self._is_broken:  # under pythonw there is no standard output
            return
        with self._giving_up_on_errors():
            self._line = self._new_line(epoch, stream)

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        if self._line is None:  # the epoch began unseen, at another frequency
            return
        self._done = minibatch + 1
        now = self._clock()
        if now - self._drawn >= self.update_thresh_s:
            self._drawn = now
            self._show(callback_data, ends=False)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        if self._line is None:
            return
        loss = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        if loss is not None:
            name = f"{loss['costnm']} Loss".lstrip()
            took = "" if np.isnan(loss["time"]) else f", {loss['time']:.2f}s"  # a framework does not tell
            self._line.loss_text = f" [{name} {loss['cost']:.2f}{took}]"
        self._done = run_of(self).epoch_minibatches
        self._line.dynamic_ncols = self._line.ncols = None  # the last drawing may wrap
        self._show(callback_data, ends=True, total=self._done)  # known now, whatever was announced

    def on_run_closed(
        self, callback_data: SharedData, model: Any, reason: ExitReason, error: BaseException | None
    ) -> None:
        if self._line is not None:  # the epoch was cut short
            self._show(callback_data, ends=True)

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: what is drawn, and when, is of this process."""
        return {}

    def _show(self, callback_data: SharedData, *, ends: bool, total: int | None = None) -> None:
        """Draw the line; `ends`: for the last time."""
        line, run = self._line, run_of(self)
        line.n, line.elapsed_s = self._done, self._clock() - self._began
        line.total = total or run.minibatches_per_epoch  # a loader may have told meanwhile
        costs = smoothed_costs(callback_data, run.minibatches_complete + self._done - 1) if self._done else []
        if costs:
            line.cost_text = f", {cost_words(costs, '.2f')} cost{'s' if len(costs) > 1 else ''}"
        with self._giving_up_on_errors():
            if ends:
                line.close()
            else:
                line.refresh()
        if ends:
            self._line = None

    def _new_line(self, epoch: int, stream: TextIO) -> Any:
        """Return what can be drawn on the stream."""
        total = run_of(self).minibatches_per_epoch
        in_kernel = "ipykernel" in sys.modules and self._chosen_stream is None
        if in_kernel and find_spec("ipywidgets"):
            from tqdm.notebook import tqdm as notebook_tqdm

            return _moving(notebook_tqdm, epoch, total, stream)
        if in_kernel or stream.isatty():
            from tqdm.std import tqdm  # slow to import, and needed in a terminal alone

            return _moving(tqdm, epoch, total, stream)
        return PlainLine(epoch, total, stream)

    @contextlib.contextmanager
    def _giving_up_on_errors(self) -> Generator[None]:
        """Tell of a full disk, a reader that has gone or a closed file, and draw no more."""
        try:
            yield
        except (OSError, ValueError) as error:
            run_of(self).report(f"the progress bar cannot be drawn any more: {error}. Training goes on.")
            if self._line is not None:
                self._line.disable = True  # tqdm would try again when it is collected
            self._line, self._is_broken = None, True


class PlainLine:
    """Takes the part of the bar where nothing can move: writes one line when it is closed."""

    def __init__(self, epoch: int, total: int | None, stream: TextIO) -> None:
        """Begin with nothing done.

        Args:
            epoch: 0-based.
            total: minibatches; None where unknown.
            stream: gets the line.
        """
        self.n, self.total, self.elapsed_s = 0, total, 0.0
        self.cost_text = self.loss_text = ""
        self.ncols = self.dynamic_ncols = None
        self.disable = False
        self._epoch = epoch
        self._stream = stream

    def refresh(self) -> None:
        """Draw nothing: what is written stays."""

    def close(self) -> None:
        """Write the line."""
        total = "?" if self.total is None else self.total
        self._stream.write(
            f"Epoch {self._epoch:<4}[Train {self.n}/{total} batches{self.cost_text}, {self.elapsed_s:.2f}s]"
            f"{self.loss_text}\n"
        )
        self._stream.flush()


def _moving(kind: Any, epoch: int, total: int | None, stream: TextIO) -> Any:
    """Return a tqdm bar, in a terminal or a notebook, that has the fields of `PlainLine`."""

    class Bar(kind):  # type: ignore[misc]  # which of tqdm's classes is known only here
        monitor_interval = 0  # tqdm would start a thread
        elapsed_s = 0.0
        cost_text = loss_text = ""

        @property
        def format_dict(self) -> dict[str, Any]:
            own = ("elapsed_s", "cost_text", "loss_text")
            known: dict[str, Any] = super().format_dict  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]  # as above
            return {**known, **{name: getattr(self, name) for name in own}}

    return Bar(total=total, desc=f"Epoch {epoch:<4}", file=stream, bar_format=_FORMAT, dynamic_ncols=True)
