"""The demo is killed with SIGKILL at random moments: whatever was on the disk stays whole."""

import multiprocessing
import random
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.support.announcing_demo import run_demo
from trainsignal.checkpoint import load_state

KILLS = 100
LONGEST_S = 1.2
BATCHES = 45
"""Minibatches of an epoch of the demo: 1,440 digits by 32."""


@pytest.mark.crash
def test_no_kill_leaves_a_broken_file_or_loses_what_was_announced(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.support.announcing_demo"])
    moments = random.Random(20261122)
    outcomes = []

    for trial in range(KILLS):
        folder = tmp_path / str(trial)
        folder.mkdir()
        child = processes.Process(target=run_demo, args=(folder, ["--epochs", "1000", "-H", "2"]))
        child.start()
        child.join(moments.uniform(0, LONGEST_S))
        assert child.exitcode is None, f"trial {trial} ended by itself with {child.exitcode}"
        child.kill()
        child.join()
        outcomes.append(check(folder))

    assert max(outcomes) > 5, "every trial was killed before it had done anything"


def check(folder: Path) -> int:
    """Assert that all files open, and hold what was announced; return how many checkpoints were announced."""
    announced = folder / "announced"
    complete = [line.split() for line in announced.read_text().splitlines()] if announced.exists() else []
    saved = [int(epoch) for epoch, path in complete if "checkpoint" in path]
    archive_path = folder / "demo-run" / "digits.h5"
    if archive_path.exists():
        with h5py.File(str(archive_path)) as archive:
            archive.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
            if saved:
                cost = archive["cost/train"][: (saved[-1] + 1) * BATCHES]
                assert not np.isnan(cost).any()
    assert archive_path.exists() or not saved
    states = {path: load_state(path) for path in (folder / "demo-run").glob("*.h5") if path != archive_path}
    best = [int(epoch) for epoch, path in complete if "best" in path]
    last_of = {"best.h5": max(best, default=-1), "checkpoint.h5": max(saved, default=-1)}
    for name, epoch in last_of.items():
        if epoch >= 0:
            assert states[folder / "demo-run" / name]["epoch_index"] >= epoch + 1
    return len(saved)
