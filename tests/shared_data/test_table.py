from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trainsignal.shared_data import SharedData, append_row, find_table, put_rows

COLUMNS = ("name", "count", "value")
ROWS = [("größer", 3, 0.5), ("", -1, float("inf")), ("x" * 1000, 2**40, 2.0)]


def filled(rows: list[tuple[str, int, float]], most: int = 10) -> SharedData:
    data = SharedData()
    for row in rows:
        assert append_row(data, "mine/table", COLUMNS, row, most)
    return data


def content(table: Any) -> list[tuple[str, int, float]]:
    return [(name.decode(), count, value) for name, count, value in table[:].tolist()]


def test_rows_are_kept_in_the_order_in_which_they_came() -> None:
    table = find_table(filled(ROWS), "mine/table", COLUMNS)
    assert content(table) == ROWS
    assert [table.dtype[name].kind for name in COLUMNS] == ["O", "i", "f"]


def test_table_is_read_by_plain_h5py_from_a_copy(tmp_path: Path) -> None:
    filled(ROWS).save_as(tmp_path / "copy.h5")
    with h5py.File(str(tmp_path / "copy.h5")) as file:
        assert content(file["mine/table"]) == ROWS


def test_the_newest_rows_are_kept() -> None:
    numbered = [(str(number), number, number / 2) for number in range(7)]
    assert content(find_table(filled(numbered, most=3), "mine/table", COLUMNS)) == numbered[4:]
    assert content(find_table(filled(numbered, most=1), "mine/table", COLUMNS)) == numbered[6:]


def test_rows_can_be_replaced_by_fewer_or_none() -> None:
    data = filled(ROWS)
    table = find_table(data, "mine/table", COLUMNS)
    put_rows(table, table[1:])
    assert content(table) == ROWS[1:]
    put_rows(table, table[:0])
    assert content(table) == []
    append_row(data, "mine/table", COLUMNS, ROWS[0], 10)
    assert content(table) == ROWS[:1]


OTHERS: dict[str, Callable[[SharedData], object]] = {
    "group": lambda data: data.create_group("mine/table"),
    "plain dataset": lambda data: data.create_dataset("mine/table", (3,)),
    "other columns": lambda data: append_row(data, "mine/table", ("a", "b", "c"), ROWS[0], 10),
    "fixed length": lambda data: data.create_dataset(
        "mine/table", (3,), np.dtype([(name, float) for name in COLUMNS])
    ),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_something_else_is_left_as_it_is(make: Callable[[SharedData], object]) -> None:
    data = SharedData()
    make(data)
    before = data["mine/table"]
    assert find_table(data, "mine/table", COLUMNS) is None
    assert not append_row(data, "mine/table", COLUMNS, ROWS[0], 10)
    assert data["mine/table"] == before


def test_nothing_is_no_table() -> None:
    assert find_table(SharedData(), "mine/table", COLUMNS) is None
