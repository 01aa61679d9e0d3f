"""`BufferedDataset`: an `h5py.Dataset` whose rows are read and written in NumPy, and brought to HDF5 in bulk.

Holds one window of consecutive rows. All that the window cannot do is done by h5py's own code, after
writing back, so that semantics and errors are h5py's. Knows nothing of files on disk.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import h5py
import numpy as np
import numpy.typing as npt

from trainsignal.shared_data.indices import is_tuple, normal_index
from trainsignal.shared_data.store import identity_of

if TYPE_CHECKING:
    from trainsignal.shared_data.file import SharedData
    from trainsignal.shared_data.store import SeriesSubscription, Store

WINDOW_BYTES: Final = 64 * 1024
"""At most so many bytes of a dataset are held in its window."""

_h5py: Any = h5py  # h5py-stubs do not know all of it
_NO_ROWS: Final[npt.NDArray[Any]] = np.empty(0)
_SCALARS: Final[frozenset[type[Any]]] = frozenset((float, int))
"""Values that NumPy's assignment converts just as h5py does, whatever the dataset holds."""

_FLOAT_SCALARS: Final[frozenset[type[Any]]] = _SCALARS | {np.float32, np.float64}
"""The same where it holds floats. In integers, NumPy refuses what is too large, and h5py stores something."""


class BufferedDataset(h5py.Dataset):
    """A dataset of a `SharedData`; there is one object for one HDF5 dataset, however it was reached.

    `dataset[row] = value` and `dataset[row]` cost what NumPy's cost, as long as the rows lie close together.
    Touching `id`, as all other h5py code does, writes back and drops the window. As h5py's in every other
    way, but for two things: a float that is integral serves as an index, and a dataset with an unlimited
    first axis and a fill value of its own grows when a row beyond its end is assigned.

    To be used by one thread at a time.
    """

    _id: Any

    def __init__(self, raw_id: Any, store: Store) -> None:
        super().__init__(raw_id)
        self._store = store
        self._plain: Any = _h5py.Dataset(raw_id)  # whose use leaves the window alone
        self._identity = identity_of(raw_id)
        self._dtype: np.dtype[Any] = self._plain.dtype
        self._ndim = len(self._plain.shape or ())  # the shape of an empty (null) dataset is None
        creation = raw_id.get_create_plist()
        self._is_virtual = creation.get_layout() == _h5py.h5d.VIRTUAL
        self._has_rows = self._ndim > 0 and self._dtype.kind in "biuf" and not self._is_virtual
        # Both are stored with the dataset, so a series that was copied or read from an archive grows on.
        has_chosen_fill = creation.fill_value_defined() == _h5py.h5d.FILL_VALUE_USER_DEFINED
        self._grows = has_chosen_fill and (self._plain.maxshape or ())[:1] == (None,)
        self._scalars = _FLOAT_SCALARS if self._dtype.kind == "f" else _SCALARS
        # The window: rows _start to _start + _used of the dataset exist, up to _start + _room may be written.
        self._values = _NO_ROWS
        self._start = 0
        self._used = 0
        self._room = 0
        self._is_dirty = False
        self._glanced = -2  # the row that was last read from outside a window with unwritten rows
        self._bring: Callable[[], object] | None = None
        self._receivers: tuple[SeriesSubscription, ...] | Literal["unknown"] = ()
        self.look_up_anew()

    @property
    def id(self) -> Any:
        """The low-level identifier; asking for it writes back, for its holder may read or write anything."""
        (self._store if self._is_virtual else self).settle()  # the data of a virtual one is that of others
        return self._id

    @property
    def file(self) -> SharedData:
        """The `SharedData` that this dataset is part of."""
        return self._store.file

    @property
    def attrs(self) -> Any:
        """The attributes; they are not buffered, and asking for them leaves the window alone."""
        return self._plain.attrs

    @property
    def dims(self) -> Any:
        """The dimension scales, which h5py hands out as its own, unbuffered objects."""
        self._store.settle()
        return self._plain.dims

    def flush(self) -> None:
        """Have late rows written, write back, then have HDF5 flush this dataset."""
        self.bring_late()
        self.write_back()
        self._plain.flush()

    def __getitem__(self, args: Any, new_dtype: Any = None) -> Any:
        """Read; a row that lies in the window without touching HDF5."""
        if type(args) is int and new_dtype is None and self._bring is None:
            place = args - self._start
            if 0 <= place < self._used:
                row = self._values[place]
                return row.copy() if row.ndim else row
        return self._read(normal_index(args, self._ndim), new_dtype)

    def __setitem__(self, args: Any, val: Any) -> None:
        """Write; a row that lies in the window without touching HDF5. Then tell who subscribed."""
        if type(args) is int and type(val) in self._scalars:
            place = args - self._start
            if 0 <= place < self._room:
                self._is_dirty = True
                self._values[place] = val
                if place >= self._used:
                    self._used = place + 1
                if self._receivers:
                    self._notify(self._values[place])
                return
        self._write(normal_index(args, self._ndim), val)

    def write_back(self) -> None:
        """Write the window into HDF5 if it holds anything new; it stays valid."""
        if not self._is_dirty:
            return
        stop = self._start + self._used
        if stop > self._plain.shape[0]:
            self._plain.resize(stop, axis=0)
        self._plain[self._start : stop] = self._values[: self._used]
        self._is_dirty = False

    @property
    def is_followed(self) -> bool:
        """Whether somebody subscribed to what is written."""
        return bool(self._known_receivers())

    @property
    def is_late(self) -> bool:
        """Whether rows may be on a device still."""
        return self._bring is not None

    def rows_so_far(self, start: int, stop: int | None) -> npt.NDArray[Any]:
        """Return rows as they are, and wait for none; those that are on a device still are missing."""
        self.write_back()
        rows: npt.NDArray[Any] = self._plain[start:stop]
        return rows

    @property
    def layout_of_rows(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """Type and shape of one row."""
        return self._plain.dtype, self._plain.shape[1:]

    def await_rows(self, bring: Callable[[], object]) -> None:
        """Have `bring` called, once, before anything of this dataset is read.

        Args:
            bring: assigns rows whose values are not known yet: it may have to wait for a device.
        """
        if self._bring is None:
            self._bring = bring
            self._store.late[self._identity] = self

    def bring_late(self) -> None:
        """Have the rows written that were not known yet; a forked child has no device to wait for."""
        bring, self._bring = self._bring, None
        if bring is not None:
            self._store.late.pop(self._identity, None)
            if self._store.process == os.getpid():
                bring()

    def settle(self) -> None:
        """Have late rows written, write back and drop the window."""
        if self._bring is not None:
            self.bring_late()
        self._drop_window()

    def _drop_window(self) -> None:
        if self._room:
            self.write_back()
            self._start = self._used = self._room = 0
            self._values = _NO_ROWS
            self._store.buffered.pop(self._identity, None)

    def look_up_anew(self) -> None:
        """Forget who subscribed, until somebody is to be told; links or subscriptions may have changed."""
        self._receivers = "unknown" if self._store.subscriptions else ()

    def _read(self, args: Any, new_dtype: Any) -> Any:
        self.bring_late()
        if new_dtype is None and self._is_row(args):
            in_window = 0 <= args - self._start < self._used
            if not in_window and self._stays_with_writer(args):
                return self._plain[args]
            if in_window or self._move_window(args, to_write=False):
                row = self._values[args - self._start]
                return row.copy() if row.ndim else row
        return super().__getitem__(args, new_dtype)

    def _stays_with_writer(self, row: int) -> bool:
        """Return whether a read of `row`, not in the window, leaves the window to whoever writes in it.

        Yes for a glance far back, whose row is true in HDF5; no from the second of rows read in sequence on.
        """
        if not self._is_dirty or row == self._glanced + 1 or row >= self._plain.shape[0]:
            return False
        self._glanced = row
        return True

    def _write(self, args: Any, value: Any) -> None:
        if self._is_row(args):
            row = value if type(value) in self._scalars else self._as_row(value)
            in_window = 0 <= args - self._start < self._room
            if row is not None and (in_window or self._move_window(args, to_write=True)):
                place = args - self._start
                self._is_dirty = True
                self._values[place] = row
                self._used = max(self._used, place + 1)
                if self._receivers:
                    self._notify(self._values[place])
                return
        self._write_by_h5py(args, value)
        if self._receivers:
            self._notify(np.asarray(super().__getitem__(args)))

    def _write_by_h5py(self, args: Any, value: Any) -> None:
        first = args[0] if is_tuple(args) and args else args
        rows = self.shape[0] if self._grows else 0
        if not self._grows or type(first) is not int or first < rows:
            super().__setitem__(args, value)
            return
        self.resize(first + 1, axis=0)
        try:
            super().__setitem__(args, value)
        except BaseException:
            self.resize(rows, axis=0)  # as long as before: nothing was written
            raise

    def _is_row(self, args: Any) -> bool:
        return type(args) is int and args >= 0 and self._has_rows

    def _move_window(self, row: int, *, to_write: bool) -> bool:
        """Have the window hold `row`; return False, with no window, if it does not exist or is too long."""
        self._drop_window()
        try:
            rows, *columns = self._plain.shape
        except RuntimeError as error:
            self._store.explain(error)
            raise
        capacity = WINDOW_BYTES // max(1, math.prod(columns) * self._dtype.itemsize)
        if not capacity or (row >= rows and not (to_write and self._grows)):
            return False
        start = row - row % capacity
        used = max(0, min(rows - start, capacity))
        values = self._plain[start : start + used]
        if self._grows:
            missing = np.full((capacity - used, *columns), self._plain.fillvalue, self._dtype)
            values = np.concatenate((values, missing), dtype=self._dtype)
        # The room last, for the window is valid from then on, should a signal interrupt us.
        self._store.buffered[self._identity] = self
        self._values, self._start, self._used = values, start, used
        self._room = len(values)
        return True

    def _as_row(self, value: Any) -> npt.NDArray[Any] | None:
        """Return `value` as h5py would store it in a row; None where its shape or type is h5py's to judge."""
        try:
            row = np.asarray(value, None if isinstance(value, np.ndarray) else self._dtype)
        except (TypeError, ValueError, OverflowError):
            return None
        if row.size == 1:  # fits every row, as neon's (1, 1) costs do
            row = row.reshape(())
        columns = self._values.shape[1:] if self._room else self._plain.shape[1:]
        if row.shape not in ((), columns):
            return None
        if row.dtype != self._dtype:
            if not row.dtype.kind == self._dtype.kind == "f":
                return None
            with np.errstate(over="ignore"):  # HDF5 converts without a warning
                row = row.astype(self._dtype)
        return row

    def _notify(self, stored: np.generic | npt.NDArray[Any]) -> None:
        receivers = self._known_receivers()
        if receivers:
            stamp = self._store.position()
            for subscription in receivers:
                subscription.tell(stored, stamp)

    def _known_receivers(self) -> tuple[SeriesSubscription, ...]:
        if self._receivers == "unknown":
            self._receivers = self._store.receivers_of(self._identity)
        return self._receivers
