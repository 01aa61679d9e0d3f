"""A run is killed with SIGKILL at random moments and resumed: it ends as if never killed, bit by bit."""

from __future__ import annotations

import multiprocessing
import random
import re
import signal
from multiprocessing.context import ForkServerContext
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.resumable_run import outcome, train

KILLS = 50
EVENTS = 620
"""About as many as a run has."""

LONGEST_S = 0.6
"""About as long as a run takes, the start of its process included."""

PATIENCE_S = 60.0


@pytest.mark.crash
def test_run_that_was_killed_and_gone_on_with_ends_as_one_that_was_not(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    expected = outcome(train(tmp_path / "whole"))
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.support.resumable_run"])
    moments = random.Random(20261122)
    kills = kills_within_epochs = trial = 0

    while kills < KILLS:
        trial += 1
        folder, history = tmp_path / str(trial), moments.choice([1, 3])
        folder.mkdir()
        for attempt in range(moments.choice([1, 1, 2, 3])):
            is_timed = moments.random() < 0.3
            at_s, event = moments.uniform(0, LONGEST_S), moments.randrange(EVENTS)
            kills += killed(
                processes, folder, history, attempt > 0, *((at_s, None) if is_timed else (PATIENCE_S, event))
            )
        has_checkpoint = (folder / "model.h5").exists()

        resumed = train(folder, resume=True, history=history)

        where = f"trial {trial}, history {history}"
        found = outcome(resumed)
        assert set(found) == set(expected), where
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{where}: {name}", strict=True)
        assert resumed.run.is_resumed is has_checkpoint, where
        assert resumed.run.exit_reason == "completed", where
        ends = expected["time_markers/minibatch"]
        kills_within_epochs += has_checkpoint and resumed_within_an_epoch(folder, ends)
        check_files(folder, history)

    assert trial < kills  # some were killed several times
    assert kills_within_epochs > KILLS // 5


def check_files(folder: Path, history: int) -> None:
    """Assert that the folder holds what the run was to leave, and nothing half-written."""
    left = {file.name for file in folder.iterdir() if file.suffix != ".lock"}
    # Kept aside: a checkpoint to which `model.h5` did not lead yet, when its moment comes again; and all
    # that a process left which was killed before its first checkpoint, so that the next one began anew.
    left -= {name for name in left if re.fullmatch(r"(model_[0-9_]+|best|run)\.[0-9]+\.h5", name)}
    numbered = {name for name in left if re.fullmatch(r"model_[0-9_]+\.h5", name)}
    assert left - numbered == {"best.h5", "model.h5", "run.h5"}, folder.name
    assert len(numbered) == (0 if history == 1 else history), folder.name


def killed(
    processes: ForkServerContext, folder: Path, history: int, resume: bool, at_s: float, event: int | None
) -> bool:
    """Train in a process of its own, and kill it; return whether it was still alive then."""
    options = {"resume": resume, "kill_at": event, "history": history}
    child = processes.Process(target=train, args=(folder,), kwargs=options)
    child.start()
    try:
        child.join(at_s)
    finally:
        child.kill()
        child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def resumed_within_an_epoch(folder: Path, epoch_ends: npt.NDArray[np.int64]) -> bool:
    """Return whether the last process went on from amid an epoch."""
    with h5py.File(str(folder / "run.h5")) as archive:
        return bool(archive["config"].attrs["resumed_at_minibatches"][-1] not in (0, *epoch_ends))
