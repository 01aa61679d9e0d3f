"""The cells of a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.pieces import HOSTILE
from trainsignal.report.pages.heat_map_cells import Cells, cells
from trainsignal.report.records import Histogram


def histogram(counts: Any, **changes: Any) -> Histogram:
    """Return a histogram of bins from 2**-3 on, a column a minibatch."""
    array = np.array(counts, np.float32)
    bins, columns = array.shape
    given: dict[str, Any] = {
        "name": "Linear_0_W",
        "exponents": np.arange(bins) - 3,
        "begins": np.arange(columns, dtype=np.float64),
        "ends": np.arange(columns) + 1.0,
        "axis": "minibatch",
    }
    return Histogram(counts=array, **(given | changes))


def images_of(drawn: Cells) -> list[list[list[float]]]:
    return [image.tolist() for image in drawn["image"]]


def test_a_column_has_shares_and_rows_go_from_the_first_power_that_occurs_to_the_last() -> None:
    drawn = cells(histogram([[0, 0], [3, 0], [0, 0], [1, 2], [0, 0]]), 10)

    assert images_of(drawn) == [[[0.75, 0], [0, 0], [0.25, 1]]]
    assert [list(total) for total in drawn["total"]] == [[4, 2]]
    assert (drawn["x"], drawn["dw"], drawn["y"], drawn["dh"]) == ([0], [2], [-2.5], [3])
    assert (drawn["lowest"], drawn["highest"], drawn["most"]) == ([-3], [1], [1.0])


def test_steps_of_other_widths_and_gaps_are_pictures_of_their_own() -> None:
    begins, ends = np.array([0.0, 2, 4, 10, 12]), np.array([2.0, 4, 5, 12, 14])
    drawn = cells(histogram([[1, 2, 3, 4, 5]], begins=begins, ends=ends), 10)

    assert drawn["x"] == [0, 4, 10]
    assert drawn["dw"] == [4, 1, 4]
    assert [list(total) for total in drawn["total"]] == [[1, 2], [3], [4, 5]]
    assert all(len(column) == 3 for column in drawn.values())


def test_of_too_many_columns_neighbours_become_their_mean() -> None:
    drawn = cells(histogram([[2, 4, 1, 3, 8], [0, 2, 1, 1, 0]]), 3)

    assert images_of(drawn) == [[[0.75, pytest.approx(2 / 3)], [0.25, pytest.approx(1 / 3)]], [[1], [0]]]
    assert [list(total) for total in drawn["total"]] == [[4, 3], [8]]
    assert (drawn["x"], drawn["dw"]) == ([0, 4], [4, 1])


def test_a_histogram_without_any_count_is_empty_over_all_its_powers() -> None:
    drawn = cells(histogram([[0, 0], [0, 0]]), 10)

    assert images_of(drawn) == [[[0, 0], [0, 0]]]
    assert (drawn["y"], drawn["dh"], drawn["most"]) == ([-3.5], [2], [1.0])


def test_what_is_no_count_is_none() -> None:
    drawn = cells(histogram([[np.nan, 1], [np.inf, 1], [-5, 2]]), 10)

    assert images_of(drawn) == [[[0, 0.25], [0, 0.25], [0, 0.5]]]


def test_pictures_lie_in_rows_as_bokeh_sends_them() -> None:
    drawn = cells(histogram(np.arange(12).reshape(3, 4) + 1.0, ends=np.array([1.0, 2, 3, 5])), 10)

    assert all(image.flags.c_contiguous and image.dtype == np.float32 for image in drawn["image"])


def test_the_title_is_no_tex() -> None:
    title = cells(histogram([[1]], name=HOSTILE), 10)["title"][0]

    assert "$$" not in title
    assert title.replace("\N{WORD JOINER}", "") == HOSTILE
