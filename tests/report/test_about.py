"""What ran, when, how far it came, and why it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np
import pytest

from tests.support.archives import archive, found_in, mark, put
from trainsignal import keys
from trainsignal.report.about import read_about, read_callback_times
from trainsignal.report.records import About, CallbackTime, SavedCheckpoint
from trainsignal.run_link import ExitReason

_h5py: Any = h5py  # h5py-stubs do not know all of it

NOW = 1_800_000_000.0
ROW = np.dtype([("path", _h5py.string_dtype()), ("epoch", "i8"), ("minibatch", "i8"), ("saved_at", "f8")])


def read(file: Any, path: str = "") -> tuple[About, list[str]]:
    contents, progress, told = found_in(file)
    return read_about(contents, progress, 17, path, clock=lambda: NOW), told


def with_config(**attributes: Any) -> About:
    with archive() as file:
        file.create_group("config").attrs.update(attributes)
        return read(file)[0]


def test_an_archive_that_says_nothing_is_of_a_run_that_nothing_is_known_of() -> None:
    with archive() as file:
        about, told = read(file)

    assert told == []
    assert about == About(
        run_id=None, model=None, script=None, host=None, version=None, callbacks=(), started_at=None,
        ended_at=NOW, epochs_complete=0, total_epochs=None, minibatches_done=17, total_minibatches=None,
        status="in progress", detail=None, author=None, resumed_at=(), checkpoints=(),
    )  # fmt: skip


def test_the_attributes_of_the_run_are_told() -> None:
    about = with_config(
        run_id="a1", model="Net", script="train.py", host="box", version="0.1.0", callbacks=["A", "B"],
        started_at=[1e9, 1.5e9], total_epochs=4, total_minibatches=40, resumed_at_minibatches=[20, 30],
    )  # fmt: skip

    assert (about.run_id, about.model, about.script, about.host) == ("a1", "Net", "train.py", "box")
    assert (about.version, about.callbacks) == ("0.1.0", ("A", "B"))
    assert (about.started_at, about.total_epochs, about.total_minibatches) == (1e9, 4, 40)
    assert about.resumed_at == (20, 30)


@pytest.mark.parametrize("reason", get_args(ExitReason))
def test_the_end_is_that_which_was_noted(reason: str) -> None:
    about = with_config(exit_reason=reason, exit_detail="why", exit_author="who")

    assert (about.status, about.detail, about.author) == (reason, "why", "who")


@pytest.mark.parametrize("reason", ["victorious", 3, np.zeros(2)])
def test_an_end_of_another_kind_counts_as_none(reason: Any) -> None:
    about = with_config(exit_reason=reason, exit_detail="why", exit_author="who")

    assert (about.status, about.detail, about.author) == ("in progress", None, None)


@pytest.mark.parametrize("moments", [[np.nan], [-1.0], [0.0], [np.inf], [1e300], "now", [], [[1e9]]])
def test_a_begin_that_is_no_moment_counts_as_absent(moments: Any) -> None:
    assert with_config(started_at=moments).started_at is None


@pytest.mark.parametrize("seams", [[-1, 20], [np.nan, 20], [20, np.inf]])
def test_resumptions_that_are_no_minibatches_are_left_out(seams: Any) -> None:
    assert with_config(resumed_at_minibatches=seams).resumed_at == (20,)


def test_neons_timer_tells_begin_and_end() -> None:
    with archive() as file:
        put(file, keys.TRAIN_START, np.array([1e9]))
        put(file, keys.TRAIN_END, np.array([1e9 + 5]))
        file.create_group("config").attrs["exit_reason"] = "completed"
        about, _ = read(file)

    assert (about.started_at, about.ended_at) == (1e9, 1e9 + 5)


@pytest.mark.parametrize("values", [np.zeros(1), np.ones(2), np.array(["x"], "S1"), np.array([np.nan])])
def test_a_timer_that_tells_no_moment_counts_as_absent(values: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_bytes(b"")
    os.utime(path, (1e9, 1e9))
    with archive() as file:
        put(file, keys.TRAIN_START, values)
        put(file, keys.TRAIN_END, values)
        about, _ = read(file, str(path))

    assert (about.started_at, about.ended_at, about.status) == (None, 1e9, "unknown")


def test_of_an_archive_that_vanished_nobody_knows_the_end(tmp_path: Path) -> None:
    with archive() as file:
        about, _ = read(file, str(tmp_path / "gone.h5"))

    assert (about.ended_at, about.status) == (None, "unknown")


def test_an_end_before_the_begin_is_none() -> None:
    with archive() as file:
        put(file, keys.TRAIN_START, np.array([1e9]))
        put(file, keys.TRAIN_END, np.array([1e9 - 5]))
        file.create_group("config").attrs["exit_reason"] = "completed"
        assert read(file)[0].ended_at is None


@pytest.fixture
def ended_process() -> int:
    """Return the id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def status_beside(lock: str | bytes, folder: Path) -> tuple[str, float | None]:
    """Return status and end of a run with a lock file beside its archive; an earlier process ended at 1e9."""
    path = folder / "run.h5"
    path.write_bytes(b"")
    os.utime(path, (1.5e9, 1.5e9))
    (folder / "run.h5.lock").write_bytes(lock.encode() if isinstance(lock, str) else lock)
    with archive() as file:
        put(file, keys.TRAIN_END, np.array([1e9]))
        about, _ = read(file, str(path))
    return about.status, about.ended_at


def test_a_lock_of_a_process_that_lives_is_of_a_run_in_progress(tmp_path: Path) -> None:
    assert status_beside(f"{os.getpid()}\n", tmp_path) == ("in progress", 1.5e9)


def test_a_lock_of_a_process_that_is_gone_is_of_a_run_that_was_killed(
    ended_process: int, tmp_path: Path
) -> None:
    assert status_beside(f"{ended_process}\n", tmp_path) == ("killed", 1.5e9)


@pytest.mark.parametrize("lock", ["", "0", "-1", "abc", b"\xff\xfe", "9" * 40])
def test_a_lock_that_names_no_process_tells_nothing(lock: str | bytes, tmp_path: Path) -> None:
    status, ended_at = status_beside(lock, tmp_path)

    assert status in ("unknown", "killed")
    assert ended_at == (1e9 if status == "unknown" else 1.5e9)


def test_the_lock_of_an_archive_behind_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "real.h5.lock").write_text(f"{os.getpid()}\n")
    (tmp_path / "real.h5").write_bytes(b"")
    (tmp_path / "link.h5").symlink_to(tmp_path / "real.h5")
    with archive() as file:
        assert read(file, str(tmp_path / "link.h5"))[0].status == "in progress"


def test_markers_tell_how_far_it_came() -> None:
    with archive() as file:
        mark(file, [5, 10, 0], epochs=2, minibatches=10)
        assert read(file)[0].epochs_complete == 2


def test_checkpoints_are_in_the_order_in_which_they_were_saved() -> None:
    rows = np.array([("a.npz", 0, 4, 1e9), ("b\n.npz", 1, 4, np.nan)], ROW)
    with archive() as file:
        put(file, keys.CHECKPOINTS, rows)
        about, told = read(file)

    assert told == []
    assert about.checkpoints == (SavedCheckpoint("a.npz", 0, 4, 1e9), SavedCheckpoint("b\\n.npz", 1, 4, None))


def test_of_very_many_checkpoints_the_last_are_told() -> None:
    rows = np.zeros(10_001, ROW)
    rows["path"], rows["epoch"] = "a", np.arange(10_001)
    with archive() as file:
        put(file, keys.CHECKPOINTS, rows)
        checkpoints = read(file)[0].checkpoints

    assert (len(checkpoints), checkpoints[0].epoch, checkpoints[-1].epoch) == (10_000, 1, 10_000)


@pytest.mark.parametrize("values", [np.zeros(2), np.zeros((0, 1), ROW), np.zeros(2, [("path", "i4")])])
def test_a_table_of_another_form_is_told(values: Any) -> None:
    with archive() as file:
        put(file, keys.CHECKPOINTS, values)
        about, told = read(file)

    assert about.checkpoints == ()
    assert told == ["'checkpoints' cannot be read: it is no table of path, epoch, minibatch, saved_at"]


def test_rows_of_another_type_are_left_out() -> None:
    kinds = np.dtype([("path", "f8"), ("epoch", "i8"), ("minibatch", "i8"), ("saved_at", "f8")])
    with archive() as file:
        put(file, keys.CHECKPOINTS, np.zeros(2, kinds))
        assert read(file)[0].checkpoints == ()


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
