from __future__ import annotations

import math
import sys
from datetime import timedelta
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.strategies import LARGEST, frequencies, index_lists, naive_fires, periods
from trainsignal.errors import FrequencyError
from trainsignal.frequency import (
    NEVER,
    Frequency,
    Interval,
    check_frequency,
    fires,
    firings,
    frequency_words,
    interval_seconds,
    is_int,
    meet,
    next_firing,
    row_of,
)

HORIZON = 2 * LARGEST * LARGEST
"""Two frequencies of the strategies that ever meet do so before: below the least common multiple of two."""

times = st.integers(0, HORIZON)


@given(frequencies, times)
@example(cast("int", np.uint8(1)), 255)  # 8 bits do not hold 256
def test_a_frequency_fires_by_neons_rule(frequency: Frequency, time: int) -> None:
    assert fires(frequency, time) == naive_fires(frequency, time)


@given(frequencies, times)
@example([3], 4)
@example([9, 3], 2)
def test_the_next_firing_is_the_first_that_a_search_finds(frequency: Frequency, time: int) -> None:
    found = next((one for one in range(time, HORIZON + LARGEST + 1) if naive_fires(frequency, one)), NEVER)

    assert next_firing(frequency, time) == found


@given(periods, st.integers(0, 60))
def test_a_series_of_a_period_has_a_row_for_each_firing(period: Any, epochs: int) -> None:
    fired = [time for time in range(epochs) if naive_fires(period, time)]

    assert firings(period, epochs) == len(fired)
    assert [row_of(period, time) for time in fired] == list(range(len(fired)))


@given(index_lists, st.one_of(st.none(), st.integers(0, 60)))
def test_a_series_of_a_list_has_a_row_for_each_entry_in_the_order_of_the_list(
    indices: Any, epochs: int | None
) -> None:
    assert firings(indices, epochs) == len(list(indices))
    assert [row_of(indices, time) for time in indices] == list(range(len(list(indices))))


def test_the_rows_of_a_period_are_unknown_where_nobody_knows_the_number_of_epochs() -> None:
    assert firings(3, None) is None


@pytest.mark.parametrize("epochs", [None, 0, 7])
def test_a_series_that_is_never_written_has_no_rows(epochs: int | None) -> None:
    assert firings(None, epochs) == 0


@given(frequencies, frequencies, st.integers(0, 3 * LARGEST))
@example([1, 5], 3, 5)
@example([1, 5], 3, 6)
def test_two_frequencies_meet_where_a_common_time_below_the_limit_exists(
    first: Frequency, second: Frequency, limit: int
) -> None:
    common = any(naive_fires(first, time) and naive_fires(second, time) for time in range(limit))

    assert meet(first, second, limit) == common


@given(frequencies, frequencies)
@example(4, 6)
def test_without_a_limit_two_frequencies_meet_however_late(first: Frequency, second: Frequency) -> None:
    common = any(naive_fires(first, time) and naive_fires(second, time) for time in range(HORIZON))

    assert meet(first, second, None) == common


def test_two_periods_meet_first_at_their_least_common_multiple() -> None:
    assert not meet(4, 6, math.lcm(4, 6) - 1)
    assert meet(4, 6, math.lcm(4, 6))


def test_never_is_later_than_any_index() -> None:
    assert next_firing(None, 0) == NEVER == sys.maxsize


@pytest.mark.parametrize(
    "value",
    [1, 7, np.int64(2), np.uint8(1), None, [], [0, 2], (0, 3), {4}, range(3), np.array([0, 2])],
    ids=repr,
)
def test_what_neon_documents_and_numpys_integers_are_frequencies(value: object) -> None:
    check_frequency(value, "epoch_freq")


@pytest.mark.parametrize(
    "value", [0, -1, True, False, "2", b"2", 1.5, 2.0, np.float64(2), np.True_, object()], ids=repr
)
def test_what_is_no_frequency_is_refused_with_its_name_and_what_was_expected(value: object) -> None:
    with pytest.raises(FrequencyError) as caught:
        check_frequency(value, "Loss.epoch_freq")

    message = str(caught.value)
    assert message.startswith(f"Loss.epoch_freq={value!r}: ")
    assert "an int of at least 1 (fires every nth time)" in message
    assert "None (never fires)" in message


@pytest.mark.parametrize("value", [[True], [0, -1], ["1"], [1.0], (None,), [[0]]], ids=repr)
def test_a_list_with_what_is_no_index_is_refused_with_the_culprit(value: list[Any]) -> None:
    with pytest.raises(FrequencyError, match=r"^epoch_freq=.*: .* is not a 0-based index$") as caught:
        check_frequency(value, "epoch_freq")

    assert f": {value[-1]!r} is" in str(caught.value)


def test_a_refused_frequency_is_also_a_value_error() -> None:
    with pytest.raises(ValueError, match="epoch_freq=0"):
        check_frequency(0, "epoch_freq")


@pytest.mark.parametrize(
    ("value", "answer"),
    [(1, True), (np.int16(3), True), (True, False), (np.True_, False), (1.0, False), ("1", False)],
    ids=repr,
)
def test_numpys_integers_are_integers_and_bools_are_not(value: object, answer: bool) -> None:
    assert is_int(value) is answer


@pytest.mark.parametrize(
    ("frequency", "words"),
    [
        (None, "never"),
        (1, "each time"),
        (np.int64(1), "each time"),
        (3, "every 3"),
        (np.int64(3), "every 3"),
        ([0, 2], "at [0, 2]"),
        ((0,), "at (0,)"),
    ],
    ids=repr,
)
def test_a_frequency_can_be_said_in_words(frequency: Any, words: str) -> None:
    assert frequency_words(frequency) == words


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("1.5 s", 1.5),
        (" 5m ", 300.0),
        ("5min", 300.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        (timedelta(minutes=2), 120.0),
    ],
    ids=str,
)
def test_an_interval_is_a_number_with_a_unit_or_a_timedelta(value: str | timedelta, seconds: float) -> None:
    assert interval_seconds(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", ["", "2", "s", "-1s", "1 week", "1s2m", "1e3s", "nans"])
def test_a_text_that_is_no_interval_is_refused_with_examples(value: str) -> None:
    with pytest.raises(FrequencyError, match=r"no interval of time: write a number and a unit, as '500ms'"):
        interval_seconds(value)


@pytest.mark.parametrize("value", ["0s", "0.0h", timedelta(0), timedelta(seconds=-3)], ids=str)
def test_an_interval_of_no_length_is_refused(value: str | timedelta) -> None:
    with pytest.raises(FrequencyError, match="not longer than nothing"):
        interval_seconds(value)


def test_an_interval_counts_from_when_it_was_first_asked() -> None:
    now = 100.0
    interval = Interval(10.0, lambda: now)

    answers: list[tuple[float, bool]] = []
    for now in (100.0, 109.9, 110.0, 110.1, 119.9, 125.0, 134.0, 135.0):
        answers.append((now, interval.fires()))

    assert [time for time, fired in answers if fired] == [110.0, 125.0, 135.0]


def test_large_periods_are_compared_at_once() -> None:
    assert meet(999_983, 1_000_003, None)
    assert not meet(999_983, 1_000_003, 10**9)


def test_an_array_of_no_dimension_is_refused() -> None:
    with pytest.raises(FrequencyError, match="a row of 0-based indices"):
        check_frequency(np.array(3), "epoch_freq")
