from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal import SharedData
from trainsignal.errors import ConfigurationError
from trainsignal.smoothed_cost import cost_words, smoothed_costs, window_width


def test_costs_of_a_minibatch_are_read_from_the_series() -> None:
    data = SharedData()
    data.create_series("cost/train", 2)[:] = [0.5, 0.25]
    assert smoothed_costs(data, 1) == [0.25]


def test_several_costs_are_read_where_there_is_not_one() -> None:
    data = SharedData()
    data.create_series("multicost/train", 2, columns=(3,), dtype="f8")[:] = [[1, 2, 3], [4, 5, 6]]
    assert smoothed_costs(data, 1) == [4, 5, 6]
    data.create_series("cost/train", 2)[:] = [0.5, 0.25]
    assert smoothed_costs(data, 1) == [0.25]


def test_row_that_one_series_lacks_is_read_from_the_other() -> None:
    data = SharedData()
    data.create_series("cost/train", 1)
    data.create_series("multicost/train", 2, columns=(1,), dtype="f8")[:] = [[1], [2]]
    assert smoothed_costs(data, 1) == [2]


def test_no_costs_are_read_where_nobody_wrote_them() -> None:
    data = SharedData()
    assert smoothed_costs(data, 0) == []
    data.create_series("cost/train", 1)
    assert smoothed_costs(data, 1) == []


@pytest.mark.parametrize(("costs", "words"), [([1.234], "1.23"), ([2.27, 3.916, 3.71], "(2.27, 3.92, 3.71)")])
def test_costs_are_shown_as_neon_does(costs: list[float], words: str) -> None:
    assert cost_words(costs, ".2f") == words


@pytest.mark.parametrize("wsz", [0, -1, 1.5, True, "3", None], ids=repr)
def test_width_that_is_none_is_refused(wsz: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected the number of costs to average, at least 1"):
        window_width(wsz)


def test_numpy_integer_is_a_width() -> None:
    assert window_width(np.int64(2)) == 2
