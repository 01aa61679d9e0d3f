"""A rank among others: where they cannot reach each other, and where one is blocked when another fails."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.support.ranks import ThreadCommunicator, run_ranks
from trainsignal import Callbacks
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.last_resort import FAILED_STATUS, LastResort
from trainsignal.distributed.watch import Watch
from trainsignal.errors import CommunicatorError, RankFailedError
from trainsignal.keys import TIME_MARKERS

EPOCHS, MINIBATCHES = 3, 20
LIMIT_S = 30.0


class Silent:
    """A model that nobody asks anything of."""


def quiet(communicator: ThreadCommunicator, **options: Any) -> Callbacks:
    return Callbacks(Silent(), progress_bar=False, communicator=communicator, **options)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall between the second rank and the first."""
    connect = Watch.connect

    def refused(self: Watch, offer: bytes, timeout_s: float) -> bool:
        return self._rank != 1 and connect(self, offer, 0.1)

    monkeypatch.setattr(Watch, "connect", refused)


@pytest.mark.usefixtures("unreachable")
def test_ranks_that_cannot_reach_each_other_stop_together_at_an_epochs_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator)
        with callbacks.training(EPOCHS) as run:
            for epoch in run.epochs():
                for minibatch in run.minibatches(range(MINIBATCHES)):
                    run.cost = 1.0
                    if (run.rank, epoch, minibatch) == (1, 1, 3):
                        run.request_stop("enough")
        return run.epochs_complete, run.minibatches_done, run.exit_reason

    assert run_ranks(2, rank) == [(2, 2 * MINIBATCHES, "stopped")] * 2
    (record,) = [one for one in caplog.records if "cannot reach" in one.message]
    assert record.levelno == logging.WARNING
    assert "ranks [1] cannot reach rank 0" in record.message
    assert "Allow TCP connections between the machines" in record.message


@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("failing", [0, 1])
def test_without_a_watch_a_rank_fails_for_itself_and_the_communicator_tells_the_others(failing: int) -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator)
        with pytest.raises((ValueError, CommunicatorError)) as raised, callbacks.training(EPOCHS) as run:
            for epoch in run.epochs():
                for _ in run.minibatches(range(MINIBATCHES)):
                    run.cost = 1.0
                    if (run.rank, epoch) == (failing, 1):
                        raise ValueError("bad batch")
        return raised.type, callbacks.run.rank_failure

    told = run_ranks(2, rank)
    assert told[failing] == (ValueError, RankFailure(failing, "ValueError: bad batch"))
    assert told[1 - failing][0] is CommunicatorError


def test_a_rank_that_is_blocked_when_another_fails_saves_the_archive_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int] = []
    has_ended = threading.Event()

    def end_process(status: int) -> None:
        statuses.append(status)
        has_ended.set()

    monkeypatch.setattr("trainsignal.joining.LastResort", partial(LastResort, end_process=end_process))
    path = tmp_path / "run.h5"
    saved: dict[str, Any] = {}

    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator, output_file=str(path), grace_s=0.2)
        with callbacks.training(EPOCHS) as run:
            for epoch in run.epochs():
                for minibatch in run.minibatches(range(MINIBATCHES)):
                    run.cost = float(minibatch)
                    if epoch == 1 and run.rank == 1:
                        raise ValueError("bad batch")
                    if epoch == 1:
                        assert has_ended.wait(LIMIT_S)  # as if in a collective
                        with h5py.File(str(path)) as archive:
                            saved.update(archive["config"].attrs, **archive[TIME_MARKERS].attrs)

    with pytest.raises((ValueError, RankFailedError)):
        run_ranks(2, rank, timeout_s=2 * LIMIT_S)
    assert statuses == [FAILED_STATUS]
    assert (saved["exit_reason"], saved["exit_detail"]) == ("failed", "rank 1: ValueError: bad batch")
    assert saved["epochs_complete"] == 1
