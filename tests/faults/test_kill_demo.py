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
EARLY_KILLS = 20
"""So many of them come at any moment from the start, the others after the first checkpoint."""

LONGEST_S = 0.8
"""From the start, or from the first checkpoint, to the kill."""

PATIENCE_S = 60.0
"""For the first checkpoint."""

BATCHES = 45
"""Minibatches of an epoch of the demo: 1,440 digits by 32."""


@pytest.mark.crash
def test_no_kill_leaves_a_broken_file_or_loses_what_was_announced(tmp_path: Path) -> None:
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.support.announcing_demo"])
    moments = random.Random(20261122)

    for trial in range(KILLS):
        is_early = trial < EARLY_KILLS
        folder = tmp_path / str(trial)
        folder.mkdir()
        first, childs_first = processes.Pipe(duplex=False)
        child = processes.Process(
            target=run_demo, args=(folder, ["--epochs", "1000", "-H", "2"], childs_first)
        )
        child.start()
        childs_first.close()
        try:
            assert is_early or first.poll(PATIENCE_S), f"trial {trial}: no checkpoint in {PATIENCE_S} s"
            child.join(moments.uniform(0, LONGEST_S))
            assert child.exitcode is None, f"trial {trial} ended by itself with {child.exitcode}"
        finally:
            child.kill()
            child.join()
            first.close()

        announced = check(folder)

        assert is_early or announced > 0


def check(folder: Path) -> int:
    """Assert that all files open, and hold what was announced; return how many checkpoints were announced."""
    run = folder / "demo-run"
    archive = run / "digits.h5"
    announced = announced_in(folder)
    if archive.exists():
        check_archive(archive, max((epoch for epoch, _ in announced), default=-1))
    assert archive.exists() or not announced
    states = {path.name: load_state(path) for path in run.glob("*.h5") if path != archive}
    for epoch, name in announced:  # the numbered ones come and go; the newest is also "checkpoint.h5"
        newest = states["best.h5" if name == "best.h5" else "checkpoint.h5"]
        assert newest["epoch_index"] >= epoch + 1
    return len(announced)


def announced_in(folder: Path) -> list[tuple[int, str]]:
    """Return what the demo announced: the 0-based epoch and the name of the file of each checkpoint."""
    announced = folder / "announced"
    lines = announced.read_text().splitlines() if announced.exists() else []
    return [(int(epoch), Path(path).name) for epoch, path in (line.split() for line in lines)]


def check_archive(path: Path, epoch: int) -> None:
    """Assert that all of the archive can be read, and that it is not behind a checkpoint of that epoch.

    Args:
        path: the archive.
        epoch: the last whose checkpoint was announced, 0-based; -1 for none.
    """
    with h5py.File(str(path)) as archive:
        archive.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
        if epoch < 0:
            return
        markers = archive["time_markers"]
        assert markers.attrs["epochs_complete"] >= epoch + 1
        assert markers.attrs["minibatches_complete"] >= (epoch + 1) * BATCHES
        ends = np.arange(1, epoch + 2) * BATCHES
        np.testing.assert_array_equal(archive["time_markers/minibatch"][: epoch + 1], ends)
        assert not np.isnan(archive["cost/train"][: (epoch + 1) * BATCHES]).any()
        assert not np.isnan(archive["cost/loss"][: epoch + 1]).any()
