"""How far a run came, and its timeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.archives import archive, found_in, mark, put
from tests.support.report_runs import about
from trainsignal import keys
from trainsignal.report.progress import Progress, read_progress, timeline_of
from trainsignal.report.timeline import Timeline

NAN = np.nan
BEGIN = 1e9


def read(file: Any) -> Progress:
    return found_in(file)[1]


def drawn(file: Any, *, told: int = 0, **changes: Any) -> Timeline:
    """Return the timeline of an archive; `told`: epochs that series know of."""
    changes = {"started_at": None, "ended_at": None, "minibatches_done": 0, **changes}
    progress = read(file)
    return timeline_of(progress, about(epochs_complete=progress.epochs, **changes), told)


def test_markers_count_as_far_as_epochs_are_complete() -> None:
    with archive() as file:
        mark(file, [32, 63, 94, 0], epochs=2, minibatches=63)
        progress = read(file)

    assert progress.has_markers
    assert (progress.epochs, progress.minibatches) == (2, 63)
    assert progress.epoch_ends.tolist() == [32, 63]


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([5, 3, 9], [5, 5, 9]),
        ([5, -1, NAN], [5, 5, 5]),
        ([np.inf, 7, 8], [0, 7, 8]),
        ([0, 0, 31], [0, 0, 31]),
        ([5, 10], [5, 10]),
        ([5, 10, 15, 20], [5, 10, 15]),
    ],
)
def test_markers_never_fall(ends: Any, expected: list[float]) -> None:
    with archive() as file:
        mark(file, ends, epochs=3, minibatches=0, dtype="f4")
        assert read(file).epoch_ends.tolist() == expected


def test_without_a_count_of_epochs_the_last_marker_tells() -> None:
    with archive() as file:
        put(file, "time_markers/minibatch", np.array([0, 5, 10, 0, 0]))
        progress = read(file)

    assert (progress.epochs, progress.minibatches) == (3, 10)


def test_an_archive_without_markers_has_nothing_done() -> None:
    with archive() as file:
        progress = read(file)

    assert not progress.has_markers
    assert (progress.epochs, progress.minibatches, progress.epoch_ends.size) == (0, 0, 0)


@pytest.mark.parametrize("values", [np.ones((2, 2)), np.array(["a"], "S1"), 3.0])
def test_markers_of_another_form_count_as_absent(values: Any) -> None:
    with archive() as file:
        put(file, "time_markers/minibatch", values)
        assert read(file).epoch_ends.size == 0


def test_the_end_of_each_epoch_is_noted() -> None:
    with archive() as file:
        mark(file, [5, 10, 15], epochs=3, minibatches=15)
        put(file, keys.EPOCH_TIMES, [BEGIN + 2, NAN, BEGIN + 9, NAN])
        timeline = drawn(file, started_at=BEGIN, ended_at=BEGIN + 50, minibatches_done=15)

    assert timeline.minibatches.tolist() == [0, 5, 10, 15]
    np.testing.assert_array_equal(timeline.seconds, [0, 2, NAN, 9])


def test_seconds_never_fall_and_none_are_before_the_begin() -> None:
    with archive() as file:
        mark(file, [5, 10, 15, 20], epochs=4, minibatches=20)
        put(file, keys.EPOCH_TIMES, [BEGIN - 2, BEGIN + 5, BEGIN + 3])
        timeline = drawn(file, started_at=BEGIN, minibatches_done=20)

    np.testing.assert_array_equal(timeline.seconds, [0, NAN, 5, 5, NAN])


def test_without_notes_time_is_spread_evenly_over_minibatches() -> None:
    with archive() as file:
        mark(file, [10, 40], epochs=2, minibatches=40)
        timeline = drawn(file, started_at=BEGIN, ended_at=BEGIN + 100, minibatches_done=50)

    assert timeline.seconds.tolist() == [0, 20, 80]


def test_epochs_without_minibatches_share_the_time_evenly() -> None:
    with archive() as file:
        mark(file, [0, 0, 0, 0], epochs=4, minibatches=0)
        timeline = drawn(file, started_at=BEGIN, ended_at=BEGIN + 100)

    assert timeline.minibatches.tolist() == [0] * 5
    assert timeline.seconds.tolist() == [0, 25, 50, 75, 100]


def test_without_a_begin_no_seconds_are_known() -> None:
    with archive() as file:
        mark(file, [10, 40], epochs=2, minibatches=40)
        put(file, keys.EPOCH_TIMES, [BEGIN, BEGIN + 1])
        assert np.isnan(drawn(file, ended_at=BEGIN + 2).seconds).all()


def test_in_the_first_epoch_minibatches_lie_where_they_were_asked_for() -> None:
    with archive() as file:
        mark(file, [0, 0], epochs=0, minibatches=0)
        file.create_group("config").attrs.update({"total_epochs": 2, "total_minibatches": 80})
        timeline = drawn(file, minibatches_done=10)

    assert timeline.epochs_at(np.array([10.0, 60.0])).tolist() == [0.25, 1.5]


def test_without_markers_minibatches_lie_evenly_in_the_epochs_that_series_tell_of() -> None:
    with archive() as file:
        assert drawn(file, told=4, minibatches_done=100).epochs_at(np.array([50.0])).tolist() == [2]
        assert drawn(file, minibatches_done=100).epochs_at(np.array([50.0])).tolist() == [0.5]
        file.create_group("config").attrs["total_minibatches"] = 500
        assert drawn(file, minibatches_done=100).epochs_at(np.array([50.0])).tolist() == [0.5]
        file.create_group("time_markers").attrs["epochs_complete"] = 2
        assert drawn(file, minibatches_done=100).epochs_at(np.array([50.0])).tolist() == [1]


def test_a_run_that_did_nothing_yet_has_an_empty_timeline() -> None:
    with archive() as file:
        timeline = drawn(file, started_at=BEGIN, ended_at=BEGIN + 3)

    assert timeline.minibatches.tolist() == [0]
    assert timeline.seconds.tolist() == [0]


def test_announced_epochs_cost_nothing() -> None:
    with archive() as file:
        file.create_dataset("time_markers/minibatch", (2**40,), "i8", chunks=(64,))[1] = 7
        file["time_markers"].attrs["epochs_complete"] = 2**40
        assert read(file).epoch_ends.size == 64


def test_progress_is_read_of_the_contents_alone() -> None:
    with archive() as file:
        mark(file, [1], epochs=1, minibatches=1)
        contents, _, told = found_in(file)
        assert read_progress(contents).minibatches == 1
    assert told == []
