from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trainsignal import histogram
from trainsignal.histogram import BINS, OFFSET, log2_histogram


def neons_counts(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return neon's histogram, with what it drops (beyond the last edge) in the last bin."""
    with np.errstate(divide="ignore"):
        powers = np.maximum(np.rint(np.log2(np.abs(values))), OFFSET)
    counts, _ = np.histogram(np.minimum(powers, OFFSET + BINS - 1), BINS, (OFFSET, OFFSET + BINS))
    return counts


def where(value: float, dtype: npt.DTypeLike = "f4") -> list[int]:
    """Return the bins in which one number is counted."""
    return np.flatnonzero(log2_histogram(np.array([value], dtype))[0]).tolist()


@pytest.mark.parametrize("power", range(OFFSET, OFFSET + BINS))
def test_each_power_of_two_has_a_bin_of_its_own(power: int) -> None:
    assert where(2.0**power) == where(-(2.0**power)) == [power + 48]


@pytest.mark.parametrize(("value", "place"), [
    (0.0, 0), (-0.0, 0), (1e-45, 0), (2.0**-60, 0), (2.0**-48.4, 0), (2.0**-47.6, 0), (2.0**-47.4, 1),
    (1.41421, 48), (1.41422, 49), (2.8284, 49), (2.8285, 50),
    (45.25, 53), (45.26, 54), (2.0**15, 63), (2.0**16, 63), (64.0, 54), (3e38, 63),
    (np.inf, 63), (-np.inf, 63),
])  # fmt: skip
def test_number_is_in_the_bin_of_the_nearest_power(value: float, place: int) -> None:
    assert where(value) == [place]


def test_nan_is_in_no_bin_and_counted_apart() -> None:
    counts, nans = log2_histogram(np.array([np.nan, 1, -np.nan, 0, np.inf], "f4"))
    assert nans == 2
    assert np.flatnonzero(counts).tolist() == [0, 48, 63]
    assert counts.sum() == 3


def test_nothing_is_counted_of_an_empty_array() -> None:
    counts, nans = log2_histogram(np.empty((0, 3), "f4"))
    assert (counts.sum(), nans) == (0, 0)


def test_counts_are_int32_in_64_bins() -> None:
    counts, _ = log2_histogram(np.ones(3))
    assert counts.dtype == np.int32
    assert counts.shape == (64,)


@pytest.mark.parametrize(
    "values",
    [[[1, 4], [4, 0]], np.array([1.0, 4.0, 4.0, 0.0]), np.array([1, 4, 4, 0], "f2")],
    ids=["list", "f8", "f2"],
)
def test_any_real_numbers_of_any_shape_are_counted(values: Any) -> None:
    assert {b: c for b, c in enumerate(log2_histogram(values)[0]) if c} == {0: 1, 48: 1, 50: 2}


def test_float64_too_large_or_small_for_float32_is_in_the_outer_bins() -> None:
    assert where(1e300, "f8") == [63]
    assert where(1e-300, "f8") == [0]


def test_slices_are_counted_as_they_are() -> None:
    values = np.array([[1, 2], [4, 8], [1, 2]], "f4")
    assert np.flatnonzero(log2_histogram(values[:, 1])[0]).tolist() == [49, 51]


def test_values_are_left_as_they_were() -> None:
    values = np.array([-3, 0, np.nan, 5], "f4")
    before = values.copy()
    log2_histogram(values)
    np.testing.assert_array_equal(values, before)


def test_rounding_at_every_half_is_that_of_the_logarithm() -> None:
    halves = np.float32(2.0) ** (np.arange(-50, 18, dtype=np.float32)[:, np.newaxis] + np.float32(0.5))
    steps = np.arange(-300, 301, dtype=np.int32)
    values = (halves.view(np.int32) + steps).view(np.float32)
    for row in values:
        np.testing.assert_array_equal(log2_histogram(row)[0], neons_counts(row))


@pytest.mark.parametrize("size", [1, 2, 1000, 16_384, 65_535, 65_536, 65_537, 200_001])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e13])
def test_counts_of_any_size_are_neons(size: int, scale: float) -> None:
    values = (scale * np.random.default_rng(size).standard_normal(size)).astype("f4")
    np.testing.assert_array_equal(log2_histogram(values)[0], neons_counts(values))


def test_one_strange_number_amid_many_changes_no_other() -> None:
    values = np.random.default_rng(0).standard_normal(150_000).astype("f4")
    expected = neons_counts(values[3:])
    values[:3] = np.nan, np.inf, 0
    counts, nans = log2_histogram(values)
    expected[[0, 63]] += 1
    np.testing.assert_array_equal(counts, expected)
    assert nans == 1


@given(hnp.arrays(np.float32, st.integers(0, 40), elements=st.floats(width=32)), st.integers(1, 9))
def test_every_number_is_in_neons_bin_or_counted_as_nan(values: npt.NDArray[np.float32], chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(histogram, "_CHUNK", chunk)
        counts, nans = log2_histogram(values)
    np.testing.assert_array_equal(counts, neons_counts(values[~np.isnan(values)]))
    assert nans == np.isnan(values).sum()
