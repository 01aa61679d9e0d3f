"""Named arrays in a file of safetensors, readable in many languages; the skeleton is in its metadata.

The header of such a file says where each array lies, and is checked against the file's size before anything
is read. Arrays of types that safetensors lacks are stored as bytes, with one more axis.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.bits import from_bytes, to_bytes
from trainsignal.checkpoint.packing import DamagedError, Fetch
from trainsignal.extras import require

_SKELETON: Final = "skeleton"
_DTYPES: Final = "dtypes"
"""Entry of the metadata: a JSON object with the dtype of each array that is stored as bytes."""

_STORABLE: Final = frozenset(
    np.dtype(name)
    for name in ("bool", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
)  # fmt: skip
"""In the byte order of the machine, which safetensors knows how to store."""


def write_arrays(path: Path, skeleton: str, arrays: Mapping[str, Array]) -> None:
    """Write a new file at `path`.

    The file is built in memory first: the package's own writer, on a full disk, raises no OSError.

    Raises:
        MissingPackageError: safetensors is not installed.
        OSError: the disk is full, or the folder is not writable.
    """
    as_bytes = {name: array.dtype.str for name, array in arrays.items() if array.dtype not in _STORABLE}
    stored = {
        name: to_bytes(array) if name in as_bytes else np.ascontiguousarray(array).reshape(array.shape)
        for name, array in arrays.items()
    }
    metadata = {_SKELETON: skeleton, _DTYPES: json.dumps(as_bytes)}
    path.write_bytes(_package("safetensors.numpy").save(stored, metadata))


@contextlib.contextmanager
def open_arrays(path: Path) -> Generator[tuple[bytes, Fetch], None, None]:
    """Open the file and yield its skeleton and what reads an array.

    Raises:
        MissingPackageError: safetensors is not installed.
        DamagedError: no file of safetensors, no skeleton, or damaged.
        OSError: it cannot be read.
    """
    package = _package("safetensors")
    try:
        file = package.safe_open(path, framework="numpy")
    except package.SafetensorError as error:
        raise DamagedError(f"safetensors cannot read it ({error})") from error
    with file:
        metadata: dict[str, str] = file.metadata() or {}
        if _SKELETON not in metadata:
            raise DamagedError(
                f"it is a file of safetensors without a skeleton; it holds {sorted(file.keys())[:8]}"
            )
        dtypes: dict[str, str] = json.loads(metadata.get(_DTYPES, "{}"))

        def read(name: str) -> Array:
            try:
                array: Array = file.get_tensor(name)
            except package.SafetensorError as error:
                raise DamagedError(f"it has no array {name!r} ({error})") from error
            return from_bytes(array, dtypes[name]) if name in dtypes else array

        yield metadata[_SKELETON].encode(), read


def check() -> None:
    """Refuse where safetensors is missing.

    Raises:
        MissingPackageError: it is not installed.
    """
    _package("safetensors.numpy")


def _package(module: str) -> Any:
    return require(module, extra="torch", user="a checkpoint in a .safetensors file")
