"""A table in the shared data: rows of a few named columns, numbers and text, of which the newest are kept.

Knows nothing of what the rows mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import h5py
import numpy as np

from trainsignal.shared_data.buffered import BufferedDataset
from trainsignal.shared_data.file import SharedData

CHUNK_ROWS: Final = 64

_h5py: Any = h5py  # h5py-stubs do not know all of it


def append_row(
    data: SharedData, key: str, columns: Sequence[str], row: Sequence[str | int | float], most: int
) -> bool:
    """Add a row at the end of the table at `key`, which is made if there is none.

    Args:
        data: the shared data.
        key: path of the table.
        columns: their names, the same each time.
        row: value of each column, of the same type each time; text without zeros and lone surrogates.
        most: rows to keep; where there would be more, the oldest tenth goes: moving rows takes time.

    Returns:
        Whether it was added; not where something else stands at `key`.
    """
    if key not in data:
        kind = np.dtype([(name, _column_type(value)) for name, value in zip(columns, row, strict=True)])
        data.create_dataset(key, (0,), kind, maxshape=(None,), chunks=(CHUNK_ROWS,))
    table = find_table(data, key, columns)
    if table is None:
        return False
    if len(table) >= most:
        put_rows(table, table[len(table) - most + max(1, most // 10) :])
    table.resize(len(table) + 1, axis=0)
    table[len(table) - 1] = tuple(row)
    return True


def find_table(data: SharedData, key: str, columns: Sequence[str]) -> Any:
    """Return the dataset at `key` if it is a table with these columns that can grow, else None."""
    found = data.get(key)
    table: Any = found if isinstance(found, BufferedDataset) and found.dtype.names == tuple(columns) else None
    return table if table is not None and table.maxshape == (None,) else None


def put_rows(table: Any, rows: Any) -> None:
    """Replace all rows of a table by `rows`, (rows,) of its type."""
    table.resize(len(rows), axis=0)
    if len(rows):
        table[:] = rows


def _column_type(value: str | int | float) -> Any:
    if isinstance(value, str):
        return _h5py.string_dtype()
    return np.int64 if isinstance(value, int) else np.float64
