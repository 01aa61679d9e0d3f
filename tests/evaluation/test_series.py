from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal.errors import FrequencyError
from trainsignal.evaluation import EpochSeries
from trainsignal.keys import Numbered
from trainsignal.shared_data import SharedData

NAMES = (Numbered("cost/a"), Numbered("cost/b"))


@pytest.mark.parametrize("frequency, rows, axis", [
    (2, 2, {"epoch_freq": 2}), ([0, 3, 4], 3, {"epochs": [0, 3, 4]}), (None, 0, {"epochs": []}),
], ids=repr)  # fmt: skip
def test_series_have_the_rows_of_their_frequency_and_tell_its_axis(
    frequency: Any, rows: int, axis: dict[str, Any]
) -> None:
    data = SharedData()
    EpochSeries(NAMES, frequency).create(data, 5, ("min", None))
    for name, direction in (("cost/a", {"direction": "min"}), ("cost/b", {})):
        attributes = {key: np.asarray(value).tolist() for key, value in data[name].attrs.items()}
        assert attributes == {"time_markers": "epoch_freq", **axis, **direction}
        assert data[name].shape == (rows,)


def test_values_are_written_in_the_row_of_their_epoch() -> None:
    data = SharedData()
    series = EpochSeries(NAMES, 2)
    series.create(data, 4, (None, None))
    series.write(data, 3, (1, 2))
    np.testing.assert_array_equal(data["cost/a"][:], [np.nan, 1])
    np.testing.assert_array_equal(data["cost/b"][:], [np.nan, 2])


def test_series_whose_names_are_taken_are_numbered_and_written_there() -> None:
    data = SharedData()
    for value in (1, 2):
        series = EpochSeries(NAMES, 1)
        series.create(data, 1, (None, None))
        series.write(data, 0, (value, 10 * value))
    assert (data["cost/a"][0], data["cost/b"][0]) == (1, 10)
    assert (data["cost/a_2"][0], data["cost/b_2"][0]) == (2, 20)


def test_series_that_somebody_else_made_are_written_under_their_own_names() -> None:
    data = SharedData()
    for name in NAMES:
        data.create_dataset(name, (2,))
    EpochSeries(NAMES, 1).write(data, 1, (1, 2))
    assert data["cost/a"][1] == 1


def test_epoch_that_has_no_row_is_refused() -> None:
    data = SharedData()
    series = EpochSeries(NAMES, 2)
    series.create(data, 4, (None, None))
    with pytest.raises(FrequencyError, match="epoch 2 has no row"):
        series.write(data, 2, (1, 2))


def test_as_many_values_as_series_are_needed() -> None:
    data = SharedData()
    series = EpochSeries(NAMES, 1)
    series.create(data, 1, (None, None))
    with pytest.raises(ValueError, match="shorter"):
        series.write(data, 0, (1,))
