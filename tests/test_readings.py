from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal import SharedData, keys
from trainsignal.frequency import Frequency
from trainsignal.readings import epoch_row, is_unreported, tracked_series, value_at_epoch_end, value_in

PER_MINIBATCH: dict[str, object] = {keys.TIME_MARKERS: keys.PER_MINIBATCH}


def series(values: Any, attributes: dict[str, object]) -> Any:
    data = SharedData()
    made = data.create_series("some/values", len(values), attributes=attributes)
    made[:] = values
    return made


@pytest.mark.parametrize("frequency, rows", [
    (1, [0, 1, 2, 3]), (2, [None, 0, None, 1]), ([0, 3], [0, None, None, 1]), ([], [None] * 4),
    (None, [None] * 4),
], ids=repr)  # fmt: skip
def test_row_of_an_epoch_is_found_by_the_frequency_that_the_series_tells(
    frequency: Frequency, rows: list[int | None]
) -> None:
    made = series(np.zeros(4), keys.epoch_axis(frequency))
    assert [epoch_row(made, epoch) for epoch in range(4)] == rows


def test_series_that_tells_no_frequency_has_a_row_for_each_epoch() -> None:
    assert epoch_row(series([1, 2], {}), 1) == 1


def test_epoch_beyond_the_end_has_no_row() -> None:
    assert epoch_row(series([1, 2], keys.epoch_axis(1)), 2) is None


def test_value_is_as_stored_and_none_where_missing() -> None:
    made = series([0.1, np.nan, np.inf], keys.epoch_axis(1))
    found = value_in(made, 0)
    assert isinstance(found, np.float32) and found == np.float32(0.1)
    assert [value_in(made, row) for row in (1, 3, -1, None)] == [None] * 4
    assert value_in(made, 2) == np.inf


def test_at_an_epochs_end_a_series_of_minibatches_says_what_it_said_last() -> None:
    made = series([1, 2, 3, 4], PER_MINIBATCH)
    assert [value_at_epoch_end(made, 0, 2), value_at_epoch_end(made, 1, 4)] == [2, 4]
    assert value_at_epoch_end(made, 0, 0) is None


def test_at_an_epochs_end_a_series_of_epochs_says_that_epochs_value() -> None:
    made = series([1, 2], keys.epoch_axis(2))
    assert [value_at_epoch_end(made, epoch, 99) for epoch in range(4)] == [None, 1, None, 2]


def test_series_are_tracked_that_tell_their_axis_and_have_one_number_a_row() -> None:
    data = SharedData()
    data.create_series("b/epochs", 2, attributes=keys.epoch_axis(1))
    data.create_series("a/minibatches", 2, attributes=PER_MINIBATCH)
    data.create_series("columns", 2, columns=(3,), attributes=PER_MINIBATCH)
    data.create_series("no_axis", 2)
    data.create_series("other_axis", 2, attributes={keys.TIME_MARKERS: "epoch"})
    data.create_group("group").attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH

    found = tracked_series(data)

    assert list(found) == ["a/minibatches", "b/epochs"]
    assert found["b/epochs"] is data["b/epochs"]


def test_missing_row_of_what_a_framework_reports_is_one_that_was_not_reported() -> None:
    axis = keys.epoch_axis(1)
    reported = series([0.5, np.nan], {**axis, keys.REPORTED_AS: "a"})
    assert [is_unreported(reported, row) for row in (0, 1, 2)] == [False, True, True]
    assert not is_unreported(series([np.nan], axis), 0)
