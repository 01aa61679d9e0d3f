"""What the archive says of the run itself: what was asked for, how far it is, why it ended.

Writes attributes and markers of the shared data, and has it published at the begin and the end.
"""

from __future__ import annotations

from collections.abc import Callable

from trainsignal import keys
from trainsignal.errors import ArchiveError
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

    def begin(self, epochs: int | None, minibatches_per_epoch: int | None) -> None:
        """Write what was asked for; None where it is unknown."""
        config = self._data.require_group(keys.CONFIG).attrs
        if epochs is not None:
            config[keys.TOTAL_EPOCHS] = epochs
        if epochs is not None and minibatches_per_epoch is not None:
            config[keys.TOTAL_MINIBATCHES] = epochs * minibatches_per_epoch
        progress = self._data.require_group(keys.TIME_MARKERS).attrs
        progress[keys.EPOCHS_COMPLETE] = progress[keys.MINIBATCHES_COMPLETE] = 0
        self._data.create_series(keys.EPOCH_ENDS, epochs, dtype="i8")

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
