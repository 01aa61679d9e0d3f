from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.ranks import ThreadCommunicator, run_ranks
from trainsignal.distributed import SingleProcess
from trainsignal.distributed.communicator import gather_bytes, wait
from trainsignal.errors import CommunicatorError


def nothing() -> None:
    """A check that has nothing to object to."""


@dataclass
class Later:
    """Is done when it has been asked so often."""

    asks: int
    error: Exception | None = None

    def is_done(self) -> bool:
        self.asks -= 1
        return self.asks <= 0

    def result(self) -> str:
        assert self.asks <= 0, "asked for its result before it was done"
        if self.error is not None:
            raise self.error
        return "result"


@dataclass
class Sleep:
    """Notes how long was to be slept."""

    pauses_s: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.pauses_s.append(seconds)


def test_wait_asks_soon_at_first_and_every_two_milliseconds_in_the_end() -> None:
    sleep = Sleep()

    assert wait(Later(100), nothing, sleep=sleep) == "result"

    assert len(sleep.pauses_s) == 99
    assert sleep.pauses_s[:3] == [20e-6, 40e-6, 80e-6]
    assert sleep.pauses_s == sorted(sleep.pauses_s)
    assert set(sleep.pauses_s[10:]) == {2e-3}


def test_wait_for_what_is_done_neither_sleeps_nor_checks() -> None:
    sleep = Sleep()

    assert wait(Later(1), lambda: pytest.fail("checked"), sleep=sleep) == "result"

    assert sleep.pauses_s == []


def test_wait_checks_each_time_and_ends_with_what_the_check_raises() -> None:
    sleep = Sleep()

    def check() -> None:
        if len(sleep.pauses_s) == 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        wait(Later(1000), check, sleep=sleep)

    assert len(sleep.pauses_s) == 3


def test_wait_raises_what_a_failed_collective_says() -> None:
    with pytest.raises(CommunicatorError, match="a peer is gone"):
        wait(Later(1, CommunicatorError("a peer is gone")), nothing)


@pytest.mark.parametrize(
    "content_of",
    [
        lambda rank: bytes(range(10 * rank)),
        lambda rank: b"",
        lambda rank: b"\0\0" if rank == 1 else b"",
        lambda rank: b"same",
    ],
    ids=["of different lengths", "all empty", "one alone, of zeros", "of one length"],
)
def test_gathered_bytes_are_those_of_each_rank(content_of: Callable[[int], bytes]) -> None:
    def function(communicator: ThreadCommunicator) -> list[bytes]:
        return gather_bytes(communicator, content_of(communicator.rank), nothing)

    assert run_ranks(3, function) == [[content_of(rank) for rank in range(3)]] * 3


def test_bytes_of_one_process_come_back() -> None:
    assert gather_bytes(SingleProcess(), b"alone", nothing) == [b"alone"]


def test_check_ends_a_gathering_of_bytes_that_another_rank_never_joins() -> None:
    has_raised = threading.Event()

    def check() -> None:
        raise ZeroDivisionError

    def function(communicator: ThreadCommunicator) -> None:
        if communicator.rank == 1:
            assert has_raised.wait(20)
            return
        with pytest.raises(ZeroDivisionError):
            gather_bytes(communicator, b"zero", check)
        has_raised.set()

    run_ranks(2, function)
