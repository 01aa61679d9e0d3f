"""What the package needs of HDF5 below h5py's classes, typed; knows nothing of buffers or archives."""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import h5py

Identity: TypeAlias = tuple[int, int]
"""(file number, address): the same for all handles and hard links of one HDF5 object, while one is open."""

_h5py: Any = h5py  # h5py-stubs knows neither in_memory nor most of the low-level interface


def new_image_id() -> Any:
    """Create an empty HDF5 file in memory and return its `FileID`.

    Called on `h5py.File`: on a subclass the counter that names such files would start anew and collide.
    """
    return _h5py.File.in_memory().id


def identity_of(raw_id: Any) -> Identity:
    """Return what tells the object that `raw_id` has open from all others."""
    info = _h5py.h5o.get_info(raw_id)
    return cast("Identity", (info.fileno, info.addr))


def grows_by_assignment(raw_id: Any) -> bool:
    """Return whether rows may be assigned beyond the end of the dataset `raw_id`.

    That is so where the first axis is unlimited and somebody chose what missing rows hold. Both are stored
    with the dataset, so a series that was copied or read back from an archive grows on.
    """
    limits = raw_id.get_space().get_simple_extent_dims(True)
    if not limits or limits[0] != _h5py.h5s.UNLIMITED:
        return False
    return bool(raw_id.get_create_plist().fill_value_defined() == _h5py.h5d.FILL_VALUE_USER_DEFINED)


def is_virtual(raw_id: Any) -> bool:
    """Return whether the dataset `raw_id` shows the data of other datasets."""
    return bool(raw_id.get_create_plist().get_layout() == _h5py.h5d.VIRTUAL)


def image_bytes(file_id: Any) -> bytes:
    """Return the whole file as the bytes of a complete, closed HDF5 file."""
    _h5py.h5f.flush(file_id)
    return cast("bytes", file_id.get_file_image())
