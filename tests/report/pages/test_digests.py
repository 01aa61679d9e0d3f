"""What is known of all rows of a series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.report_runs import each_epoch
from trainsignal.report.pages.digests import Digests, digest
from trainsignal.report.records import Series

GAPS = [3.0, np.nan, -1.0, np.inf, -np.inf, np.nan, np.nan]


def test_rows_without_a_finite_value_are_gaps_and_are_counted() -> None:
    known = digest(each_epoch("cost/loss", GAPS), 100)
    assert known.rows.tolist() == [0, 2]
    assert known.gaps.tolist() == [1, 3, 4, 5, 6]
    assert (known.missing, known.infinite) == (3, 2)


def test_rows_that_are_empty_on_purpose_are_neither_gaps_nor_counted() -> None:
    known = digest(Series("gan/cost_dis", np.array(GAPS), "minibatch", is_sparse=True), 100)
    assert known.gaps.size == 0
    assert (known.missing, known.infinite) == (0, 2)


def test_the_best_of_many_rows_is_the_first_of_equal_ones() -> None:
    values = np.random.default_rng(0).random(100_000)
    values[[77, 88_888]] = 2
    values[[99, 999]] = -2
    highest = digest(Series("a", values, "minibatch", direction="max"), 200)
    lowest = digest(Series("a", values, "minibatch", direction="min"), 200)
    assert (highest.best_row, lowest.best_row) == (77, 99)
    assert digest(Series("a", values, "minibatch"), 200).best_row == -1


@pytest.mark.parametrize(
    ("values", "expected"), [([1e-9, 1, -1], True), ([1, -1], False), ([0, 0, 1], False), ([np.inf], False)]
)
def test_what_is_mostly_above_zero_can_be_drawn_logarithmically(values: list[float], expected: bool) -> None:
    assert digest(Series("a", np.array(values), "minibatch"), 200).is_mostly_positive is expected


def test_a_series_that_stays_the_same_object_has_the_same_digest() -> None:
    series = each_epoch("cost/loss", [1, 2])
    digests = Digests()
    digests.update([series], 100)
    before = digests[series]
    digests.update([series], 100)
    assert digests[series] is before


def test_a_series_that_comes_anew_or_with_other_points_is_looked_through_again() -> None:
    series = each_epoch("cost/loss", [1, 2])
    digests = Digests()
    digests.update([series], 100)
    before = digests[series]
    digests.update([series], 50)
    assert digests[series].points == 50
    anew = replace(series)
    digests.update([anew], 100)
    assert digests[anew] is not before


def test_a_series_that_is_gone_is_forgotten() -> None:
    series = each_epoch("cost/loss", [1, 2])
    digests = Digests()
    digests.update([series], 100)
    digests.update([], 100)
    with pytest.raises(KeyError):
        digests[series]
