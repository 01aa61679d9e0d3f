"""Few points that look as all of them do."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from trainsignal.report.thinning import thinned

floats = st.floats(width=32)
values_of_any_kind = nps.arrays(np.float32, st.integers(0, 300), elements=floats)
points_allowed = st.integers(4, 60)


@given(values_of_any_kind, points_allowed)
def test_rows_ascend_are_finite_and_few(values: npt.NDArray[Any], points: int) -> None:
    rows = thinned(values, points)

    assert (np.diff(rows) > 0).all()
    assert np.isfinite(values[rows]).all()
    assert rows.size <= points + 4


@given(values_of_any_kind, points_allowed)
def test_the_lowest_the_highest_the_first_and_the_last_stay(values: npt.NDArray[Any], points: int) -> None:
    finite = np.flatnonzero(np.isfinite(values))
    rows = thinned(values, points)

    if finite.size:
        assert values[rows].min() == values[finite].min()
        assert values[rows].max() == values[finite].max()
        assert rows[[0, -1]].tolist() == finite[[0, -1]].tolist()
    else:
        assert rows.size == 0


@given(values_of_any_kind, points_allowed)
def test_no_stretch_lacks_its_lowest_or_highest(values: npt.NDArray[Any], points: int) -> None:
    kept = set(thinned(values, points).tolist())
    finite = np.flatnonzero(np.isfinite(values))
    if finite.size <= points:
        assert kept == set(finite.tolist())
        return
    length = -(-finite.size // (points // 2))
    for begin in range(0, finite.size, length):
        stretch = finite[begin : begin + length]
        present = [row for row in stretch.tolist() if row in kept]
        assert values[present].min() == values[stretch].min()
        assert values[present].max() == values[stretch].max()


@pytest.mark.parametrize("rows", [100_000, 99_991])
def test_a_single_spike_is_never_lost(rows: int) -> None:
    for spike in (1, rows // 2, rows - 2):
        values = np.zeros(rows, np.float32)
        values[spike] = 1
        assert spike in thinned(values, 1000)


def test_few_rows_all_stay() -> None:
    assert thinned(np.array([1.0, np.nan, 2, np.inf]), 4).tolist() == [0, 2]
