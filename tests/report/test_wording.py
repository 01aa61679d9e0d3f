"""Durations, moments, numbers and states in words."""

from __future__ import annotations

import math
import time

import pytest

from tests.support import report_runs
from trainsignal.report import wording


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.31234, "0.312 s"),
        (0, "0 s"),
        (45.24, "45.2 s"),
        (60, "1 min"),
        (59.94, "59.9 s"),
        (59.99, "1 min"),
        (192, "3 min 12 s"),
        (3600, "1 h"),
        (3 * 3600 + 12 * 60 + 31, "3 h 12 min"),
        (2 * 86400 + 5 * 3600, "2 d 5 h"),
        (86400, "1 d"),
        (3599.9, "1 h"),
        (math.inf, "inf"),
        (math.nan, "NaN"),
    ],
)
def test_a_duration_is_told_in_its_two_largest_units(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


def test_a_moment_is_local_time() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XYZ-2")  # two hours ahead of UTC
        time.tzset()
        moment = wording.moment(86400 * 365 + 3661)
    time.tzset()

    assert moment == "1971-01-01 03:01:01"


@pytest.mark.parametrize(("zone", "words"), [
    ("XYZ-2", "1971-01-01 03:01:01 UTC+02:00"),
    ("XYZ+3:30", "1970-12-31 21:31:01 UTC-03:30"),
    ("UTC", "1971-01-01 01:01:01 UTC"),
])  # fmt: skip
def test_a_moment_can_tell_its_zone(zone: str, words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        moment = wording.zoned_moment(86400 * 365 + 3661)
    time.tzset()

    assert moment == words


@pytest.mark.parametrize("seconds", [math.nan, math.inf, 1e300])
def test_a_moment_of_no_calendar_is_said_to_be_none(seconds: float) -> None:
    assert wording.moment(seconds) == "at no known time"
    assert wording.zoned_moment(seconds) == "at no known time"


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.1234567, None, "0.123457"),
        (math.nan, "bytes", "NaN"),
        (1.5 * 2**30, "bytes", "1.5 GiB"),
        (512, "bytes", "512 bytes"),
        (2.0**60, "bytes", "1.049e+06 TiB"),
        (3.21, "seconds", "3.21 s"),
        (-3.21, "seconds", "-3.21 s"),
        (45, "percent", "45 %"),
        (7, "apples", "7 apples"),
        (-math.inf, None, "-inf"),
    ],
)
def test_an_amount_has_its_unit(value: float, unit: str | None, words: str) -> None:
    assert wording.amount(value, unit) == words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "completed"),
        (
            {"status": "stopped", "author": "EarlyStopCallback", "detail": "it rises"},
            "stopped by EarlyStopCallback: it rises",
        ),
        (
            {"status": "failed", "author": "loop", "detail": "ValueError: no"},
            "failed in loop: ValueError: no",
        ),
        ({"status": "killed"}, "killed: its process is gone, and closed nothing"),
        ({"status": "unknown"}, "nobody noted how it ended"),
        ({"status": "in progress"}, "in progress"),
    ],
)
def test_the_end_of_a_run_is_told_with_who_and_why(changes: dict[str, str], words: str) -> None:
    assert wording.ending(report_runs.about(**changes)) == words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "4 of 4 epochs, 40 minibatches"),
        ({"total_epochs": None, "epochs_complete": 1, "minibatches_done": 0}, "1 epoch"),
        (
            {"total_epochs": 1, "epochs_complete": 0, "minibatches_done": 1234},
            "0 of 1 epoch, 1,234 minibatches",
        ),
    ],
)
def test_progress_is_told_in_epochs_and_minibatches(changes: dict[str, int], words: str) -> None:
    assert wording.progress(report_runs.about(**changes)) == words


@pytest.mark.parametrize(("times", "words"), [(1, "failed once"), (1200, "failed 1,200 times")])
def test_failures_are_counted(times: int, words: str) -> None:
    assert wording.failed(times) == words


@pytest.mark.parametrize(("number", "words"), [(0, "0 layers"), (1, "1 layer"), (1200, "1,200 layers")])
def test_things_are_counted(number: int, words: str) -> None:
    assert wording.counted(number, "layer") == words


@pytest.mark.parametrize(
    ("longest", "words"), [(10, "0123456789"), (9, "0123…6789"), (4, "01…9"), (2, "0…"), (1, "…")]
)
def test_of_a_long_text_the_middle_is_left_out(longest: int, words: str) -> None:
    assert wording.shortened("0123456789", longest) == words


def test_a_single_minibatch_is_told_as_one() -> None:
    assert wording.progress(report_runs.about(minibatches_done=1)).endswith("epochs, 1 minibatch")
