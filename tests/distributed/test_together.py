"""Collectives that end when a rank fails or leaves, and say when they take very long."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from tests.support.ranks import ThreadCommunicator, ThreadRanks, run_ranks
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.together import LEFT_S, LONG_S, Together
from trainsignal.errors import CommunicatorError, RankFailedError

FAILURE = RankFailure(0, "ValueError: bad batch")


class Watch:
    """Knows what the test tells it."""

    def __init__(self) -> None:
        self.gone: RankFailure | None = None
        self.others_left: frozenset[int] = frozenset()

    def failure(self, wait_s: float = 0.0) -> RankFailure | None:
        return self.gone

    def left(self) -> frozenset[int]:
        return self.others_left


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        monkeypatch.setattr("trainsignal.distributed.together.monotonic", lambda: self.now_s)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def together(watch: Watch) -> Together:
    one = Together(ThreadRanks(2).communicators[1])
    one.watch = cast("Any", watch)
    return one


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_a_rank_that_left_is_missed_after_a_while(together: Together, watch: Watch, clock: Clock) -> None:
    check = together.waiting()
    check()
    watch.others_left = frozenset({0, 2})
    check()
    clock.now_s += LEFT_S
    check()
    clock.now_s += 1
    with pytest.raises(RankFailedError, match="rank 0: left the loop, while other ranks went on"):
        check()


def test_a_failure_ends_the_waiting(together: Together, watch: Watch) -> None:
    check = together.waiting()
    watch.gone, together.has_news = FAILURE, True
    with pytest.raises(RankFailedError, match="rank 0: ValueError: bad batch"):
        check()


def test_a_long_wait_is_told_once_with_what_may_be_the_cause(
    together: Together, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    check = together.waiting()
    clock.now_s += LONG_S
    check()
    assert not caplog.records
    for _ in range(3):
        clock.now_s += LONG_S
        check()
    together.waiting()()
    (record,) = caplog.records
    assert record.message.startswith("rank 1 has waited for the others for 60 s.")
    assert "give all ranks the same number" in record.message


@pytest.mark.parametrize("is_told", [True, False])
def test_an_error_of_a_collective_is_a_failure_where_one_is_known(is_told: bool) -> None:
    def rank(communicator: ThreadCommunicator) -> tuple[type[BaseException], str] | None:
        if communicator.rank == 0:
            return None  # has ended
        together, watch = Together(communicator), Watch()
        together.watch = cast("Any", watch)
        watch.gone = FAILURE if is_told else None
        with pytest.raises(CommunicatorError) as raised:
            together.sum(np.ones(1))
        return raised.type, str(raised.value)

    expected = (
        (RankFailedError, "rank 0: ValueError: bad batch")
        if is_told
        else (CommunicatorError, "threads: rank 0 has ended")
    )
    assert run_ranks(2, rank) == [None, expected]
