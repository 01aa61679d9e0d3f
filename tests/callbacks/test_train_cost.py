from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.runs import quiet
from trainsignal import TrainCostCallback
from trainsignal.errors import ConfigurationError


def smoothed(costs: list[list[float]], wsz: int) -> Any:
    """Return the series after epochs with these costs."""
    callbacks = quiet()
    callbacks.callbacks = [TrainCostCallback(wsz)]
    with callbacks.training(len(costs)) as run:
        for epoch in run.epochs():
            for cost in run.minibatches(costs[epoch]):
                run.cost = cost
    return callbacks.callback_data["cost/train"]


def test_cost_is_the_mean_of_the_last_minibatches() -> None:
    np.testing.assert_array_equal(smoothed([[1, 3, 5, 7, 9]], 2)[:], [1, 2, 4, 6, 8])


def test_window_runs_on_into_the_next_epoch() -> None:
    np.testing.assert_array_equal(smoothed([[1, 3], [5]], 2)[:], [1, 2, 4])


def test_window_of_one_is_the_cost_itself() -> None:
    np.testing.assert_array_equal(smoothed([[1, 3, 5]], 1)[:], [1, 3, 5])


def test_nan_and_infinity_are_recorded_until_they_leave_the_window() -> None:
    values = smoothed([[1, float("nan"), 3, 4, float("inf")]], 2)[:]
    np.testing.assert_array_equal(values, [1, np.nan, np.nan, 3.5, np.inf])


def test_axis_is_that_of_the_minibatches() -> None:
    series = smoothed([[1]], 1)
    assert dict(series.attrs) == {"time_markers": "minibatch", "direction": "min", "window": 1}
    assert series.dtype == np.float32


@pytest.mark.parametrize("wsz", [0, -1, 1.5, True, "3", None], ids=repr)
def test_width_that_is_none_is_refused(wsz: Any) -> None:
    with pytest.raises(ConfigurationError, match="number of costs to average, at least 1"):
        TrainCostCallback(wsz)


def test_numpy_integer_is_a_width() -> None:
    width: Any = np.int64(2)
    np.testing.assert_array_equal(smoothed([[1, 3]], width)[:], [1, 2])
