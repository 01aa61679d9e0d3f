from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsignal.errors import ConfigurationError
from trainsignal.improvement import Direction, Improvement, Progress

NAN, INFINITE = math.nan, math.inf


@pytest.mark.parametrize("direction, value, best, answer", [
    ("min", 1.0, 2.0, True), ("min", 2.0, 2.0, False), ("min", 3.0, 2.0, False),
    ("max", 3.0, 2.0, True), ("max", 2.0, 2.0, False), ("max", 1.0, 2.0, False),
    ("min", 5.0, None, True), ("max", -5.0, None, True),
    ("min", -0.0, 0.0, False), ("max", 0.0, -0.0, False),
    ("min", NAN, 2.0, False), ("min", NAN, None, False), ("max", NAN, 2.0, False), ("max", NAN, None, False),
    ("min", INFINITE, None, False), ("min", -INFINITE, None, True), ("min", -INFINITE, -INFINITE, False),
    ("max", -INFINITE, None, False), ("max", INFINITE, None, True), ("max", INFINITE, INFINITE, False),
], ids=repr)  # fmt: skip
def test_better_is_lower_or_higher_and_never_nan(
    direction: Direction, value: float, best: float | None, answer: bool
) -> None:
    assert Improvement(direction).is_better(value, best) is answer


@pytest.mark.parametrize("direction, value, answer", [
    ("min", 9.5, False), ("min", 9.0, False), ("min", 8.5, True),
    ("max", 10.5, False), ("max", 11.0, False), ("max", 11.5, True),
])  # fmt: skip
def test_value_must_be_better_by_more_than_the_least_difference(
    direction: Direction, value: float, answer: bool
) -> None:
    assert Improvement(direction, min_delta=1.0).is_better(value, 10.0) is answer


def test_first_value_need_not_be_better_by_the_difference() -> None:
    assert Improvement("min", min_delta=100.0).is_better(5.0, None)


@pytest.mark.parametrize("direction", ["lower", "", None, "MIN"], ids=repr)
def test_direction_that_is_none_is_refused(direction: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"expected 'min' .* or 'max'"):
        Improvement(direction)


@pytest.mark.parametrize("min_delta", [-0.1, NAN, INFINITE], ids=repr)
def test_difference_that_is_none_is_refused(min_delta: float) -> None:
    with pytest.raises(ConfigurationError, match=r"min_delta=.*: expected a difference of 0 or more"):
        Improvement("min", min_delta)


def test_misses_are_counted_from_the_last_improvement_on() -> None:
    steps = [Progress()]
    for value in (3.0, 3.0, NAN, 2.0, 4.0):
        steps.append(steps[-1].after(value, Improvement("min")))
    assert [(one.best, one.misses) for one in steps] == [
        (None, 0), (3.0, 0), (3.0, 1), (3.0, 2), (2.0, 0), (2.0, 1),
    ]  # fmt: skip


def test_values_that_are_no_numbers_from_the_first_on_are_misses() -> None:
    progress = Progress().after(NAN, Improvement("max")).after(NAN, Improvement("max"))
    assert progress == Progress(None, 2)


@given(st.lists(st.floats(allow_nan=True), min_size=1))
def test_best_is_the_smallest_number_and_misses_follow_its_first_place(values: list[float]) -> None:
    progress = Progress()
    for value in values:
        progress = progress.after(value, Improvement("min"))
    numbers = [value for value in values if value < INFINITE]  # neither NaN nor the worst that there is
    if numbers:
        assert progress.best == min(numbers)
        assert progress.misses == len(values) - 1 - values.index(min(numbers))
    else:
        assert progress == Progress(None, len(values))
