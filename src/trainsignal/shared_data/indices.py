"""Indices as neon's callbacks write them, made into what NumPy and h5py take; pure functions."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

import numpy as np

_NUMBERS: Final[Any] = (np.integer, np.floating, float)


def normal_index(index: Any, ndim: int) -> Any:
    """Return `index` with Python's integers for NumPy's and for integral floats, and `[row, :]` as `row`.

    neon's callbacks compute indices from float32 time markers, which h5py refuses. Anything else stays as
    it is, for h5py to judge.

    Args:
        index: what stands between the brackets.
        ndim: number of axes of the dataset.
    """
    if not is_tuple(index):
        return _normal_part(index)
    parts = tuple(_normal_part(part) for part in index)
    if 1 < len(parts) <= ndim and type(parts[0]) is int and all(_is_whole_axis(part) for part in parts[1:]):
        return parts[0]
    return parts


def is_tuple(index: Any) -> TypeGuard[tuple[Any, ...]]:
    """Return whether `index` has a part for each of several axes."""
    return isinstance(index, tuple)


def _normal_part(part: Any) -> Any:
    if isinstance(part, _NUMBERS):
        return int(part) if part.is_integer() else part
    if type(part) is slice:
        return slice(_normal_part(part.start), _normal_part(part.stop), _normal_part(part.step))
    return part


def _is_whole_axis(part: Any) -> bool:
    return type(part) is slice and part == slice(None)
