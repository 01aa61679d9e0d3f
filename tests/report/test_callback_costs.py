"""What each callback of a run has cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.archives import archive, found_in, put
from trainsignal import keys
from trainsignal.report.callback_costs import read_callback_times
from trainsignal.report.contents import Contents
from trainsignal.report.records import CallbackTime


def times_of(values: Any, **attributes: Any) -> tuple[tuple[CallbackTime, ...], list[str]]:
    with archive() as file:
        put(file, keys.CALLBACK_TIMES, values, attributes)
        contents, _, told = found_in(file)
        return read_callback_times(contents), told


def test_the_slowest_callback_comes_first() -> None:
    times, told = times_of([0.5, 2.0, np.nan], names=["A", "B", "C"], failures=[0, 3, 0])

    assert times == (CallbackTime("B", 2.0, 3), CallbackTime("A", 0.5, 0))
    assert told == []


@pytest.mark.parametrize("failures", [[np.nan, np.inf], "none", [], [0, 0, 7]])
def test_failures_that_nobody_counted_are_none(failures: Any) -> None:
    times, _ = times_of([2.0, 0.5], names=["A", "B"], failures=failures)

    assert times == (CallbackTime("A", 2.0, 0), CallbackTime("B", 0.5, 0))


@pytest.mark.parametrize(
    ("values", "names", "reason"),
    [
        ([1.0, 2.0], ["A"], "it has 2 numbers for 1 names"),
        ([[1.0]], ["A"], "it is no row of numbers"),
        (np.array(["x"], "S1"), ["A"], "it is no row of numbers"),
    ],
)
def test_times_of_another_form_are_told(values: Any, names: list[str], reason: str) -> None:
    times, told = times_of(values, names=names)

    assert times == ()
    assert told == [f"'time/callbacks' cannot be read: {reason}"]


def test_without_an_account_of_time_there_is_none() -> None:
    with archive() as file:
        contents, _, told = found_in(file)
        assert read_callback_times(contents) == ()
    assert told == []


def test_names_that_would_fill_the_memory_are_not_read() -> None:
    told: list[str] = []
    with archive() as file:
        put(file, keys.CALLBACK_TIMES, np.ones(11), {"names": ["A"] * 11})
        contents = Contents(file, told.append, longest_text_bytes=100, most_text_bytes=1000)
        assert read_callback_times(contents) == ()
    assert told == ["'time/callbacks' cannot be read: it has 11 numbers for 0 names"]
