"""`SharedGroup`: an `h5py.Group` that hands out buffered datasets, and creates them without h5py's traps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import h5py
import numpy as np

from trainsignal.shared_data.buffered import BufferedDataset
from trainsignal.shared_data.store import identity_of

if TYPE_CHECKING:
    from trainsignal.shared_data.file import SharedData
    from trainsignal.shared_data.store import Store

CHUNKED_FROM: Final = 2**20
"""Datasets of more elements are chunked unless the caller says how, so that nothing is preallocated."""


class SharedGroup(h5py.Group):
    """A group of a `SharedData`.

    Looking up and creating members leaves the buffers alone; touching `id`, as all other h5py code does,
    writes all of them back and drops them. A path that was looked up is remembered until then.
    """

    _id: Any
    _store: Store
    _found: dict[str, Any]

    def __init__(self, raw_id: Any, store: Store) -> None:
        super().__init__(raw_id)
        self._store = store
        self._found = {}

    @property
    def id(self) -> Any:
        """The low-level identifier; asking for it writes back, for its holder may change anything below."""
        self._store.settle()
        return self._id

    @property
    def file(self) -> SharedData:
        """The `SharedData` that this group is part of."""
        return self._store.file

    @property
    def attrs(self) -> Any:
        """The attributes; they are not buffered, and asking for them leaves all buffers alone."""
        return self._plain().attrs

    def __getitem__(self, name: Any) -> Any:
        """Return the member at the path (or reference) `name`."""
        try:
            return self._found[name]
        except (KeyError, TypeError):  # TypeError: cannot be hashed, which h5py refuses in its own words
            pass
        try:
            found = self._adopted(self._plain()[name])
        except KeyError as error:
            self._store.explain(error)
            raise
        if isinstance(name, str) and isinstance(found, (BufferedDataset, SharedGroup)):
            self._found[name] = found
        return found

    def __bool__(self) -> bool:
        """Return whether it is open; asking leaves the buffers alone."""
        return bool(self._id)

    def __contains__(self, name: Any) -> bool:
        return name in self._plain()

    def get(self, name: Any, default: Any = None, *args: Any, **options: Any) -> Any:
        """Return the member, its class or its link, as `h5py.Group.get` does."""
        missing = object()
        found = self._plain().get(name, missing, *args, **options)
        return default if found is missing else self._adopted(found)

    def create_group(self, name: Any, *args: Any, **options: Any) -> Any:
        """Create a group and return it, as `h5py.Group.create_group` does."""
        return self._adopted(self._plain().create_group(name, *args, **options))

    def create_dataset(
        self, name: Any, shape: Any = None, dtype: Any = None, data: Any = None, **kwds: Any
    ) -> Any:
        """Create a dataset of zeros, or of `data`, as `h5py.Group.create_dataset` does.

        The type is float32 where neither `dtype` nor `data` says another. More than `CHUNKED_FROM` elements
        are chunked, so that nothing is allocated before it is written. Unwritten parts are zero, or
        `fillvalue`, also where the file space was used before.
        """
        if data is None and shape is not None:
            dtype = "f4" if dtype is None else dtype
            elements = math.prod(int(length) for length in np.atleast_1d(shape))
            if elements > CHUNKED_FROM and kwds.get("chunks") is None:
                kwds["chunks"] = True
        kwds.setdefault("fill_time", "alloc")
        return self._adopted(self._plain().create_dataset(name, shape, dtype, data, **kwds))

    def require_dataset(self, name: Any, shape: Any, dtype: Any, exact: bool = False, **kwds: Any) -> Any:
        """Return the dataset, created if need be, as `h5py.Group.require_dataset` does."""
        return self._adopted(super().require_dataset(name, shape, dtype, exact, **kwds))  # type: ignore[misc]  # unknown to h5py-stubs

    def create_virtual_dataset(self, *args: Any, **options: Any) -> Any:
        """Create a dataset that shows others' data, as `h5py.Group.create_virtual_dataset` does."""
        return self._adopted(super().create_virtual_dataset(*args, **options))  # type: ignore[misc]  # unknown to h5py-stubs

    def look_up_anew(self) -> None:
        """Forget what the paths lead to; links may have changed."""
        self._found.clear()

    def _plain(self) -> h5py.Group:
        """Return h5py's own group on the same HDF5 object, whose use leaves the buffers alone."""
        return h5py.Group(self._id)

    def _adopted(self, found: Any) -> Any:
        """Return our one object for the dataset or group that h5py found; anything else as it is."""
        if isinstance(found, (BufferedDataset, SharedGroup)) or not isinstance(
            found, (h5py.Dataset, h5py.Group)
        ):
            return found
        identity = identity_of(found.id)
        if identity[0] != self._store.number:  # behind an external link
            return found
        member = self._store.members.get(identity)
        if member is None:
            kind = BufferedDataset if isinstance(found, h5py.Dataset) else SharedGroup
            member = self._store.members[identity] = kind(found.id, self._store)
        return member
