"""SIGINT and SIGTERM at random moments: the run ends in order, and goes on where it was, bit by bit."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.resumable_run import outcome, train

TRIALS = 24
LONGEST_S = 0.5
PATIENCE_S = 60.0


def _quietly_train(folder: Path, resume: bool) -> None:
    """Train in a process of its own; tell where it stands; say nothing of the interrupt."""
    (folder / "started").touch()
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123  # no path
        os.dup2(nowhere.fileno(), 2)
        with contextlib.redirect_stdout(nowhere):
            train(folder, resume=resume)


def _reason(folder: Path) -> str:
    with h5py.File(str(folder / "run.h5")) as archive:
        return str(archive["config"].attrs["exit_reason"])


@pytest.mark.crash
def test_no_signal_loses_anything(tmp_path: Path) -> None:
    (tmp_path / "reference").mkdir()
    expected = outcome(train(tmp_path / "reference"))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.support.resumable_run"])
    moments = random.Random(20261122)
    ends: list[str] = []

    for trial in range(TRIALS):
        folder = tmp_path / str(trial)
        folder.mkdir()
        number = signal.SIGINT if trial % 2 else signal.SIGTERM
        for attempt in range(moments.choice([1, 1, 2])):
            ends.append(_interrupted(processes, folder, number, moments.uniform(0, LONGEST_S), attempt > 0))
        resumed = train(folder, resume=True)

        found = outcome(resumed)
        assert set(found) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"trial {trial}: {name}")
        assert [file.name for file in folder.iterdir() if ".tmp" in file.name or ".lock" in file.name] == []

    assert {"interrupted", "preempted"} <= set(ends), ends


def _interrupted(processes: Any, folder: Path, number: int, delay_s: float, resume: bool) -> str:
    """Train in another process until a signal comes; return how the archive says that it ended."""
    (folder / "started").unlink(missing_ok=True)
    child = processes.Process(target=_quietly_train, args=(folder, resume))
    child.start()
    deadline = time.monotonic() + PATIENCE_S
    while not (folder / "started").exists():
        assert time.monotonic() < deadline, "the process did not begin"
        time.sleep(0.002)
    child.join(delay_s)
    if child.is_alive():
        os.kill(child.pid, number)
    child.join(PATIENCE_S)
    assert child.exitcode is not None, "the process did not end"
    if not (folder / "run.h5").exists():  # the signal came before training began
        return "not begun"
    reason = _reason(folder) if child.exitcode != -number else "killed before it listened"
    if reason == "preempted":
        assert child.exitcode == 143
    return reason
