"""Small line charts in text."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.report_runs import each_epoch, timeline, train_cost
from trainsignal.errors import MissingPackageError
from trainsignal.report.line_charts import can_be_drawn, line_chart
from trainsignal.report.records import Series
from trainsignal.report.terminal_text import columns
from trainsignal.report.timeline import Timeline

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def chart(
    series: Series, *, of: Timeline | None = None, width: int = 60, encoding: str = "utf-8"
) -> list[str]:
    return line_chart(series, of or timeline(), width=width, encoding=encoding).splitlines()


def curve(lines: list[str]) -> list[str]:
    """Return what stands between the borders, row by row."""
    return [line.split("│")[1] for line in lines if line.startswith("│")]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    rows = curve(chart(each_epoch("x/y", [1.0, 2.0, 3.0, 4.0])))

    assert rows[0].strip() and rows[0].rstrip() == rows[0] and not rows[0][: len(rows[0]) // 2].strip()
    assert rows[-1].strip() and rows[-1][0] != " " and not rows[-1][len(rows[-1]) // 2 :].strip()


def test_the_borders_say_what_they_stand_for() -> None:
    lines = chart(each_epoch("cost/loss", [1.5, 0.75, 0.5, 0.625]))

    assert lines[0] == "cost/loss"
    assert [line.split("│")[2].strip() for line in lines[2:-2]] == ["1.5", "", "", "", "0.5"]
    assert lines[-1].split() == ["1", "4", "epochs"]


def test_the_values_have_their_unit() -> None:
    lines = chart(each_epoch("system/memory", [1024.0, 2048.0], unit="bytes"))

    assert lines[2].endswith(" 2 KiB") and lines[-3].endswith(" 1 KiB")


def test_a_unit_that_is_too_long_is_left_out() -> None:
    lines = chart(each_epoch("x/y", [1.0, 2.0], unit="furlongs per fortnight"))

    assert lines[2].endswith("│ 2")


def test_rows_that_nobody_explained_are_called_rows() -> None:
    assert chart(Series("mine", np.array([1.0, 2.0, 3.0]), "row"))[-1].split() == ["0", "2", "rows"]


def test_equal_values_are_a_line_in_the_middle() -> None:
    lines = chart(each_epoch("x/y", [0.25, 0.25, 0.25]))

    rows = curve(lines)
    assert [bool(row.strip()) for row in rows] == [False, False, True, False, False]
    assert lines[4].endswith("│ 0.25") and " " not in rows[2]


def test_missing_and_infinite_values_are_not_drawn() -> None:
    with_gaps = chart(each_epoch("x/y", [math.nan, 1.0, math.inf, 3.0, -math.inf]), of=timeline(5))
    alone = chart(Series("x/y", np.array([1.0, 3.0]), "epoch", np.array([1, 3])), of=timeline(5))

    assert with_gaps == alone


def test_a_spike_among_very_many_values_is_seen() -> None:
    values = np.zeros(100_000, np.float32)
    values[77_777] = 1

    top = curve(chart(Series("x/y", values, "minibatch"), of=timeline(10, 10_000)))[0]

    assert top.strip() and (len(top) - len(top.lstrip())) / len(top) == pytest.approx(0.778, abs=0.02)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_without_braille_gets_ascii(encoding: str) -> None:
    lines = chart(each_epoch("日本", [1.0, 2.0]), encoding=encoding)

    assert all(line.isascii() for line in lines)
    assert lines[1].startswith("+--") and lines[2].startswith("|")


def test_a_key_cannot_steer_the_terminal_and_is_cut() -> None:
    lines = chart(each_epoch("\x1b]0;title\x07" + "x" * 100, [1.0, 2.0]))

    assert lines[0].startswith("\\x1b]0;title\\x07") and columns(lines[0]) <= 60


@given(st.lists(FINITE, min_size=2, max_size=50), st.integers(32, 120))
@settings(max_examples=50, deadline=None)
def test_any_finite_values_can_be_drawn_within_the_width(values: list[float], width: int) -> None:
    lines = chart(Series("x/y", np.array(values), "row"), width=width)

    assert len(lines) == 9 and max(len(line) for line in lines) <= width


def test_minibatches_stand_at_their_epochs() -> None:
    assert chart(train_cost(25))[-1].split() == ["0.1", "2.5", "epochs"]


@pytest.mark.parametrize(
    ("values", "drawn"), [([1.0, 2.0], True), ([1.0, math.nan], False), ([math.inf, 2.0], False), ([], False)]
)
def test_a_line_needs_two_finite_values(values: list[float], drawn: bool) -> None:
    assert can_be_drawn(each_epoch("x/y", values)) is drawn


def test_missing_uniplot_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uniplot", None)

    with pytest.raises(MissingPackageError, match=r"uniplot.*trainsignal\[report\]"):
        chart(train_cost())
