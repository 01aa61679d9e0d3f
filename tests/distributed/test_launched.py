"""Trainings of 1, 2 and 4 real processes, started by torchrun and by mpirun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.launching import Launched, Library, launch
from trainsignal.checkpoint import load_state

LIBRARIES: list[Library] = ["torch", "mpi"]


def told(launched: Launched) -> list[dict[str, Any]]:
    """Return what each rank has left, of which none is missing."""
    assert None not in launched.ranks, launched.output
    return [rank for rank in launched.ranks if rank is not None]


@pytest.fixture(scope="module", params=LIBRARIES)
def completed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[int, Launched]:
    """Return complete runs by number of ranks."""
    runs = {}
    for ranks in (1, 2, 4):
        folder = tmp_path_factory.mktemp(f"{request.param}{ranks}")
        runs[ranks] = launch(request.param, ranks, folder)
        assert runs[ranks].status == 0, runs[ranks].output
    return runs


def test_loss_metric_and_train_cost_are_the_same_however_many_ranks(completed: dict[int, Launched]) -> None:
    alone = completed[1].archive()
    assert len(alone["loss"]) == 3 and alone["reason"] == "completed"
    for ranks in (2, 4):
        together = completed[ranks].archive()
        for series in ("loss", "metric", "train"):
            np.testing.assert_allclose(together[series], alone[series], rtol=1e-6, atol=1e-7, err_msg=series)


def test_files_are_written_once(completed: dict[int, Launched]) -> None:
    for run in completed.values():
        assert {file.name for file in run.folder.iterdir() if file.suffix == ".h5"} == {"run.h5", "model.h5"}


def test_every_rank_completes(completed: dict[int, Launched]) -> None:
    for run in completed.values():
        assert {(one["reason"], one["epochs"]) for one in told(run)} == {("completed", 3)}


@pytest.mark.parametrize("library", LIBRARIES)
def test_all_ranks_stop_at_one_minibatch(library: Library, tmp_path: Path) -> None:
    run = launch(library, 4, tmp_path, do="stop", rank=2, epoch=1, minibatch=10, repeats=50, pause_s=0.005)
    assert run.status == 0, run.output
    assert [one["reason"] for one in told(run)] == ["stopped"] * 4
    assert len({one["done"] for one in told(run)}) == 1
    assert 200 + 11 <= told(run)[0]["done"] < 400, "amid the epoch"
    assert told(run)[0]["votes"] == [["enough", "Fate on rank 2"]]


@pytest.mark.parametrize("library", LIBRARIES)
def test_termination_of_one_rank_ends_all_with_one_checkpoint(library: Library, tmp_path: Path) -> None:
    run = launch(
        library, 2, tmp_path, do="terminate", rank=1, epoch=1, minibatch=10, repeats=100, pause_s=0.01
    )
    assert run.status != 0
    assert [one["error"] for one in told(run)] == ["PreemptedExit: 143"] * 2, run.output
    archive, state = run.archive(), load_state(tmp_path / "model.h5")
    assert (archive["reason"], archive["epochs"]) == ("preempted", 1)
    saved = state["trainsignal"]
    assert saved["is_within_epoch"] and saved["minibatch"] > 10


def test_termination_of_slow_ranks_is_in_order_too(tmp_path: Path) -> None:
    """The minibatches until all stop take longer than the grace period, which is for each of them."""
    run = launch(
        "torch", 2, tmp_path, do="terminate", rank=1, epoch=0, minibatch=1, repeats=20, pause_s=0.5, grace_s=1
    )
    assert [one["error"] for one in told(run)] == ["PreemptedExit: 143"] * 2, run.output
    assert run.archive()["reason"] == "preempted"
    load_state(tmp_path / "model.h5")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("rank", [0, 3])
def test_a_rank_that_raises_ends_all_within_the_stated_time(
    library: Library, rank: int, tmp_path: Path
) -> None:
    run = launch(library, 4, tmp_path, do="raise", rank=rank, epoch=1, minibatch=2, repeats=20, grace_s=3.0)
    assert run.status != 0
    archive = run.archive()
    assert (archive["reason"], archive["detail"]) == ("failed", f"rank {rank}: ValueError: bad batch"), (
        run.output
    )
    load_state(tmp_path / "model.h5")
    failed = run.ranks[rank]  # mpirun ends it as soon as the others have ended
    if library == "torch" or failed is not None:
        assert failed is not None and failed["error"] == "ValueError: bad batch"


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_is_killed_leaves_the_others_a_reason(rank: int, tmp_path: Path) -> None:
    run = launch("torch", 2, tmp_path, do="kill", rank=rank, epoch=1, minibatch=2, repeats=20, grace_s=3.0)
    assert run.status != 0
    other = run.ranks[1 - rank]
    assert other is not None, run.output
    assert f"rank {rank}: the process ended without a word" in other["error"] + " ".join(other["notes"])
    archive = run.archive()
    if rank:
        assert (archive["reason"], archive["epochs"]) == ("failed", 1)
        assert archive["detail"] == "rank 1: the process ended without a word"
    load_state(tmp_path / "model.h5")


def test_under_mpi_what_was_published_before_a_kill_stays_whole(tmp_path: Path) -> None:
    run = launch("mpi", 2, tmp_path, do="kill", rank=1, epoch=1, minibatch=2, repeats=20, grace_s=3.0)
    assert run.status != 0
    assert run.archive()["epochs"] >= 1
    load_state(tmp_path / "model.h5")


@pytest.mark.parametrize("library", LIBRARIES)
def test_ranks_that_differ_end_with_an_error_that_shows_it(library: Library, tmp_path: Path) -> None:
    run = launch(library, 2, tmp_path, differ=1)
    assert run.status != 0
    for one in told(run):
        assert "the ranks of this run differ" in one["error"]
        assert "+ Callback; epochs: every 7" in one["error"]


def test_a_run_goes_on_with_another_number_of_ranks(tmp_path: Path) -> None:
    whole = launch("torch", 1, tmp_path / "whole", epochs=4)
    assert whole.status == 0, whole.output
    for ranks, epochs in ((4, 1), (1, 2), (2, 4)):
        run = launch("torch", ranks, tmp_path / "parts", epochs=epochs, resume=epochs > 1)
        assert run.status == 0, run.output
    for series in ("loss", "metric", "train"):
        np.testing.assert_allclose(
            run.archive()[series], whole.archive()[series], rtol=1e-5, atol=1e-6, err_msg=series
        )


def test_an_epoch_that_was_cut_short_is_trained_again_with_another_number_of_ranks(tmp_path: Path) -> None:
    run = launch(
        "torch", 2, tmp_path, do="terminate", rank=0, epoch=1, minibatch=1, repeats=100, pause_s=0.01
    )
    assert run.archive()["reason"] == "preempted", run.output
    again = launch("torch", 1, tmp_path, resume=True)
    assert again.status == 0, again.output
    assert "is trained again from its begin" in again.output
    assert again.archive()["reason"] == "completed"
    assert np.isfinite(again.archive()["loss"]).all()
