"""The ranks that other tests lean on must themselves be honest."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.support.ranks import ThreadCommunicator, run_ranks
from trainsignal.distributed.communicator import wait
from trainsignal.errors import CommunicatorError, RunStateError


def nothing() -> None:
    """A check that has nothing to object to."""


def test_sum_and_gather_are_those_of_all_ranks() -> None:
    def function(communicator: ThreadCommunicator) -> tuple[list[float], list[list[int]]]:
        rank = communicator.rank
        added = wait(communicator.start_sum(np.array([rank, 1.0])), nothing)
        rows = wait(communicator.start_gather(np.array([rank, 9], np.uint8)), nothing)
        return added.tolist(), rows.tolist()

    assert run_ranks(3, function) == [([3.0, 3.0], [[0, 9], [1, 9], [2, 9]])] * 3


def test_collective_is_done_once_the_last_rank_has_started_it() -> None:
    asked, started = threading.Event(), threading.Event()

    def function(communicator: ThreadCommunicator) -> None:
        if communicator.rank == 1:
            assert asked.wait(20)
            communicator.start_sum(np.ones(1))
            started.set()
            return
        pending = communicator.start_sum(np.ones(1))
        assert not pending.is_done()
        asked.set()
        assert started.wait(20)
        assert pending.is_done()
        assert pending.result() == 2.0

    run_ranks(2, function)


def test_several_collectives_may_be_under_way() -> None:
    def function(communicator: ThreadCommunicator) -> list[float]:
        started = [communicator.start_sum(np.full(1, float(number))) for number in range(5)]
        return [float(wait(one, nothing)[0]) for one in reversed(started)]

    assert run_ranks(2, function) == [[8.0, 6.0, 4.0, 2.0, 0.0]] * 2


@pytest.mark.parametrize("length, kind", [(2, "sum"), (1, "gather")])
def test_ranks_that_start_different_things_fail_the_test(length: int, kind: str) -> None:
    def function(communicator: ThreadCommunicator) -> None:
        if communicator.rank == 0:
            wait(communicator.start_sum(np.zeros(1)), nothing)
        elif kind == "sum":
            wait(communicator.start_sum(np.zeros(length)), nothing)
        else:
            wait(communicator.start_gather(np.zeros(length, np.uint8)), nothing)

    with pytest.raises(pytest.fail.Exception, match=r"collective 0: rank \d started a"):
        run_ranks(2, function)


def test_what_waits_for_a_rank_that_died_fails_and_what_it_took_part_in_does_not() -> None:
    def function(communicator: ThreadCommunicator) -> None:
        first = communicator.start_sum(np.ones(1))
        if communicator.rank == 1:
            communicator.ranks.abandon(1)
            return
        assert wait(first, nothing) == 2.0
        with pytest.raises(CommunicatorError, match="rank 1 died"):
            wait(communicator.start_sum(np.ones(1)), nothing)

    run_ranks(2, function)


def test_error_of_a_rank_is_raised_with_its_number_and_ends_the_others() -> None:
    def function(communicator: ThreadCommunicator) -> None:
        if communicator.rank == 2:
            raise ZeroDivisionError
        wait(communicator.start_sum(np.ones(1)), nothing)

    with pytest.raises(ZeroDivisionError) as caught:
        run_ranks(3, function)

    assert caught.value.__notes__ == ["on rank 2"]


def test_nobody_waits_for_a_rank_that_has_ended() -> None:
    def function(communicator: ThreadCommunicator) -> None:
        if communicator.rank == 0:
            wait(communicator.start_sum(np.ones(1)), nothing)

    with pytest.raises(CommunicatorError, match="rank 1 has ended"):
        run_ranks(2, function)


def test_hang_fails_with_the_stack_of_each_rank() -> None:
    released = threading.Event()

    def hang_here(communicator: ThreadCommunicator) -> None:
        released.wait(20)

    with pytest.raises(pytest.fail.Exception, match=r"(?s)rank 0:.*hang_here.*rank 1:.*hang_here"):
        run_ranks(2, hang_here, timeout_s=0.1)
    released.set()


def test_collective_outside_of_open_and_close_is_refused() -> None:
    def function(communicator: ThreadCommunicator) -> None:
        communicator.close()
        communicator.start_sum(np.ones(1))

    with pytest.raises(RunStateError, match="not open"):
        run_ranks(1, function)


def test_result_before_all_have_started_fails_the_test() -> None:
    has_failed = threading.Event()

    def function(communicator: ThreadCommunicator) -> None:
        if communicator.rank == 1:
            assert has_failed.wait(20)
            return
        pending = communicator.start_sum(np.ones(1))
        with pytest.raises(pytest.fail.Exception, match="before rank 1 started it"):
            pending.result()
        has_failed.set()

    run_ranks(2, function)


def test_opening_waits_for_every_rank_and_fails_without_one() -> None:
    def function(communicator: ThreadCommunicator) -> None:
        if communicator.rank == 1:
            communicator.ranks.abandon(1)
            return
        with pytest.raises(CommunicatorError, match="rank 1 died"):
            communicator.open()

    run_ranks(2, function)
