from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal.relay.rows import EpochRows, MinibatchRows, Span
from trainsignal.shared_data import BufferedDataset, SharedData

NAN = float("nan")


def series(rows: int | None = 6, columns: tuple[int, ...] = (), dtype: str = "f4") -> BufferedDataset:
    return SharedData().create_series("x", rows, columns=columns, dtype=dtype)


def listed(span: Span | None) -> tuple[int, list[Any]] | None:
    return None if span is None else (span["first"], span["values"].tolist())


def test_each_row_of_a_minibatch_is_told_once() -> None:
    data = series()
    rows = MinibatchRows("x", data, 0)
    data[0], data[1] = 0.5, 1.5
    assert listed(rows.take(2, 100)) == (0, [0.5, 1.5])
    assert rows.take(2, 100) is None
    data[2] = 2.5
    assert listed(rows.take(3, 100)) == (2, [2.5])


def test_no_more_rows_are_told_than_fit() -> None:
    data = series()
    data[:] = range(6)
    rows = MinibatchRows("x", data, 1)
    assert [listed(rows.take(6, 2)) for _ in range(4)] == [(1, [1, 2]), (3, [3, 4]), (5, [5]), None]


def test_rows_that_the_series_does_not_have_yet_are_told_when_it_has() -> None:
    data = series(None)
    rows = MinibatchRows("x", data, 0)
    assert rows.take(3, 100) is None
    data[1] = 5.0
    span = rows.take(3, 100)
    assert span is not None and np.array_equal(span["values"], [NAN, 5.0], equal_nan=True)
    data[2] = 6.0
    assert listed(rows.take(3, 100)) == (2, [6.0])


def test_reading_leaves_the_window_of_the_series_alone() -> None:
    data = series()
    rows = MinibatchRows("x", data, 0)
    data[0] = 0.5
    window = data._values
    rows.take(1, 100)
    data[1] = 1.5
    assert data._values is window and len(window)


@pytest.mark.parametrize("columns", [(), (2,)])
def test_rows_that_a_device_owes_are_told_later_and_not_waited_for(columns: tuple[int, ...]) -> None:
    data = series(columns=columns)
    rows = MinibatchRows("x", data, 0)
    data[0] = data[2] = 1.0
    data.await_rows(lambda: pytest.fail("somebody waited"))
    span = rows.take(4, 100)
    assert span is not None and span["first"] == 0 and len(span["values"]) == 3
    assert rows.take(4, 100) is None
    data[3] = 3.0
    span = rows.take(4, 100)
    assert span is not None and span["first"] == 3 and len(span["values"]) == 1


def test_missing_rows_are_told_where_no_device_owes_any() -> None:
    data = series()
    rows = MinibatchRows("x", data, 0)
    data.await_rows(lambda: None)
    assert rows.take(2, 100) is None
    data.bring_late()
    span = rows.take(2, 100)
    assert span is not None and np.isnan(span["values"]).all() and len(span["values"]) == 2


def test_whole_numbers_are_never_missing() -> None:
    data = series(dtype="i4")
    data.await_rows(lambda: pytest.fail("somebody waited"))
    assert listed(MinibatchRows("x", data, 0).take(2, 100)) == (0, [0, 0])


def test_new_and_changed_rows_of_epochs_are_told() -> None:
    data = series()
    rows = EpochRows("x", data)
    assert rows.take(100) is None
    data[0] = 1.0
    assert listed(rows.take(100)) == (0, [1.0])
    assert rows.take(100) is None
    data[1] = 2.0
    assert listed(rows.take(100)) == (1, [2.0])
    data[0], data[2] = 5.0, NAN
    assert listed(rows.take(100)) == (0, [5.0])
    data[2] = 3.0
    data[0] = NAN
    span = rows.take(100)
    assert span is not None and np.array_equal(span["values"], [NAN, 2.0, 3.0], equal_nan=True)


@pytest.mark.parametrize("dtype", ["f8", "i8"])
def test_series_of_epochs_may_grow_and_have_columns(dtype: str) -> None:
    data = series(None, (2, 1), dtype)
    rows = EpochRows("x", data)
    data[0] = [[1], [2]]
    assert listed(rows.take(100)) == (0, [[[1], [2]]])
    data[1] = [[1], [2]]
    assert listed(rows.take(100)) == (1, [[[1], [2]]])
    data.resize(1, axis=0)
    assert rows.take(100) is None
    data[1] = [[3], [4]]
    assert listed(rows.take(100)) == (1, [[[3], [4]]])


def test_rows_of_epochs_that_do_not_fit_are_told_the_next_time() -> None:
    data = series()
    data[:] = range(6)
    rows = EpochRows("x", data)
    assert rows.take(0) is None
    assert [listed(rows.take(4)) for _ in range(3)] == [(0, [0, 1, 2, 3]), (4, [4, 5]), None]


def test_what_an_earlier_process_has_told_is_passed_over() -> None:
    data = series()
    data[0], data[1] = 1.0, 2.0
    rows = EpochRows("x", data)
    rows.pass_over()
    data[2] = 3.0
    assert listed(rows.take(100)) == (2, [3.0])


def test_what_was_told_does_not_change_with_the_series() -> None:
    data = series()
    data[0] = 1.0
    minibatches, epochs = MinibatchRows("x", data, 0).take(1, 9), EpochRows("x", data).take(9)
    data[0] = 7.0
    data.flush()
    assert listed(minibatches) == listed(epochs) == (0, [1.0])


def test_row_of_an_epoch_keeps_no_other_rows_in_memory() -> None:
    """Thousands of such messages are kept for a broker that forgets."""
    data = series()
    rows = EpochRows("x", data)
    data[2] = 1.0
    span = rows.take(100)
    assert span is not None and len(span["values"]) == 1 and span["values"].base is None
