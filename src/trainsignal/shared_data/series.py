"""How a series is laid out in HDF5, and under which key; pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from trainsignal.errors import ConfigurationError, WiringError
from trainsignal.keys import Numbered, numbered

LARGEST_PLANNED_ROWS: Final = 2**22
"""A series of more rows starts empty: a run so long will hardly reach its end."""

CHUNK_BYTES: Final = 16 * 1024
"""Chunks of a long series; large enough that ten million rows have few, small enough for a short run."""

FEWEST_CHUNK_ROWS: Final = 64
"""Chunks of a short series, which may yet grow long."""


def layout(rows: int | None, columns: tuple[int, ...], dtype: npt.DTypeLike) -> dict[str, Any]:
    """Return what makes `create_dataset` create a series: chunked, growing, missing where not written.

    Raises:
        ConfigurationError: `rows` is negative, a row holds nothing, or `dtype` is no real number.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "iuf":
        raise ConfigurationError(
            f"a series holds real numbers, not {kind}. Use 'f4', 'f8' or an integer type."
        )
    if rows is not None and rows < 0:
        raise ConfigurationError(
            f"a series of {rows!r} rows cannot be. Give 0 or more, or None if not known."
        )
    if any(length < 1 for length in columns):
        raise ConfigurationError(f"rows of shape {columns!r} hold nothing. Give lengths of 1 or more.")
    planned = planned_rows(rows)
    chunk_rows = max(1, CHUNK_BYTES // (kind.itemsize * int(np.prod(columns))))
    if planned:
        chunk_rows = min(chunk_rows, max(planned, FEWEST_CHUNK_ROWS))
    return {
        "shape": (planned, *columns),
        "dtype": kind,
        "maxshape": (None, *columns),
        "chunks": (chunk_rows, *columns),
        "fillvalue": np.nan if kind.kind == "f" else 0,
    }


def planned_rows(rows: int | None) -> int:
    """Return how many rows a series begins with of those that a run may have; None: nobody knows.

    0 where it is to grow with the run.
    """
    return 0 if rows is None or rows > LARGEST_PLANNED_ROWS else int(rows)


def free_key(key: str, is_taken: Callable[[str], bool]) -> str:
    """Return `key`, or "<key>_2", "<key>_3" where a numbered one is taken.

    Raises:
        WiringError: a plain key is taken.
    """
    if not isinstance(key, Numbered) and is_taken(key):
        raise WiringError(
            f"two callbacks write the series {key!r}. Give one of them another name or label, "
            "or declare the key as keys.Numbered."
        )
    return next(free for free in numbered(key) if not is_taken(free))
