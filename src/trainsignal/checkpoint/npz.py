"""Named arrays in NumPy's .npz: a zip file of .npy files, here with one skeleton.json.

The zip file is read and written directly: `numpy.load` confuses an array "W" with one "W.npy", and
allocates whatever a header declares. Its members are not compressed, so that what a file can ask of the
memory is bounded by its size.
"""

from __future__ import annotations

import contextlib
import math
import zipfile
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.packing import DamagedError, Fetch

_SKELETON = "skeleton.json"


def write_arrays(path: Path, skeleton: str, arrays: Mapping[str, Array]) -> None:
    """Write a new file at `path`.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr(_SKELETON, skeleton)
        for name, array in arrays.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


@contextlib.contextmanager
def open_arrays(path: Path) -> Generator[tuple[bytes, Fetch], None, None]:
    """Open the file and yield its skeleton and what reads an array; nothing is ever unpickled.

    Raises:
        DamagedError: no skeleton, compressed, or more data declared than the file holds.
        zipfile.BadZipFile: no zip file, or a checksum does not fit.
        OSError, ValueError, EOFError: it is cut off or damaged.
    """
    with zipfile.ZipFile(path) as file:
        members = {member.filename: member for member in file.infolist()}
        if _SKELETON not in members:
            raise DamagedError(f"it is a zip file without {_SKELETON}; it holds {sorted(members)[:8]}")
        if any(member.compress_type != zipfile.ZIP_STORED for member in members.values()):
            raise DamagedError("its members are compressed, which trainsignal never does")
        if sum(member.file_size for member in members.values()) > path.stat().st_size:
            raise DamagedError("its members overlap, or it is cut off")

        def read(name: str) -> Array:
            member = members.get(f"{name}.npy")
            if member is None:
                raise DamagedError(f"it has no array {name!r}")
            with file.open(member) as stream:
                _check_size(stream, member)
                stream.seek(0)
                return np.lib.format.read_array(stream, allow_pickle=False)

        yield file.read(_SKELETON), read


def _check_size(stream: IO[bytes], member: zipfile.ZipInfo) -> None:
    """Refuse a header that declares more than its member holds, before anything is allocated for it."""
    if np.lib.format.read_magic(stream) != (1, 0):
        raise DamagedError(f"{member.filename!r} is not in version 1.0 of NumPy's format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if math.prod(shape) * dtype.itemsize > member.file_size:
        raise DamagedError(f"{member.filename!r} declares the shape {shape}, which is more than it holds")
