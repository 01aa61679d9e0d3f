"""neon's checkpoints: pickles of protocol 2, readable by Python 3.6 with NumPy 1.13 and by each later one.

Pickles name the functions that rebuild their arrays, and NumPy 2 renamed its own. So arrays are written
with names that each NumPy has, and old names are translated on reading. Reading a pickle can run any
code: `formats` asks first.
"""

from __future__ import annotations

import operator
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from trainsignal.checkpoint.packing import DamagedError
from trainsignal.checkpoint.tree import is_array, is_scalar

_PROTOCOL = 2
"""neon's own, the newest that Python 2 reads. Arrays of the other byte order come back in the machine's."""

_TEXT_ENCODING = "latin1"
"""How strings of Python 2 are decoded: the one encoding in which its arrays survive."""


def write(state: Any, path: Path) -> None:
    """Write a plain state (`tree.make_plain`) to a new file.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    with path.open("wb") as stream:
        _Pickler(stream, protocol=_PROTOCOL).dump(state)


def read(path: Path) -> Any:
    """Return what the pickle at `path` holds; this can run any code.

    Raises:
        DamagedError: no pickle, a pickle that is cut off, or one that needs a package that is not installed.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        try:
            return _Unpickler(stream, encoding=_TEXT_ENCODING).load()
        except Exception as error:  # the code of a pickle, whole or damaged, may raise anything
            raise DamagedError(f"unpickling it fails with {type(error).__name__}: {error}") from error


class _Pickler(pickle.Pickler):
    """Names only what each NumPy has: `numpy.ndarray`, `numpy.dtype` and `operator.getitem`."""

    def reducer_override(self, obj: Any) -> Any:
        """Say how arrays and NumPy scalars are rebuilt; leave all else to pickle."""
        if is_array(obj):
            content = obj.__reduce__()[2]
            return np.ndarray, ((0,), np.dtype("b")), content
        if is_scalar(obj):
            return operator.getitem, (np.asarray(obj), ())
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    """Finds NumPy's modules where NumPy 2 keeps them; under the old names it warns, and may one day fail."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """Return the object that the pickle names."""
        if module_name == "numpy.core" or module_name.startswith("numpy.core."):
            module_name = module_name.replace("numpy.core", "numpy._core", 1)
        return super().find_class(module_name, global_name)
