"""Histograms of magnitudes by powers of two, as neon's: what `HistCallback` and the backend count with.

Pure functions over NumPy arrays; knows no callback and no model.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

BINS: Final = 64
"""Number of bins."""

OFFSET: Final = -48
"""The power of two whose magnitudes fall into bin 0, with all smaller ones."""

_CHUNK: Final = 64 * 1024
"""So many numbers at a time: they and what is computed of them stay in the processor's cache."""

_ROUNDING: Final = np.float32(3 * 2**22 - OFFSET)
"""Added to a small float32, rounds it as `rint`, and leaves it, less `OFFSET`, in the lowest bits."""

_Floats = npt.NDArray[np.float32]
_Bins = npt.NDArray[np.uint8]


def log2_histogram(values: npt.ArrayLike) -> tuple[npt.NDArray[np.int32], int]:
    """Count numbers by the power of two that their magnitude is nearest to, on the logarithmic scale.

    The bin of `v` is `rint(log2(abs(v))) - OFFSET` in float32, or the first or last bin where it is beyond:
    zeros and all that is smaller than 2**-48 are in bin 0, infinities and all that is larger than 2**15 in
    bin 63. NaN are in none. Source: neon's histogram, which drops what is nearer to 2**17 than to 2**16.

    Args:
        values: of any shape and real type; taken as float32.

    Returns:
        The counts, (BINS,) int32, and how many of the numbers are NaN.
    """
    with np.errstate(over="ignore"):  # a float64 may be too large for float32: infinite
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
    powers = np.empty(min(_CHUNK, flat.size), np.float32)
    bins = np.empty(powers.size, np.uint8)
    counts = np.zeros(BINS, np.int64)
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK]
        counts += _counts(_bins_of(chunk, powers[: chunk.size], bins[: chunk.size]))
    return counts.astype(np.int32), flat.size - int(counts.sum())


def _bins_of(chunk: _Floats, powers: _Floats, bins: _Bins) -> _Bins:
    """Return the bin of each number that is not NaN; `powers` and `bins`, as long as `chunk`, get used."""
    np.abs(chunk, out=powers)
    with np.errstate(divide="ignore", invalid="ignore"):  # the logarithm of 0 is -inf
        np.log2(powers, out=powers)
    if not powers.max() < BINS:  # NaN, infinite or near the largest float32
        return _clipped(powers)
    np.copyto(bins, (powers + _ROUNDING).view(np.uint32), casting="unsafe")
    return bins if bins.max() < BINS else _clipped(powers)  # of -inf the lowest bits are 0, as they should


def _clipped(powers: _Floats) -> _Bins:
    """Return the bins of logarithms of any size, without the NaN; takes twice as long."""
    known = powers[~np.isnan(powers)]
    return (np.clip(np.rint(known), OFFSET, OFFSET + BINS - 1) - OFFSET).astype(np.uint8)


def _counts(bins: _Bins) -> npt.NDArray[np.int64]:
    """Return how often each bin occurs, (BINS,).

    Many are counted two at a time, which takes half as long.
    """
    if bins.size < _CHUNK // 4 or bins.size % 2:
        return np.bincount(bins, minlength=BINS)
    pairs: npt.NDArray[Any] = np.bincount(bins.view(np.uint16), minlength=BINS * 256).reshape(BINS, 256)
    counts: npt.NDArray[np.int64] = pairs.sum(axis=0)[:BINS] + pairs.sum(axis=1)
    return counts
