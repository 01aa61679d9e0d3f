"""What the archive says of the run itself: what runs, what was asked for, how far it is, why it ended.

Writes attributes and markers of the shared data, and has it published at the begin and the end.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.notes import Checkpoint
from trainsignal.receiver import Receiver, totals
from trainsignal.shared_data import SharedData, append_row, find_table, put_rows
from trainsignal.shared_data.buffered import BufferedDataset
from trainsignal.shared_data.foreign import READ_ERRORS

MOST_CHECKPOINTS: Final = 1000
"""So many are noted at most, the newest."""


class RunRecord:
    """The run's own entries in the shared data.

    Args:
        data: the shared data.
        report: tells the user of a problem, now and at the end.
        receivers: returns those whose cost is noted whenever the data is published, and at the end.
        clock: seconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        data: SharedData,
        report: Callable[[str], None],
        receivers: Callable[[], Iterable[Receiver]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        data.on_publish = self.note_times
        data.on_publish_error = self._publishing_failed
        self._data = data
        self._report = report
        self._receivers = receivers
        self._clock = clock
        self._began_at = 0.0
        self._told_of_times: dict[str, object] = {}
        self._cannot_tell_times = False
        self._is_on_disk = False

    def begin(self, run_id: str, epochs: int | None, minibatches_per_epoch: int | None) -> None:
        """Write which run it is and what was asked for; None where it is unknown."""
        self._began_at = self._clock()
        config = self._data.require_group(keys.CONFIG).attrs
        config[keys.RUN_ID] = run_id
        if epochs is not None:
            config[keys.TOTAL_EPOCHS] = epochs
        if epochs is not None and minibatches_per_epoch is not None:
            config[keys.TOTAL_MINIBATCHES] = epochs * minibatches_per_epoch
        progress = self._data.require_group(keys.TIME_MARKERS).attrs
        progress[keys.EPOCHS_COMPLETE] = progress[keys.MINIBATCHES_COMPLETE] = 0
        self._data.create_series(keys.EPOCH_ENDS, epochs, dtype="i8")
        units = {keys.UNITS: "seconds since 1970-01-01 UTC"}
        self._data.create_series(keys.EPOCH_TIMES, epochs, dtype="f8", attributes=units)

    def describe(self, model: object, callbacks: Iterable[object]) -> None:
        """Write what runs, in which program, where, and since when; after `resume`, if there is one.

        Args:
            model: that is trained.
            callbacks: in the order in which they run.
        """
        config = self._data[keys.CONFIG].attrs
        config[keys.MODEL_CLASS] = type(model).__name__
        names = [type(callback).__name__ for callback in callbacks]
        if names:
            config[keys.CALLBACKS] = names
        script = script_name()
        if script is not None:
            config[keys.SCRIPT] = _storable(script)
        config[keys.HOST] = platform.node()
        config[keys.VERSION] = package_version()
        self._add(keys.STARTED_AT, np.float64(self._began_at))

    def resume(self, epochs: int, minibatches: int, minibatches_done: int) -> None:
        """Write how far the run was when it was cut short, and that it was resumed there.

        Args:
            epochs: complete ones.
            minibatches: of the complete epochs.
            minibatches_done: those of the epoch that was cut short included.
        """
        progress = self._data[keys.TIME_MARKERS].attrs
        progress[keys.EPOCHS_COMPLETE], progress[keys.MINIBATCHES_COMPLETE] = epochs, minibatches
        self._add(keys.RESUMED_AT, np.int64(minibatches_done))
        self._forget_checkpoints_after(epochs, minibatches_done - minibatches)

    def note_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write that a checkpoint was saved just now."""
        path, saved_at = _storable(checkpoint.path), float(self._clock())
        row = (path, checkpoint.epoch, checkpoint.minibatch, saved_at)
        if not append_row(self._data, keys.CHECKPOINTS, keys.CHECKPOINT_COLUMNS, row, MOST_CHECKPOINTS):
            self._report(
                f"the archive does not list the checkpoints: {keys.CHECKPOINTS!r} in the shared data is "
                "something else. Give that another name."
            )

    def note_times(self) -> None:
        """Write what each callback and handler of ours has cost so far, those of one name together.

        A problem is reported, once: nothing that only tells of a run stops it.
        """
        spent, failures = totals(self._receivers())
        if not self._data or not spent:
            return
        problem = None
        try:
            if not self._write_times(spent, failures):
                problem = (
                    f"{keys.CALLBACK_TIMES!r} in the shared data is something else. Give that another name."
                )
        except READ_ERRORS as error:
            problem = f"{error}. Training goes on."
        if problem is not None and not self._cannot_tell_times:
            self._cannot_tell_times = True
            self._report(f"the archive does not tell what the callbacks cost: {problem}")

    def publish_first(self) -> None:
        """Publish what there is before the first epoch, so that an early kill leaves something.

        Raises:
            ArchiveError: it cannot be written; nothing is lost yet, so the run does not start.
        """
        self._data.publish()
        self._is_on_disk = True

    def end_epoch(self, epoch: int, minibatches: int) -> None:
        """Write how far the run is: `minibatches` in all at the end of the 0-based `epoch`."""
        self._data[keys.EPOCH_ENDS][epoch] = minibatches
        self._data[keys.EPOCH_TIMES][epoch] = self._clock()
        progress = self._data[keys.TIME_MARKERS].attrs
        progress[keys.EPOCHS_COMPLETE] = epoch + 1
        progress[keys.MINIBATCHES_COMPLETE] = minibatches

    def end(self, reason: str, detail: str | None, author: str | None) -> None:
        """Write why the run ended, unless the data has been closed already."""
        if not self._data:
            return
        config = self._data.require_group(keys.CONFIG).attrs
        config[keys.EXIT_REASON] = reason
        if detail is not None:
            config[keys.EXIT_DETAIL] = _storable(detail)
        if author is not None:
            config[keys.EXIT_AUTHOR] = _storable(author)

    def publish_last(self) -> None:
        """Publish the final state, if the run came as far as publishing any, and let go of the path."""
        try:
            if self._is_on_disk and self._data:  # closed data was published by closing it
                self._data.publish()
        except ArchiveError as error:
            self._report(
                f"{error}. The data is still in memory: callbacks.callback_data.save_as(path) saves it."
            )
        finally:
            self._data.release()

    def _write_times(self, spent: Mapping[str, float], failures: Mapping[str, int]) -> bool:
        """Write seconds and failures by name; return whether: not over what somebody else wrote."""
        seconds, names = np.fromiter(spent.values(), np.float64), [_storable(name) for name in spent]
        series: Any = self._data.get(keys.CALLBACK_TIMES)
        if series is not None and not (isinstance(series, BufferedDataset) and keys.NAMES in series.attrs):
            return False
        if series is not None and self._told_of_times.get(keys.NAMES) == names:
            series[:] = seconds
        else:  # others take part now, or those that an earlier process noted
            if series is not None:
                del self._data[keys.CALLBACK_TIMES]
            series = self._data.create_dataset(keys.CALLBACK_TIMES, data=seconds)
            self._told_of_times = {}
        told: dict[str, object] = {
            keys.UNITS: "seconds",
            keys.NAMES: names,
            keys.FAILURES: [failures[name] for name in spent],
            keys.SLOWEST: names[int(seconds.argmax())],
        }
        for attribute, value in told.items():
            if self._told_of_times.get(attribute) != value:
                series.attrs[attribute] = value
        self._told_of_times = told
        return True

    def _add(self, attribute: str, value: np.generic) -> None:
        """Append a value to a list among the attributes of the run, which each process makes longer."""
        config = self._data[keys.CONFIG].attrs
        before = np.asarray(config.get(attribute, ()), value.dtype)
        config[attribute] = np.append(before, value)

    def _forget_checkpoints_after(self, epochs: int, minibatches: int) -> None:
        """Leave out what was saved after so many epochs, and minibatches of the next one, were done."""
        table = find_table(self._data, keys.CHECKPOINTS, keys.CHECKPOINT_COLUMNS)
        if table is None:
            return
        rows: Any = table[:]
        is_within = (rows["epoch"] == epochs) & (rows["minibatch"] < minibatches)
        put_rows(table, rows[(rows["epoch"] < epochs) | is_within])

    def _publishing_failed(self, error: ArchiveError) -> None:
        self._report(f"{error}. Training goes on, and publishing is tried again.")


def _storable(text: str) -> str:
    """Return `text` with what HDF5 cannot hold (zeros, lone surrogates) written as escapes."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


def script_name() -> str | None:
    """Return the file name of the program; None in an interactive session, and where there is no file."""
    name = Path(sys.argv[0]).name if sys.argv else ""
    return None if hasattr(sys, "ps1") or name in ("", "-c") else name


def package_version() -> str:
    """Return the version of the package that runs, which may be another than the installed one."""
    version: str = sys.modules[__name__.partition(".")[0]].__version__
    return version
