"""The series of a run as a table in text."""

from __future__ import annotations

import math

import numpy as np

from tests.support.report_runs import each_epoch, train_cost
from trainsignal.report.records import Series
from trainsignal.report.series_table import series_table
from trainsignal.report.terminal_text import columns


def table(*series: Series, width: int = 80, encoding: str = "utf-8") -> list[str]:
    return series_table(series, width=width, encoding=encoding)


def test_a_line_tells_the_last_and_the_best_value_and_where_it_stands() -> None:
    lines = table(
        each_epoch("cost/loss", [1.5, 0.5, 0.625], direction="min"),
        each_epoch("metrics/Accuracy", [0.25, 0.75, 0.625], direction="max"),
    )

    assert [line.split() for line in lines] == [
        ["series", "last", "best"],
        ["cost/loss", "0.625", "0.5", "(epoch", "1)"],
        ["metrics/Accuracy", "0.625", "0.75", "(epoch", "1)"],
    ]


def test_the_best_value_of_a_series_of_minibatches_stands_at_one() -> None:
    cost = Series("cost/train", np.array([0.5, 0.25, 0.75]), "minibatch", direction="min")

    assert table(cost)[1] == "cost/train  0.75  0.25 (minibatch 1)"


def test_without_directions_there_is_no_column_for_the_best() -> None:
    assert [line.split() for line in table(train_cost())] == [["series", "last"], ["cost/train", "0"]]


def test_values_have_their_units() -> None:
    assert table(each_epoch("system/memory", [3 * 1024.0**3], unit="bytes"))[1].endswith("  3 GiB")


def test_a_series_without_values_says_so() -> None:
    assert table(each_epoch("cost/loss", [], direction="min"))[1] == "cost/loss  no value"


def test_a_last_value_that_is_none_is_told_as_such() -> None:
    assert table(each_epoch("cost/loss", [1.0, math.nan]))[1] == "cost/loss  NaN"


def test_columns_stand_below_each_other_whatever_the_script() -> None:
    lines = table(each_epoch("metrics/精度", [0.25]), each_epoch("metrics/Accuracy", [0.25]))

    assert {columns(line.partition("0.25")[0]) for line in lines[1:]} == {len("metrics/Accuracy  ")}


def test_keys_that_are_too_wide_lose_their_middle() -> None:
    lines = table(each_epoch("metrics/per_label/Precision/cat", [0.25], direction="max"), width=40)

    assert lines[1].startswith("metrics/...ion/cat  0.25")
    assert max(columns(line) for line in lines) <= 40


def test_in_a_very_narrow_terminal_keys_keep_twelve_columns() -> None:
    lines = table(each_epoch("metrics/Accuracy", [0.123456], direction="max"), width=10)

    assert lines[1] == "metri...racy  0.123456  0.123456 (epoch 0)"


def test_what_strangers_wrote_is_shown_literally() -> None:
    line = table(each_epoch("a\x1b[2Jb", [1.0], unit="\x07" + "u" * 50, direction="min"))[1]

    assert line.isprintable() and line.startswith("a\\x1b[2Jb")
    assert len(line) < 80
