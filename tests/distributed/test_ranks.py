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
from tests.support.watches import until, watch_threads
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


def interrupted(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the second rank end while it prepares the run."""

    def check_wiring(*arguments: object) -> None:
        if threading.current_thread().name == "rank 1":
            raise error

    monkeypatch.setattr("trainsignal.container.check_wiring", check_wiring)


@pytest.mark.parametrize(
    "error, words",
    [(KeyboardInterrupt(), "KeyboardInterrupt"), (SystemExit("no data"), "SystemExit: no data")],
    ids=["Ctrl-C", "exit"],
)
def test_rank_that_ends_while_it_prepares_tells_the_others(
    error: BaseException, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(error, monkeypatch)

    def rank(communicator: ThreadCommunicator) -> Any:
        with pytest.raises((type(error), RankFailedError)) as raised, quiet(communicator).training(EPOCHS):
            pass
        return raised.type, str(raised.value)

    first, second = run_ranks(2, rank)
    assert first == (RankFailedError, f"rank 1 could not begin: {words}")
    assert second[0] is type(error)


def test_rank_that_ends_while_it_prepares_and_cannot_tell_keeps_its_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupted(KeyboardInterrupt(), monkeypatch)

    def rank(communicator: ThreadCommunicator) -> list[str]:
        if communicator.rank == 0:
            communicator.open()
            return []  # and is gone
        with pytest.raises(KeyboardInterrupt) as raised, quiet(communicator).training(EPOCHS):
            pass
        return raised.value.__notes__

    assert run_ranks(2, rank)[1] == ["the other ranks could not be told: threads: rank 0 has ended"]


def left_ranks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what the ranks that have left are added to."""
    left: list[int] = []
    leave = Watch.leave

    def note(self: Watch) -> None:
        left.append(self._rank)
        leave(self)

    monkeypatch.setattr(Watch, "leave", note)
    return left


def fail_on_rank_1(communicator: ThreadCommunicator, callbacks: Callbacks) -> None:
    """Train; the first rank goes on until the other one works no more."""
    with callbacks.training(EPOCHS) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(MINIBATCHES)):
                run.cost = 1.0
                if communicator.rank == 1:
                    raise ValueError("bad batch")
                assert callbacks.run.ranks is not None
                hub = getattr(callbacks.run.ranks.together.watch, "_end", None)
                until(lambda hub=hub: getattr(hub, "_working", ()) == {0})  # type: ignore[misc]  # a default binds it


def test_rank_that_failed_ends_when_the_others_have(monkeypatch: pytest.MonkeyPatch) -> None:
    left = left_ranks(monkeypatch)

    def rank(communicator: ThreadCommunicator) -> list[int]:
        callbacks = quiet(communicator)
        callbacks.bus.subscribe("run_closed", lambda: seen.extend(left))
        seen: list[int] = []
        with pytest.raises((ValueError, RankFailedError)):
            fail_on_rank_1(communicator, callbacks)
        return seen

    assert run_ranks(2, rank) == [[], []]
    assert sorted(left) == [0, 1]


def test_all_is_closed_where_the_waiting_for_others_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Watch, patience_s: float) -> None:
        raise KeyboardInterrupt

    left = left_ranks(monkeypatch)
    monkeypatch.setattr(Watch, "wait_for_others", interrupt)

    def rank(communicator: ThreadCommunicator) -> tuple[bool, object]:
        callbacks = quiet(communicator)
        with pytest.raises(KeyboardInterrupt):
            fail_on_rank_1(communicator, callbacks)
        assert callbacks.run.ranks is not None
        watch = callbacks.run.ranks.together.watch
        assert watch is not None
        return communicator.is_open, watch._loop

    assert run_ranks(2, rank) == [(False, None)] * 2
    assert sorted(left) == [0, 1]
    until(lambda: not watch_threads())
