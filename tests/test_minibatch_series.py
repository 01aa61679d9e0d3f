"""Series with a row for each minibatch of the run."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.runs import quiet
from trainsignal import keys
from trainsignal.errors import WiringError
from trainsignal.minibatch_series import announced_minibatches, create_minibatch_series
from trainsignal.shared_data import SharedData


def shared_data(minibatches: int | None) -> SharedData:
    """Return shared data of a run of so many minibatches."""
    data = quiet().callback_data
    data.create_group(keys.CONFIG)
    if minibatches is not None:
        data[keys.CONFIG].attrs[keys.TOTAL_MINIBATCHES] = minibatches
    return data


@pytest.mark.parametrize("minibatches", [None, 0, 7])
def test_announced_is_what_the_archive_says(minibatches: int | None) -> None:
    assert announced_minibatches(shared_data(minibatches)) == minibatches


def test_a_row_for_each_announced_minibatch_and_missing_where_nothing_was_recorded() -> None:
    data = shared_data(7)
    create_minibatch_series(data, "cost/train", direction="min")
    dataset = data["cost/train"]
    assert dataset.shape == (7,)
    assert dataset.dtype == np.float32
    assert np.isnan(dataset[:]).all()
    assert dataset.attrs[keys.TIME_MARKERS] == keys.PER_MINIBATCH
    assert dataset.attrs[keys.DIRECTION] == "min"


def test_rows_of_several_numbers_without_a_direction() -> None:
    data = shared_data(3)
    create_minibatch_series(data, "cost/branches", columns=(2,), dtype="f8")
    dataset = data["cost/branches"]
    assert (dataset.shape, dataset.dtype) == ((3, 2), np.dtype("f8"))
    assert keys.DIRECTION not in dataset.attrs


def test_a_series_of_that_name_is_not_overwritten() -> None:
    data = shared_data(3)
    create_minibatch_series(data, "cost/train")
    with pytest.raises(WiringError, match="cost/train"):
        create_minibatch_series(data, "cost/train")
