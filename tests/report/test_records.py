"""What was read of a run, as plain values."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.report_runs import each_epoch, run, timeline, train_cost
from trainsignal.report.records import Series

ROWS = np.array([0, 4, 9])


@pytest.mark.parametrize(
    ("series", "moments"),
    [
        (Series("a", np.zeros(10), "minibatch"), [0.1, 0.5, 1]),
        (Series("a", np.zeros(10), "minibatch", holds_from_begin=True), [0, 0.4, 0.9]),
        (Series("a", np.zeros(10), "epoch", np.arange(10)), [1, 5, 10]),
        (Series("a", np.zeros(10), "epoch", np.arange(10) * 2 + 1), [2, 10, 20]),
        (Series("a", np.zeros(10), "epoch", np.arange(10), holds_from_begin=True), [0, 4, 9]),
        (Series("a", np.zeros(10), "row"), [0, 4, 9]),
    ],
)
def test_a_row_lies_at_the_end_of_what_it_tells_of_or_at_its_begin(
    series: Series, moments: list[float]
) -> None:
    np.testing.assert_allclose(series.moments(ROWS, timeline(epochs=4, minibatches=10)), moments)


def test_the_series_of_a_group_are_those_below_it() -> None:
    given = run(
        train_cost(), train_cost(key="costly/x"), each_epoch("cost/loss", [1.0]), train_cost(key="cost")
    )

    assert [one.key for one in given.below("cost")] == ["cost/train", "cost/loss"]
