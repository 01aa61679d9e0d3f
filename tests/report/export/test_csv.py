"""A run as a CSV file."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.support.report_runs import each_epoch, run, timeline, train_cost
from trainsignal.report.export.csv import write_csv
from trainsignal.report.records import Run, Series
from trainsignal.report.timeline import Timeline

HEADER = ["series", "row", "epoch", "epochs_done", "minibatches_done", "seconds", "value"]


def written(one: Run, path: Path) -> list[list[str]]:
    write_csv(one, one.series, path / "out.csv")
    with (path / "out.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_each_value_is_a_line(tmp_path: Path) -> None:
    one = run(train_cost(3), each_epoch("cost/loss", [1.5, 0.75]), timeline=timeline(2, 10, 5.0))

    assert written(one, tmp_path) == [
        HEADER,
        ["cost/train", "0", "0", "0.1", "1", "0.5", "2.0"],
        ["cost/train", "1", "0", "0.2", "2", "1.0", "1.0"],
        ["cost/train", "2", "0", "0.3", "3", "1.5", "0.0"],
        ["cost/loss", "0", "0", "1.0", "10", "5.0", "1.5"],
        ["cost/loss", "1", "1", "2.0", "20", "10.0", "0.75"],
    ]


def test_lines_end_as_those_of_unix_do(tmp_path: Path) -> None:
    written(run(train_cost(3)), tmp_path)

    text = (tmp_path / "out.csv").read_bytes()
    assert b"\r" not in text and text.endswith(b"\n")


def test_what_is_missing_is_empty(tmp_path: Path) -> None:
    one = run(
        Series("mine", np.array([1.0, np.nan, np.inf, -np.inf]), "row"),
        each_epoch("cost/loss", [0.5, 0.25]),
        timeline=Timeline(np.array([0.0, 10.0, 20.0]), np.array([0.0, math.nan, math.nan])),
    )

    lines = written(one, tmp_path)

    assert [line[1:] for line in lines[1:5]] == [
        ["0", "", "", "", "", "1.0"],
        ["1", "", "", "", "", ""],
        ["2", "", "", "", "", "inf"],
        ["3", "", "", "", "", "-inf"],
    ]
    assert [line[5] for line in lines[5:]] == ["", ""]


def test_a_time_that_is_known_for_some_rows_is_written_for_these(tmp_path: Path) -> None:
    from_first_end = Timeline(np.array([0.0, 0.0, 10.0]), np.array([math.nan, 1.0, 3.0]))

    lines = written(run(each_epoch("cost/loss", [0.5, 0.25]), timeline=from_first_end), tmp_path)

    assert [line[5] for line in lines[1:]] == ["1.0", "3.0"]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
@given(data=st.data())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_read_back_exactly_in_their_own_type(
    data: st.DataObject, kind: type[np.floating], tmp_path: Path
) -> None:
    values = data.draw(arrays.arrays(kind, st.integers(1, 8)))

    lines = written(run(Series("mine", values, "row")), tmp_path)

    back = np.array([kind(line[-1] or "nan") for line in lines[1:]])
    assert np.array_equal(back, values, equal_nan=True)


def test_a_value_is_written_with_the_digits_of_its_type(tmp_path: Path) -> None:
    lines = written(run(each_epoch("cost/loss", [0.1])), tmp_path)

    assert lines[1][-1] == "0.1"


@pytest.mark.parametrize(
    ("key", "read"),
    [
        ('a,b "c"\nd', 'a,b "c"\nd'),
        ("café/日本", "café/日本"),
        ("a\rb", "a\\rb"),
        ("a\udcffb", "a\\udcffb"),
    ],
    ids=["separators", "other scripts", "carriage return", "lone surrogate"],
)
def test_any_key_is_one_field(key: str, read: str, tmp_path: Path) -> None:
    lines = written(run(each_epoch(key, [0.5])), tmp_path)

    assert lines[1][0] == read and len(lines) == 2


def test_many_rows_are_written_block_by_block(tmp_path: Path) -> None:
    costs = train_cost(70_000)  # more than a block holds

    lines = written(run(costs, timeline=timeline(7, 10_000)), tmp_path)

    assert len(lines) == 70_001
    assert [np.float32(line[-1]) for line in lines[1:]] == costs.values.tolist()
    assert [int(line[4]) for line in lines[1:]] == list(range(1, 70_001))
