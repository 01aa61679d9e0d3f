"""The best value of a series, and the last."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.support.report_runs import each_epoch
from trainsignal.report.best import Best, best_of, last_of
from trainsignal.report.records import Series


@pytest.mark.parametrize(
    ("direction", "best"), [("min", Best(2, 0.5, 2)), ("max", Best(1, 0.75, 1)), (None, None)]
)
def test_the_best_is_the_first_of_the_lowest_or_highest(direction: str | None, best: Best | None) -> None:
    series = each_epoch("cost/loss", [math.nan, 0.75, 0.5, 0.5, 0.75, math.inf], direction=direction)

    assert best_of(series) == best


def test_the_best_tells_the_epoch_of_its_row() -> None:
    series = Series("x/y", np.array([3.0, 1.0]), "epoch", np.array([4, 9]), direction="min")

    assert best_of(series) == Best(1, 1.0, 9)


def test_a_row_of_minibatches_has_no_epoch() -> None:
    series = Series("x/y", np.array([3.0, 1.0]), "minibatch", direction="min")

    assert best_of(series) == Best(1, 1.0, None)


def test_nothing_finite_has_no_best() -> None:
    assert best_of(each_epoch("cost/loss", [math.nan, math.inf], direction="min")) is None


@pytest.mark.parametrize("last", [3.0, math.nan, math.inf, -math.inf])
def test_the_last_is_that_of_the_last_row_whatever_it_is(last: float) -> None:
    np.testing.assert_equal(last_of(each_epoch("cost/loss", [1.0, 2.0, last])), last)


def test_the_last_of_a_sparse_series_is_the_last_finite_one() -> None:
    assert last_of(each_epoch("gan/gen_iter", [1.0, 2.0, math.nan], is_sparse=True)) == 2.0


def test_nothing_has_no_last() -> None:
    assert last_of(each_epoch("cost/loss", [])) is None
    assert last_of(each_epoch("gan/gen_iter", [math.nan], is_sparse=True)) is None
