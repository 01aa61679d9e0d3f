"""Which points of a series are drawn, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.report_runs import each_epoch, timeline, train_cost
from trainsignal.report.pages.digests import digest
from trainsignal.report.pages.points import DOT_SIZE, STAR_SIZE, Columns, Window, columns
from trainsignal.report.records import Floats, Series
from trainsignal.report.timeline import Timeline

EVEN = timeline(epochs=4, minibatches=10, seconds=15.0)


def drawn_of(series: Series, timeline: Timeline, points: int, window: Window | None = None) -> Columns:
    return columns(series, digest(series, points), timeline, window)


def per_minibatch(values: list[float] | Floats, key: str = "cost/train", **more: Any) -> Series:
    return Series(key, np.asarray(values, np.float32), "minibatch", **more)


def test_a_row_of_an_epoch_lies_at_its_end_on_each_axis() -> None:
    drawn = drawn_of(each_epoch("cost/loss", [4, 2, 1]), EVEN, 100)
    assert drawn["epoch"].tolist() == [1, 2, 3]
    assert drawn["minibatch"].tolist() == [10, 20, 30]
    assert drawn["time"].tolist() == [15, 30, 45]
    assert drawn["value"].tolist() == [4, 2, 1]
    assert drawn["row"].tolist() == [0, 1, 2]


def test_a_row_of_a_minibatch_lies_where_it_was_done() -> None:
    drawn = drawn_of(train_cost(40), EVEN, 100)
    assert drawn["minibatch"].tolist() == list(range(1, 41))
    np.testing.assert_allclose(drawn["epoch"], np.arange(1, 41) / 10, rtol=1e-7)
    np.testing.assert_allclose(drawn["time"], np.arange(1, 41) * 1.5, rtol=1e-7)


def test_rows_that_are_nothing_known_lie_at_their_index() -> None:
    drawn = drawn_of(Series("mine", np.array([5.0, 6.0]), "row"), EVEN, 100)
    assert [drawn[axis].tolist() for axis in ("epoch", "minibatch", "time")] == [[0, 1]] * 3


def test_a_time_that_nobody_noted_is_missing() -> None:
    untimed = Timeline(EVEN.minibatches, np.full(5, np.nan))
    assert np.isnan(drawn_of(train_cost(), untimed, 100)["time"]).all()


def test_a_line_breaks_where_values_are_missing_or_infinite() -> None:
    drawn = drawn_of(per_minibatch([1, np.nan, np.inf, 2, 3, -np.inf, 4]), EVEN, 100)
    np.testing.assert_array_equal(drawn["value"], [1, np.nan, 2, 3, np.nan, 4])
    assert drawn["row"].tolist() == [0, -1, 3, 4, -1, 6]


def test_a_line_goes_on_over_rows_that_are_empty_on_purpose() -> None:
    drawn = drawn_of(per_minibatch([1, np.nan, 2], is_sparse=True), EVEN, 100)
    assert drawn["value"].tolist() == [1, 2]
    assert drawn["minibatch"].tolist() == [1, 3]


def test_a_line_of_few_points_has_a_dot_at_each_but_not_at_breaks() -> None:
    drawn = drawn_of(per_minibatch([1, np.nan, 2]), EVEN, 100)
    assert drawn["dot"].tolist() == [DOT_SIZE, 0, DOT_SIZE]


def test_of_a_long_line_only_points_between_breaks_have_dots() -> None:
    values = np.ones(300)
    values[[9, 11, 50, 299 - 1]] = np.nan
    drawn = drawn_of(per_minibatch(values), timeline(30), 1000)
    assert drawn["row"][drawn["dot"] > 0].tolist() == [10, 299]


def test_the_first_of_the_best_values_has_a_star() -> None:
    drawn = drawn_of(each_epoch("metrics/a", [1, 3, 3, 2], direction="max"), EVEN, 100)
    assert drawn["star"].tolist() == [0, STAR_SIZE, 0, 0]


def test_the_best_value_is_among_few_points() -> None:
    values = np.random.default_rng(0).random(10_000)
    values[4321] = -1
    drawn = drawn_of(Series("cost/loss", values, "minibatch", direction="min"), timeline(1000), 20)
    assert drawn["row"][drawn["star"] > 0].tolist() == [4321]


def test_nobody_knows_which_value_is_best_without_a_direction() -> None:
    assert not drawn_of(each_epoch("metrics/a", [1, 2]), EVEN, 100)["star"].any()


def test_the_lowest_and_highest_of_many_values_stay() -> None:
    values = np.random.default_rng(0).random(100_000)
    values[[777, 88_888]] = -5, 5
    drawn = drawn_of(Series("mine/a", values, "minibatch"), timeline(10_000), 200)
    assert drawn["value"].size <= 210
    assert {777, 88_888} <= set(drawn["row"].tolist())


def test_what_is_looked_at_has_all_its_rows_and_the_rest_stays_as_it_was() -> None:
    series = Series("mine/a", np.random.default_rng(0).random(100_000), "minibatch")
    whole = drawn_of(series, timeline(10_000), 200)
    drawn = drawn_of(series, timeline(10_000), 200, Window("minibatch", 501, 600))
    inside = (drawn["row"] >= 500) & (drawn["row"] < 600)
    assert drawn["row"][inside].tolist() == list(range(500, 600))
    outside = (whole["row"] < 499) | (whole["row"] > 601)
    assert set(whole["row"][outside].tolist()) <= set(drawn["row"].tolist())
    assert (np.diff(drawn["row"]) > 0).all()


def test_a_window_is_of_its_axis() -> None:
    series = Series("mine/a", np.random.default_rng(0).random(10_000), "minibatch")
    drawn = drawn_of(series, timeline(1000, seconds=20.0), 20, Window("time", 200, 219))  # 2 s a minibatch
    assert {99, 100, 101, 102, 103, 104, 105, 106, 107, 108} <= set(drawn["row"].tolist())
    assert drawn["row"].size < 40


def test_rows_of_nothing_known_have_no_window() -> None:
    series = Series("mine/a", np.random.default_rng(0).random(10_000), "row")
    assert drawn_of(series, EVEN, 20, Window("epoch", 5, 6))["row"].size < 30


def test_a_rate_holds_from_its_epochs_begin_to_the_last_ones_end() -> None:
    rate = each_epoch("learning_rate", [0.5, 0.25], holds_from_begin=True, direction="min")
    drawn = drawn_of(rate, EVEN, 100)
    assert drawn["epoch"].tolist() == [0, 1, 2]
    assert drawn["value"].tolist() == [0.5, 0.25, 0.25]
    assert drawn["minibatch"].tolist() == [0, 10, 20]
    assert drawn["dot"].tolist() == [DOT_SIZE, DOT_SIZE, 0]
    assert drawn["star"].tolist() == [0, STAR_SIZE, 0]


def test_a_rate_without_a_value_has_no_points() -> None:
    assert (
        drawn_of(each_epoch("learning_rate", [np.nan], holds_from_begin=True), EVEN, 100)["value"].size == 0
    )


@pytest.mark.parametrize(
    ("values", "dtype"),
    [([0.5, 0.25], "f4"), ([0.1, 0.2], "f8"), ([1e300, np.inf], "f8")],
    ids=["exact in half the bytes", "not exact", "too large"],
)
def test_numbers_take_half_the_bytes_where_nothing_is_lost(values: list[float], dtype: str) -> None:
    drawn = drawn_of(Series("mine/a", np.array(values), "minibatch"), EVEN, 100)
    assert drawn["value"].dtype == np.dtype(dtype)
    assert drawn["value"][0] == values[0]
