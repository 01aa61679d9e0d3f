"""What an archive itself holds, by paths that are found once, and reading it within bounds.

Knows nothing of what they mean.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final, TypeAlias, cast

import h5py
import numpy as np
import numpy.typing as npt

from trainsignal.report import wording
from trainsignal.report.attributes import MOST_TEXTS, as_text
from trainsignal.report.records import Floats
from trainsignal.shared_data.foreign import READ_ERRORS, PassedOver, own_members

_h5py: Any = h5py  # h5py-stubs do not know all of it; for the same reason, its objects are Any below

MOST_MEMBERS: Final = 10_000
"""Groups and datasets that are looked at; an open one takes a tenth of a megabyte, so none is kept open."""

LONGEST_PATH: Final = 1000
"""Characters."""

MOST_BYTES: Final = 2**30
"""All that is read of an archive together, in memory."""

MOST_TEXT_BYTES: Final = 2**26
"""Texts that are read at once, and those of one table; many may share one, which costs a file nothing."""

LARGEST_CHUNK_BYTES: Final = 2**26
"""HDF5 unpacks a chunk as a whole, whatever is asked of it; a small file can announce large ones."""

LARGEST_TABLE_CHUNK_BYTES: Final = 2**20
"""Of a table, which is read in pieces: so much HDF5 keeps, instead of unpacking it for each."""

Tell: TypeAlias = Callable[[str], object]
"""Takes a sentence on what could not be read."""


class Contents:
    """The members of an archive that it holds itself.

    Args:
        file: an `h5py.File`, open for reading, or a `SharedData`.
        tell: told what is passed over.
        longest_text_bytes: that the file holds; 0 for data of this process, which is trusted.
        most_bytes: see `MOST_BYTES`.
        most_text_bytes: see `MOST_TEXT_BYTES`.

    Attributes:
        most_texts: so many can be read at once, whatever they are.

    Raises:
        Exception: one of `READ_ERRORS`, where not even the names at the top can be read.
    """

    def __init__(
        self,
        file: Any,
        tell: Tell,
        *,
        longest_text_bytes: int = 0,
        most_bytes: int = MOST_BYTES,
        most_text_bytes: int = MOST_TEXT_BYTES,
    ) -> None:
        self.tell = tell
        self.most_texts = max(1, min(MOST_TEXTS, most_text_bytes // max(longest_text_bytes, 1)))
        self._file = file
        self._most_bytes = self._bytes_left = most_bytes
        self._most_text_bytes = most_text_bytes
        self._groups: set[str] = set()
        self._datasets: dict[str, None] = {}  # in the order of the archive
        walk = own_members(file)
        for path, member in itertools.islice(walk, MOST_MEMBERS):
            if isinstance(member, PassedOver):
                if not path and member.error is not None:
                    raise member.error
                tell(f"{shortened(path)!r} {member.reason}")
            elif len(path) > LONGEST_PATH:
                tell(f"{shortened(path)!r} has too long a path")
            elif isinstance(member, h5py.Group):
                self._groups.add(path)
            else:
                self._datasets[path] = None
        if next(walk, None) is not None:
            tell(f"the archive holds more than {MOST_MEMBERS:,} groups and datasets: the others are not read")

    @property
    def datasets(self) -> tuple[str, ...]:
        """Paths of all datasets."""
        return tuple(self._datasets)

    def datasets_in(self, group: str) -> list[str]:
        """Return the paths of the datasets in a group, not of those further below."""
        return [path for path in self._datasets if path.rpartition("/")[0] == group]

    def groups_in(self, group: str) -> list[str]:
        """Return the paths of the groups in a group, sorted."""
        return sorted(path for path in self._groups if path.rpartition("/")[0] == group)

    def group(self, path: str) -> Any:
        """Return the group at `path`; None where there is none."""
        return self._opened(path) if path in self._groups else None

    def dataset(self, path: str) -> Any:
        """Return the dataset at `path`; None where there is none."""
        return self._opened(path) if path in self._datasets else None

    def read(self, dataset: Any, selection: Any = (), *, is_kept: bool = True) -> npt.NDArray[Any]:
        """Return what a dataset holds, or a part of it.

        Args:
            dataset: of numbers.
            selection: as between the brackets of a NumPy array, but of slices with a stop only.
            is_kept: counts against `MOST_BYTES`.

        Raises:
            ValueError: it would take too much memory.
            Exception: one of `READ_ERRORS`.
        """
        _check_chunks(dataset, LARGEST_CHUNK_BYTES)
        size = dataset.dtype.itemsize
        for axis, length in enumerate(dataset.shape):
            part = selection[axis] if axis < len(selection) else slice(None)
            size *= len(range(*part.indices(length)))
        self.keep(size, is_kept=is_kept)
        return np.asarray(dataset[selection])

    def keep(self, size_bytes: int, *, is_kept: bool = True) -> None:
        """Count memory that is about to be taken, unless it is not kept.

        Raises:
            ValueError: it would be too much.
        """
        if size_bytes > self._bytes_left:
            raise ValueError(
                f"it has {size_bytes:,} bytes, and {self._most_bytes:,} are read of an archive in all"
            )
        if is_kept:
            self._bytes_left -= size_bytes

    def rows(self, table: Any, begin: int, end: int) -> Iterator[tuple[Any, ...]]:
        """Yield rows of a table that may hold texts, which the caller is to shorten one by one.

        Args:
            table: a dataset of one axis, each row of several fields.
            begin: the first row.
            end: the one after the last.

        Raises:
            ValueError: it would take too much memory.
            Exception: one of `READ_ERRORS`.
        """
        _check_chunks(table, LARGEST_TABLE_CHUNK_BYTES)
        count = max(1, min(self.most_texts, self._most_text_bytes // table.dtype.itemsize))
        left = self._most_text_bytes
        for first in range(begin, end, count):
            rows: list[tuple[Any, ...]] = np.asarray(table[first : min(first + count, end)]).tolist()
            left -= sum(len(field) for row in rows for field in row if isinstance(field, (bytes, str)))
            if left < 0:
                raise ValueError(f"its texts have more than {self._most_text_bytes:,} bytes")
            yield from rows

    @contextlib.contextmanager
    def telling(self, path: str) -> Generator[None]:
        """Turn an error of reading `path` into a sentence, and go on."""
        try:
            yield
        except READ_ERRORS as error:
            reason = str(error).partition("\n")[0]
            self.tell(f"{shortened(path)!r} cannot be read: {as_text(reason)}")

    def _opened(self, path: str) -> Any:
        with self.telling(path):
            return self._file[path]
        return None


def _check_chunks(dataset: Any, largest_bytes: int) -> None:
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > largest_bytes:
        raise ValueError(f"its chunks are larger than {largest_bytes:,} bytes")


def written_length(dataset: Any, axis: int) -> int:
    """Return the length of an axis up to where anything was ever written; the rest takes no space.

    So a dataset that announces 2**40 rows costs nothing.

    Raises:
        Exception: one of `READ_ERRORS`.
    """
    length = int(dataset.shape[axis])
    if dataset.chunks is None:
        return length if dataset.id.get_storage_size() else 0
    ends = [0]

    def note(chunk: Any) -> None:
        ends[0] = max(ends[0], int(chunk.chunk_offset[axis]))

    if not dataset.id.get_num_chunks():
        return 0
    dataset.id.chunk_iter(note)
    return min(length, ends[0] + int(dataset.chunks[axis]))


def floating(values: npt.NDArray[Any]) -> Floats:
    """Return numbers in a floating type of this machine's byte order; integers as float64."""
    kind = values.dtype
    if kind.kind == "f" and kind.itemsize <= 8:
        return cast("Floats", values.astype(kind.newbyteorder("="), copy=False))
    return float64s(values)


def float64s(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return numbers as float64; infinite where they are beyond."""
    with np.errstate(over="ignore", invalid="ignore"):  # invalid: a NaN of the kind that signals
        return values.astype(np.float64)


def is_numeric(dataset: Any) -> bool:
    """Return whether a dataset holds real numbers; values of an enumeration and bools are none."""
    if dataset.shape is None or dataset.dtype.kind not in "iuf":
        return False
    return _h5py.check_enum_dtype(dataset.dtype) is None


def shortened(path: str) -> str:
    """Return a path for a message."""
    return wording.shortened(path, 200)
