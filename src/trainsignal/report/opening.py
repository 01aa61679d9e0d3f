"""Opening an archive for reading, and saying what stands in its place where there is none."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py

from trainsignal import keys
from trainsignal.errors import ArchiveError, did_you_mean
from trainsignal.report.text_heaps import longest_text
from trainsignal.shared_data.foreign import open_for_reading

MOST_TRIES: Final = 5
"""To open a file that is replaced meanwhile."""

MOST_NEIGHBOURS: Final = 1000
"""Files of a folder in which a near name is looked for."""

_CHECKPOINT_ENTRY: Final = "skeleton"
"""What a checkpoint in HDF5 has, and an archive has not."""

REMEDY: Final = "Give the file that `output_file` named when the run was begun."
"""What to do where a file is no archive."""

_SIGNATURES: Final = (
    (0, b"PK\x03\x04", "a zip file, as checkpoints of .npz and .pt are"),
    (0, b"\x80", "a pickle, as neon's checkpoints are"),
    (8, b'{"', "a safetensors file, as checkpoints are"),
)
"""Where and how files begin that are taken for archives."""

_h5py: Any = h5py  # h5py-stubs do not know all of it


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An archive that is open.

    Attributes:
        file: for reading.
        longest_text_bytes: of all texts in it.
    """

    file: h5py.File
    longest_text_bytes: int


@contextlib.contextmanager
def opened(path: Path) -> Generator[Opened]:
    """Yield the archive at `path`, open for reading.

    A run that writes it is not disturbed, and the file is read as it stands.

    Raises:
        ArchiveError: there is no archive. The message says what there is, and what to do.
    """
    try:
        _check_is_hdf5(path)
        archive = _looked_through(path)
    except ArchiveError:
        raise
    except (OSError, ValueError) as error:
        raise ArchiveError(f"cannot read the archive {str(path)!r}: {_reason(error)}") from error
    with archive.file:
        _check_is_no_checkpoint(archive.file, path)
        yield archive


def _looked_through(path: Path) -> Opened:
    """Return an HDF5 file, open, whose texts were looked through: that very file, though runs replace it.

    Raises:
        ArchiveError: it is replaced all the time.
        OSError: it cannot be read.
        ValueError: it is damaged in a way that HDF5 does not notice.
    """
    for _ in range(MOST_TRIES):
        with path.open("rb") as stream:
            longest = longest_text(stream)
            file = open_for_reading(path)
            if os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return Opened(file, longest)
        file.close()
    raise ArchiveError(f"{str(path)!r} is replaced faster than it can be read. Try again.")


def _check_is_hdf5(path: Path) -> None:
    """Refuse what is no HDF5 file.

    Raises:
        ArchiveError: it is none.
        OSError: it cannot be read.
    """
    if not path.exists():
        if path.is_symlink():
            raise ArchiveError(f"{str(path)!r} is a link that leads nowhere. {REMEDY}")
        raise ArchiveError(f"there is no file {str(path)!r}.{_nearby(path)}")
    if path.is_dir():
        raise ArchiveError(f"{str(path)!r} is a folder, not an archive. Name a file in it.")
    if not path.is_file():
        raise ArchiveError(f"{str(path)!r} is no file, but a device or a pipe. {REMEDY}")
    with path.open("rb") as stream:
        begin = stream.read(16)
    if not begin:
        raise ArchiveError(f"{str(path)!r} is empty: whatever wrote it ended before it could. {REMEDY}")
    for place, signature, kind in _SIGNATURES:
        if begin.startswith(signature, place):
            raise ArchiveError(f"{str(path)!r} is {kind}, not the archive of a run. {REMEDY}")
    if not _h5py.is_hdf5(str(path)):
        raise ArchiveError(
            f"{str(path)!r} is no HDF5 file, as archives are: it begins with {begin[:8]!r}. {REMEDY}"
        )


def _check_is_no_checkpoint(file: h5py.File, path: Path) -> None:
    try:
        is_checkpoint = _CHECKPOINT_ENTRY in file and keys.CONFIG not in file
    except (OSError, RuntimeError, KeyError) as error:
        raise ArchiveError(f"the archive {str(path)!r} is damaged: {error}") from error
    if is_checkpoint:
        raise ArchiveError(f"{str(path)!r} is a checkpoint, not the archive of a run. {REMEDY}")


def _nearby(path: Path) -> str:
    """Return a hint at a file with a similar name, or at the folder that is not there."""
    if not path.parent.is_dir():
        return f" There is no folder {str(path.parent)!r} either."
    neighbours = itertools.islice(path.parent.iterdir(), MOST_NEIGHBOURS)
    return did_you_mean(path.name, [one.name for one in neighbours])


def _reason(error: Exception) -> str:
    """Return what is wrong with a file that HDF5 does not open, and what to do."""
    reason = getattr(error, "strerror", None) or str(error)
    if "truncated" in reason:
        return f"a part of it is missing ({reason}). Copy it again, or take a copy that is whole."
    return f"{reason}. {REMEDY}"
