"""What ran, when, how far it came, and why it ended."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from tests.support.archives import archive, found_in, mark, put
from trainsignal import keys
from trainsignal.report.about import read_about
from trainsignal.report.contents import Contents
from trainsignal.report.progress import read_progress
from trainsignal.report.records import About
from trainsignal.run_link import ExitReason

NOW = 1_800_000_000.0


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


def test_markers_tell_how_far_it_came() -> None:
    with archive() as file:
        mark(file, [5, 10, 0], epochs=2, minibatches=10)
        assert read(file)[0].epochs_complete == 2


def of_process(process: int, folder: Path, **config: Any) -> About:
    """Return what is told of a run whose lock names a process; an earlier one ended at 1e9."""
    path = folder / "run.h5"
    path.write_bytes(b"")
    os.utime(path, (1.5e9, 1.5e9))
    (folder / "run.h5.lock").write_text(f"{process}\n")
    with archive() as file:
        put(file, keys.TRAIN_END, np.array([1e9]))
        file.create_group("config").attrs.update(config)
        return read(file, str(path))[0]


def test_a_run_without_an_end_is_as_its_writer_is_and_was_last_seen_when_the_file_changed(
    tmp_path: Path,
) -> None:
    about = of_process(os.getpid(), tmp_path, host=platform.node())

    assert (about.status, about.ended_at) == ("in progress", 1.5e9)


def test_a_run_on_another_machine_is_not_told_by_the_processes_of_this_one(tmp_path: Path) -> None:
    about = of_process(os.getpid(), tmp_path, host=f"not-{platform.node()}")

    assert (about.status, about.ended_at) == ("unknown", 1e9)


def test_a_list_of_callbacks_that_would_fill_the_memory_is_left_out() -> None:
    with archive() as file:
        file.create_group("config").attrs["callbacks"] = ["A"] * 11
        contents = Contents(file, print, longest_text_bytes=100, most_text_bytes=1000)
        about = read_about(contents, read_progress(contents), 0, "")
        file["config"].attrs["callbacks"] = ["A"] * 10
        fitting = read_about(contents, read_progress(contents), 0, "")

    assert (about.callbacks, fitting.callbacks) == ((), ("A",) * 10)
