from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import index_lists, naive_fires, periods
from trainsignal import keys
from trainsignal.frequency import Frequency, row_of


@given(
    frequency=st.one_of(periods, index_lists), epochs=st.integers(0, 30), done=st.integers(0, 30)
)  # fmt: skip
def test_rows_of_an_epoch_series_are_before_if_their_epoch_was_done(
    frequency: Any, epochs: int, done: int
) -> None:
    axis = keys.epoch_axis(frequency)
    fired = [epoch for epoch in range(epochs) if naive_fires(frequency, epoch)]
    rows = max((row_of(frequency, epoch) for epoch in fired), default=-1) + 1

    before = keys.is_before(axis, rows, done, minibatches=7)

    assert before is not None and before.shape == (rows,)
    for epoch in fired:
        assert before[row_of(frequency, epoch)] == (epoch < done)


@pytest.mark.parametrize("frequency, expected", [
    (1, [True, True, True, False]), (2, [True, False, False, False]), (4, [False] * 4),
    ([0, 2, 3, 9], [True, True, False, False]), ([9, 3, 2, 0], [False, False, True, True]),
])  # fmt: skip
def test_epoch_rows_of_three_complete_epochs(frequency: Frequency, expected: list[bool]) -> None:
    before = keys.is_before(keys.epoch_axis(frequency), 4, epochs=3, minibatches=0)
    np.testing.assert_array_equal(before, expected)


def test_series_of_a_frequency_that_never_fires_has_no_rows() -> None:
    before = keys.is_before(keys.epoch_axis(None), 0, epochs=3, minibatches=9)
    assert before is not None and before.shape == (0,)


@pytest.mark.parametrize("axis", [
    {"time_markers": "epoch_freq", "epoch_freq": np.int64(2)},  # as an archive gives it back
    {"time_markers": "epoch_freq", "epochs": np.array([1, 3, 5])},
])  # fmt: skip
def test_attributes_read_from_an_archive_say_the_same(axis: dict[str, Any]) -> None:
    np.testing.assert_array_equal(keys.is_before(axis, 3, epochs=4, minibatches=0), [True, True, False])


def test_minibatch_rows_are_before_if_their_minibatch_was_done() -> None:
    axis = {keys.TIME_MARKERS: keys.PER_MINIBATCH}
    np.testing.assert_array_equal(keys.is_before(axis, 4, epochs=9, minibatches=3), [True, True, True, False])


def test_rows_of_neons_histograms_are_epochs() -> None:
    axis = {keys.TIME_MARKERS: keys.PER_EPOCH}
    np.testing.assert_array_equal(keys.is_before(axis, 3, epochs=1, minibatches=9), [True, False, False])


def test_epoch_series_without_a_frequency_has_a_row_an_epoch() -> None:
    axis = {keys.TIME_MARKERS: keys.PER_EPOCH_FREQ}
    np.testing.assert_array_equal(keys.is_before(axis, 3, epochs=2, minibatches=0), [True, True, False])


@pytest.mark.parametrize("axis", [{}, {"time_markers": "seconds"}, {"epoch_freq": 2}], ids=str)
def test_other_attributes_tell_no_axis(axis: dict[str, Any]) -> None:
    assert keys.is_before(axis, 3, epochs=1, minibatches=1) is None


@pytest.mark.parametrize("label, key", [
    ("cat", "metrics/per_label/Precision/cat"), ("a/b", "metrics/per_label/Precision/a%2Fb"),
    (".", "metrics/per_label/Precision/%2E"),
])  # fmt: skip
def test_key_of_a_label_is_one_step_of_a_path(label: str, key: str) -> None:
    assert keys.label_metric("Precision", label) == key


@pytest.mark.parametrize(
    "name, step", [("cat", "cat"), ("a/b", "a%2Fb"), (".", "%2E"), ("..", ".."), ("/", "%2F")]
)
def test_name_becomes_one_step_of_a_path(name: str, step: str) -> None:
    assert keys.step(name) == step


def test_further_writers_of_a_key_have_numbers() -> None:
    assert list(itertools.islice(keys.numbered("a/b"), 3)) == ["a/b", "a/b_2", "a/b_3"]


@pytest.mark.parametrize("written, key, is_covered", [
    (["cost/loss"], "cost/loss", True), ([keys.Numbered("cost/loss")], "cost/loss", True),
    ([keys.Below("metrics/*")], "metrics/accuracy", True), ([keys.Below("metrics/*")], "metrics/a/b", True),
    ([keys.Below("metrics/*")], "metrics", False), ([keys.Below("metrics/*")], "metrics2/a", False),
    ([keys.Below("metrics/*")], "cost/loss", False), (["metrics/*"], "metrics/a", False), ([], "a", False),
], ids=str)  # fmt: skip
def test_key_is_covered_by_itself_or_by_its_group(written: list[str], key: str, is_covered: bool) -> None:
    assert keys.covers(written, key) == is_covered
