"""Named arrays in an HDF5 file, browsable with any tool: one dataset an array, and one for the skeleton.

Datasets are contiguous and uncompressed, so that what a file can ask of the memory is bounded by its size.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.packing import DamagedError, Fetch
from trainsignal.checkpoint.tree import is_storable

_SKELETON = "skeleton"
_h5py: Any = h5py  # its stubs know neither links nor where a dataset is stored


def write_arrays(path: Path, skeleton: str, arrays: Mapping[str, Array]) -> None:
    """Write a new file at `path`.

    The file is built in memory first, which takes as much again as the state: HDF5 2.0 that meets a full disk
    itself can take the process with it (a segmentation fault when its datasets are closed).

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    image = io.BytesIO()
    with _h5py.File(image, "w") as file:
        file.create_dataset(_SKELETON, data=np.bytes_(skeleton))
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    path.write_bytes(image.getbuffer())


@contextlib.contextmanager
def open_arrays(path: Path) -> Generator[tuple[bytes, Fetch], None, None]:
    """Open the file and yield its skeleton and what reads an array.

    Raises:
        DamagedError: no HDF5 file, no skeleton, a link to elsewhere, more data declared than there is.
        OSError, RuntimeError, KeyError: HDF5 could not read it.
    """
    if not _h5py.is_hdf5(path):
        with path.open("rb") as stream:
            raise DamagedError(f"it is no HDF5 file: it begins with {stream.read(8)!r}")
    bytes_left = path.stat().st_size

    with _h5py.File(path, "r") as file:

        def read(name: str) -> Array:
            nonlocal bytes_left
            dataset = _dataset(file, name)
            bytes_left -= dataset.nbytes
            if bytes_left < 0:
                raise DamagedError(f"its arrays up to {name!r} would be larger than the file")
            return np.asarray(dataset[()], dtype=dataset.dtype)

        if _SKELETON not in file:
            raise DamagedError(f"it is an HDF5 file without a skeleton; it holds {sorted(file)[:8]}")
        yield read(_SKELETON).tobytes(), read


def _dataset(file: Any, name: str) -> Any:
    """Return the dataset `name`, following no link out of the file and no storage outside of it."""
    node = file
    for component in name.split("/"):
        link = node.get(component, getlink=True) if isinstance(node, _h5py.Group) else None
        if not isinstance(link, _h5py.HardLink):
            found = "nothing" if link is None else f"a {type(link).__name__}, which is not followed"
            raise DamagedError(f"where the array {name!r} should be, it has {found}")
        node = node[component]
    if not isinstance(node, _h5py.Dataset) or not is_storable(node.dtype):
        raise DamagedError(f"{name!r} is no array of numbers")
    if node.chunks is not None or node.external or node.is_virtual:
        raise DamagedError(f"the array {name!r} is compressed, chunked or stored in another file")
    return node
