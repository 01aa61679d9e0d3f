"""Trainings by two real processes, as frameworks bring them together: Lightning's "ddp", and torchrun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.framework_program import trained_alone
from tests.support.launching import Framework, Launched, launch_framework
from trainsignal.checkpoint import load_state

FRAMEWORKS: list[Framework] = ["lightning", "transformers", "ignite"]


def told(run: Launched) -> list[dict[str, Any]]:
    """Return what each rank has left, of which none is missing."""
    assert None not in run.ranks, run.output
    return [rank for rank in run.ranks if rank is not None]


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_two_ranks_leave_one_archive_with_the_values_of_one_process(
    framework: Framework, tmp_path: Path
) -> None:
    run = launch_framework(framework, 2, tmp_path)

    assert run.status == 0, run.output
    assert [(one["reason"], one["epochs"], one["done"]) for one in told(run)] == [("completed", 3, 12)] * 2
    assert {file.name for file in run.folder.glob("*.h5*")} == {"run.h5", "model.h5"}
    archive, alone = run.archive(), trained_alone(epochs=3)
    assert archive["reason"] == "completed"
    for series, values in alone.items():
        np.testing.assert_allclose(archive[series], values, rtol=1e-5, err_msg=series)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_vote_of_one_rank_amid_an_epoch_stops_both_at_the_same_step(
    framework: Framework, tmp_path: Path
) -> None:
    run = launch_framework(
        framework, 2, tmp_path, do="stop", rank=1, epoch=1, minibatch=10, repeats=50, pause_s=0.005
    )

    assert run.status == 0, run.output
    assert [one["reason"] for one in told(run)] == ["stopped"] * 2
    assert [one["votes"] for one in told(run)] == [[["enough", "Fate on rank 1"]]] * 2
    assert len({one["done"] for one in told(run)}) == 1
    assert 200 + 11 <= told(run)[0]["done"] < 400, "amid the epoch"
    archive = run.archive()
    assert archive["reason"] == "stopped"
    assert np.isfinite(archive["loss"][:2]).all() and np.isnan(archive["loss"][2])


@pytest.mark.parametrize(
    ("framework", "rank"), [*((framework, 1) for framework in FRAMEWORKS), ("lightning", 0)]
)
def test_a_rank_that_raises_ends_both_with_its_words_in_the_archive(
    framework: Framework, rank: int, tmp_path: Path
) -> None:
    run = launch_framework(
        framework, 2, tmp_path, do="raise", rank=rank, epoch=1, minibatch=2, repeats=20, grace_s=3.0
    )

    assert run.status != 0
    failed, other, archive = run.ranks[rank], run.ranks[1 - rank], run.archive()
    assert failed is not None and failed["error"] == "ValueError: bad batch", run.output
    assert other is None or f"rank {rank}: ValueError: bad batch" in f"{other['error']} {other['notes']}"
    assert (archive["reason"], archive["detail"]) == ("failed", f"rank {rank}: ValueError: bad batch")
    assert archive["epochs"] == 1
    load_state(tmp_path / "model.h5")
