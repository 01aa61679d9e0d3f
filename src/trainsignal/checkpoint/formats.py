"""Saving and loading one state; the suffix of the file chooses the format.

A new format is one more entry in `FORMATS`: a module with `write(state, path)` and `read(path)`, or, for
files that hold named arrays, with `write_arrays` and `open_arrays`, between which and the state `packing`
translates.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from trainsignal.abilities import Array
from trainsignal.checkpoint import hdf5, npz, pickles, safetensors_file, torch_file
from trainsignal.checkpoint.packing import DamagedError, Fetch, pack, unpack
from trainsignal.checkpoint.tree import make_plain
from trainsignal.errors import CheckpointError, ConfigurationError, UntrustedPickleError
from trainsignal.files import expand, replacing


@dataclass(frozen=True, slots=True)
class Format:
    """One way to keep a plain state in a file."""

    write: Callable[[Any, Path], None]
    read: Callable[[Path], Any]
    runs_code: bool = False
    """Whether reading a file can run code that is in it."""
    check: Callable[[], None] | None = None
    """Raises where the package that it needs is missing; None: it needs none."""


def _packed(
    write_arrays: Callable[[Path, str, Mapping[str, Array]], None],
    open_arrays: Callable[[Path], AbstractContextManager[tuple[bytes, Fetch]]],
    check: Callable[[], None] | None = None,
) -> Format:
    """Return the format of files that hold named arrays and a skeleton."""

    def write(state: Any, path: Path) -> None:
        write_arrays(path, *pack(state))

    def read(path: Path) -> Any:
        with open_arrays(path) as (skeleton, fetch):
            return unpack(skeleton, fetch)

    return Format(write, read, check=check)


_HDF5 = _packed(hdf5.write_arrays, hdf5.open_arrays)
_PICKLE = Format(pickles.write, pickles.read, runs_code=True)

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        ".h5": _HDF5,
        ".hdf5": _HDF5,
        ".npz": _packed(npz.write_arrays, npz.open_arrays),
        ".p": _PICKLE,
        ".pickle": _PICKLE,
        ".pkl": _PICKLE,
        ".prm": _PICKLE,
        ".pt": Format(torch_file.write, torch_file.read, check=torch_file.check),
        ".safetensors": _packed(
            safetensors_file.write_arrays, safetensors_file.open_arrays, safetensors_file.check
        ),
    }
)
"""The format of each suffix, in lower case."""


def save_state(state: object, path: str | os.PathLike[str]) -> Path:
    """Write `state` to `path`, whole or not at all: a kill at any moment leaves the old file or the new one.

    Args:
        state: nested dict, list, tuple, str, bytes, int, float, bool, None, NumPy arrays and scalars.
        path: its suffix chooses the format; ~ and $VARIABLES are expanded.

    Returns:
        The expanded path.

    Raises:
        ConfigurationError: the suffix names no format.
        CheckpointError: a value cannot be saved, or the file cannot be written; what was at `path` is whole.
    """
    target = expand(path)
    chosen = _format_of(target)
    tree = make_plain(state)
    try:
        with replacing(target) as temporary:
            chosen.write(tree, temporary)
    except OSError as error:
        raise CheckpointError(
            f"cannot write the checkpoint {str(target)!r}: {error}. What was there before is whole. Check "
            "the free space and the permissions of its folder, or choose another path."
        ) from error
    return target


def load_state(path: str | os.PathLike[str], *, trust_pickle: bool = False) -> Any:
    """Return the state that `save_state`, or for .prm and .pkl neon, wrote to `path`.

    Arrays are new and writable. A trusted pickle may hold anything.

    Args:
        path: its suffix tells the format; ~ and $VARIABLES are expanded.
        trust_pickle: loading a pickle can run any code. True only for a file that you, or someone whom you
            trust, wrote.

    Raises:
        ConfigurationError: the suffix names no format.
        UntrustedPickleError: a pickle, and `trust_pickle` is False.
        CheckpointError: the file is missing, cut off, damaged, or no checkpoint.
    """
    source = expand(path)
    chosen = _format_of(source)
    if not source.is_file():
        found = "that is a folder" if source.is_dir() else "there is no such file"
        raise CheckpointError(f"cannot load the checkpoint {str(source)!r}: {found}. Check the path.")
    if chosen.runs_code and not trust_pickle:
        raise UntrustedPickleError(
            f"{str(source)!r} is a pickle, and loading a pickle can run any code that is in it. Pass "
            "trust_pickle=True only for a file that you or someone you trust wrote."
        )
    check_suffix(source)  # for the package that it may need
    try:
        return chosen.read(source)
    except PermissionError as error:
        raise CheckpointError(
            f"cannot load the checkpoint {str(source)!r}: {error}. Change its permissions."
        ) from error
    except _UNREADABLE as error:
        raise CheckpointError(
            f"cannot load the checkpoint {str(source)!r}: {error}. The file is cut off, damaged, or not what "
            "its suffix says. Load another checkpoint."
        ) from error


_UNREADABLE = (
    DamagedError,
    EOFError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
"""What the readers raise on files that are cut off, damaged or foreign."""


def check_suffix(path: Path) -> None:
    """Refuse a path whose suffix names no format, while nothing is lost yet.

    Raises:
        ConfigurationError: it names none.
        MissingPackageError: it names one that needs a package which is not installed.
    """
    chosen = _format_of(path)
    if chosen.check is not None:
        chosen.check()


def _format_of(path: Path) -> Format:
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        found = f"the suffix {path.suffix!r}" if path.suffix else "no suffix"
        raise ConfigurationError(
            f"{str(path)!r} has {found}, and the suffix chooses the format of a checkpoint. Use one of "
            f"{', '.join(FORMATS)}; .h5 where nothing speaks for another."
        ) from None
