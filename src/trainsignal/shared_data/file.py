"""`SharedData`: the `h5py.File` in memory that callbacks share, and its archive on disk."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, cast

import h5py
import numpy.typing as npt

from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.shared_data.archive import Archive, save_image
from trainsignal.shared_data.buffered import BufferedDataset
from trainsignal.shared_data.continuation import Moment, loose_values, merge, open_previous, put_loose_values
from trainsignal.shared_data.group import SharedGroup
from trainsignal.shared_data.series import free_key, layout
from trainsignal.shared_data.store import SeriesHandler, SeriesSubscription, Stamp, Store

_h5py: Any = h5py  # h5py-stubs do not know all of it


class SharedData(SharedGroup, h5py.File):
    """What the callbacks of one run compute and read, as an `h5py.File` in memory.

    With a path it is also an archive: `claim` before the first `publish`; each publish leaves a complete,
    closed file there, which any tool can open at any moment. Before `claim` no file is touched.

    Args:
        path: where to publish; None keeps the data in memory only.
        position: returns the stamp that handlers are given; None stamps everything (0, 0).
        clock: seconds, monotonic; says when publishing is due.

    Attributes:
        on_publish: called before each publish, to write what is to be in it; None: nothing is.
        on_publish_error: gets the error where `flush` or `publish_if_due` cannot publish; None: they raise.
    """

    on_publish: Callable[[], object] | None = None
    on_publish_error: Callable[[ArchiveError], None] | None = None

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        position: Callable[[], Stamp] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        # By h5py's own class: on a subclass, the counter that names files in memory would start anew.
        raw_id = _h5py.File.in_memory().id
        self._found = {}
        self._store = Store(self, raw_id, position or (lambda: Stamp(epoch=0, minibatch=0)))
        h5py.File.__init__(self, raw_id)
        self._process = os.getpid()
        self._previous: h5py.File | None = None
        self._archive = None if path is None else Archive(path, self._read_image, clock)

    @property
    def filename(self) -> str:
        """The path of the archive; "<in memory>" where there is none."""
        return "<in memory>" if self._archive is None else str(self._archive.path)

    @property
    def attrs(self) -> Any:
        """The attributes of the root group."""
        return self["/"].attrs

    def create_series(
        self,
        key: str,
        rows: int | None,
        *,
        columns: tuple[int, ...] = (),
        dtype: npt.DTypeLike = "f4",
        attributes: Mapping[str, object] | None = None,
    ) -> BufferedDataset:
        """Create a series: one row an event, missing where not reached, longer when more rows are written.

        Args:
            key: its path. A `keys.Numbered` that is taken becomes "<key>_2", "<key>_3"; the `name` of
                the result tells.
            rows: how many are expected; None, or more than 4 million (2**22), starts with none.
            columns: shape of one row; () for a number.
            dtype: missing is NaN where it is floating, 0 where integer.
            attributes: attributes of the dataset, such as its axis.

        Raises:
            WiringError: `key` is taken.
            ConfigurationError: `rows` is negative, a row holds nothing, or `dtype` is no real number.
        """
        free = free_key(key, self.__contains__)
        series: BufferedDataset = self.create_dataset(free, **layout(rows, columns, dtype))
        series.attrs.update(attributes or {})
        return series

    def subscribe(self, key: str, handler: SeriesHandler) -> SeriesSubscription:
        """Have `handler(value, stamp)` called after each assignment to the dataset at `key`.

        A row of one number comes as a float, any other assigned part as an array, each as it was stored.
        The dataset need not exist yet. An exception passes to whoever assigned, with a note.

        Raises:
            WiringError: `key` is a group.
            ConfigurationError: `key` names nothing.
            HandlerError: `handler` cannot be called.
        """
        return self._store.subscribe(key, handler)

    def claim(self) -> None:
        """Take the exclusive right to publish to the path. May be called twice; without a path does nothing.

        Raises:
            ConfigurationError: the path could not be written later.
            ArchiveLockedError: another run is writing it.
            ArchiveError: the lock cannot be taken, or what a killed run left not be removed.
        """
        if self._archive is not None:
            self._archive.claim()

    def only_read(self) -> None:
        """Never claim the path and never publish: another process of the same run does."""
        if self._archive is not None:
            self._archive.only_read()

    def hold_previous(self) -> Mapping[str, Any] | None:
        """Open what an earlier run left at the path; nothing is published until `continue_previous`.

        Returns:
            The attributes of its groups "config" and "time_markers"; None where there is no file.

        Raises:
            ArchiveError: it cannot be read.
        """
        if self._archive is None:
            return None
        self._previous = open_previous(self._archive.path)
        if self._previous is None:
            return None
        self._archive.hold()
        groups = (self._previous.get(name) for name in (keys.CONFIG, keys.TIME_MARKERS))
        return {name: value for group in groups if group is not None for name, value in group.attrs.items()}

    def continue_previous(self, moment: Moment, loose: Mapping[str, Any]) -> None:
        """Take over what the held archive has of the time before `moment`; then publishing may go on.

        Args:
            moment: rows of series after it are left out.
            loose: from `loose_values`: what datasets without an axis of time held at that moment.

        Raises:
            ArchiveError: it cannot be read, or does not fit what this run has made.
        """
        self._store.settle()
        plain: Any = h5py.Group(self._id)
        if self._previous is not None:
            merge(self._previous, plain, moment)
            self._previous.close()
            self._previous = None
        put_loose_values(plain, loose)
        self._store.settle()
        if self._archive is not None:
            self._archive.go_on()

    def loose_values(self, largest_bytes: int) -> dict[str, Any]:
        """Return the datasets that tell no axis of time, up to so many bytes each, as arrays by path."""
        self._store.write_back()
        plain: Any = h5py.Group(self._id)
        return loose_values(plain, largest_bytes)

    def publish(self) -> Path | None:
        """Write the whole data to the path, atomically; without a path only `on_publish` is called.

        Returns:
            Where the file was kept that an earlier run had left at the path; None if there was none.

        Raises:
            RunStateError: the path is not claimed.
            ArchiveError: the disk is full, or the folder gone; the previous file is whole.
        """
        self._store.bring_late()
        return self._publish()

    def publish_if_due(self, *, before: Callable[[], object] = lambda: None) -> bool:
        """Publish if claimed, and the last attempt at least a second and 50 times its duration ago.

        Rows that are on a device still are left for the next time. `before` is called if it is due.

        Raises:
            ArchiveError: as `publish`, unless `on_publish_error` takes it; the next attempt waits as well.
        """
        if self._archive is None or not self._archive.is_due:
            return False
        before()
        return self._publish_or_tell()

    def publish_known(self) -> bool:
        """Publish at once if claimed, but leave rows that are on a device; return whether it was done.

        For a thread that must not wait, while the one that trains is blocked.

        Raises:
            ArchiveError: as `publish`, unless `on_publish_error` takes it.
        """
        return self._archive is not None and self._archive.is_claimed and self._publish_or_tell()

    def save_as(self, path: str | Path) -> None:
        """Write a copy to any path, atomically; for a rescue after a full disk. Replaces what is there.

        Raises:
            ConfigurationError: the path cannot be written.
            ArchiveError: the disk is full, or the folder gone.
        """
        if self._process == os.getpid():
            self._store.bring_late()
            save_image(self._read_image, path)

    def flush(self) -> None:
        """Write all buffers back, flush HDF5, and publish if claimed.

        Raises:
            ArchiveError: as `publish`, unless `on_publish_error` takes it.
        """
        self._store.bring_late()
        super().flush()
        if self._archive is not None and self._archive.is_claimed:
            self._publish_or_tell()

    def release(self) -> None:
        """Give up the right to publish; the data stays as it is. May be called twice, and after `close`."""
        if self._previous is not None:
            self._previous.close()
            self._previous = None
        if self._archive is not None:
            self._archive.release()

    def close(self) -> None:
        """Publish if claimed, release, and close. May be called twice.

        Raises:
            ArchiveError: publishing failed. Nothing is closed, so `save_as` can still rescue the data;
                `release` first, then `close`, to give it up.
        """
        if self and self._archive is not None and self._archive.is_claimed:
            self.publish()
        self.release()
        super().close()

    def __enter__(self) -> Self:
        return self

    def _publish(self) -> Path | None:
        """Publish as `publish`, but leave rows that are on a device still for the next time."""
        if self.on_publish is not None and (self._archive is None or self._archive.is_claimed):
            self.on_publish()
        return None if self._archive is None else self._archive.publish()

    def _publish_or_tell(self) -> bool:
        """Publish, and hand an error to who wants it; return whether it was published."""
        try:
            self._publish()
        except ArchiveError as error:
            if self.on_publish_error is None:
                raise
            self.on_publish_error(error)
            return False
        return True

    def _read_image(self) -> bytes:
        """Return the bytes of a complete, closed HDF5 file that holds everything."""
        self._store.write_back()
        _h5py.h5f.flush(self._id)
        return cast("bytes", self._id.get_file_image())
