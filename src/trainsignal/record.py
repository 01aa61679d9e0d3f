"""What the archive says of the run itself: what was asked for, how far it is, why it ended.

Writes attributes and markers of the shared data, and has it published at the begin and the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.receiver import Receiver, totals
from trainsignal.shared_data import SharedData


class RunRecord:
    """The run's own entries in the shared data.

    Args:
        data: the shared data.
        report: tells the user of a problem, now and at the end.
    """

    def __init__(self, data: SharedData, report: Callable[[str], None]) -> None:
        data.on_publish_error = self._publishing_failed
        self._data = data
        self._report = report
        self._is_on_disk = False

    def begin(self, run_id: str, epochs: int | None, minibatches_per_epoch: int | None) -> None:
        """Write which run it is and what was asked for; None where it is unknown."""
        config = self._data.require_group(keys.CONFIG).attrs
        config[keys.RUN_ID] = run_id
        if epochs is not None:
            config[keys.TOTAL_EPOCHS] = epochs
        if epochs is not None and minibatches_per_epoch is not None:
            config[keys.TOTAL_MINIBATCHES] = epochs * minibatches_per_epoch
        progress = self._data.require_group(keys.TIME_MARKERS).attrs
        progress[keys.EPOCHS_COMPLETE] = progress[keys.MINIBATCHES_COMPLETE] = 0
        self._data.create_series(keys.EPOCH_ENDS, epochs, dtype="i8")

    def resume(self, epochs: int, minibatches: int, minibatches_done: int) -> None:
        """Write how far the run was when it was cut short, and that it was resumed there.

        Args:
            epochs: complete ones.
            minibatches: of the complete epochs.
            minibatches_done: those of the epoch that was cut short included.
        """
        progress = self._data[keys.TIME_MARKERS].attrs
        progress[keys.EPOCHS_COMPLETE], progress[keys.MINIBATCHES_COMPLETE] = epochs, minibatches
        config = self._data[keys.CONFIG].attrs
        before = np.asarray(config.get(keys.RESUMED_AT, ()), np.int64)
        config[keys.RESUMED_AT] = np.append(before, np.int64(minibatches_done))

    def note_times(self, receivers: Iterable[Receiver]) -> None:
        """Write what each callback and handler of ours has cost so far, those of one name together."""
        spent, failures = totals(receivers)
        if not self._data or not spent:
            return
        if keys.CALLBACK_TIMES in self._data:
            del self._data[keys.CALLBACK_TIMES]  # others may take part now
        series = self._data.create_dataset(keys.CALLBACK_TIMES, data=np.fromiter(spent.values(), np.float64))
        series.attrs[keys.UNITS] = "seconds"
        series.attrs[keys.NAMES] = [_storable(name) for name in spent]
        series.attrs[keys.FAILURES] = [failures[name] for name in spent]
        series.attrs[keys.SLOWEST] = _storable(max(spent, key=spent.__getitem__))

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

    def _publishing_failed(self, error: ArchiveError) -> None:
        self._report(f"{error}. Training goes on, and publishing is tried again.")


def _storable(text: str) -> str:
    """Return `text` with what HDF5 cannot hold (zeros, lone surrogates) written as escapes."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()
