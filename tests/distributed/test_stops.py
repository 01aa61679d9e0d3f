"""One rank among others: signals, wishes and decisions, step by step."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.ranks import ThreadRanks
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.moderator import MARGIN, Message
from trainsignal.distributed.stops import LONGEST_TEXT, Stops, Surroundings
from trainsignal.distributed.together import Together
from trainsignal.errors import RankFailedError


@dataclass
class Watch:
    """Notes what is sent; a failure is told by the test."""

    sent: list[Message] = field(default_factory=list)
    gone: RankFailure | None = None

    def send(self, message: Message) -> None:
        self.sent.append(message)

    def left(self) -> frozenset[int]:
        return frozenset()

    def failure(self, wait_s: float = 0.0) -> RankFailure | None:
        return self.gone


@dataclass
class Rank:
    """A rank whose surroundings are the test's."""

    stops: Stops
    watch: Watch
    position: Any
    woken: list[bool] = field(default_factory=list)
    adopted: list[tuple[str, str, str]] = field(default_factory=list)
    raised: list[tuple[int, str]] = field(default_factory=list)
    asked: list[tuple[int, str]] = field(default_factory=list)


@pytest.fixture
def rank() -> Rank:
    together, watch = Together(ThreadRanks(2).communicators[1]), Watch()
    together.watch = cast("Any", watch)
    position = SimpleNamespace(epoch=2, epoch_minibatches=10)
    one = Rank(cast("Any", None), watch, position)

    def end_by_signal(number: int, author: str) -> None:
        one.raised.append((number, author))
        raise KeyboardInterrupt

    around = Surroundings(
        position,
        take_run_id=lambda run_id: None,
        wake=lambda: one.woken.append(True),
        adopt=lambda *vote: one.adopted.append(vote),
        end_by_signal=end_by_signal,
        asked_signal=lambda: one.asked[0] if one.asked else None,
    )
    one.stops = Stops(2, together, around)
    return one


def hear(rank: Rank, message: Message) -> None:
    rank.stops.hear(message)


WISH = {"reason": "enough", "author": "user", "at": "minibatch", "signal": None}


def decision(epoch: int, done: int, **wish: Any) -> Message:
    return {"epoch": epoch, "done": done, "wishes": [[{**WISH, **wish}, [0]]]}


def test_a_wish_for_the_next_minibatch_is_sent_at_once_one_for_the_epoch_waits(rank: Rank) -> None:
    rank.stops.wish("enough", "user", "minibatch")
    rank.stops.wish("no progress", "EarlyStopCallback", "epoch")
    assert [message["wish"]["reason"] for message in rank.watch.sent] == ["enough"]


def test_a_signal_becomes_one_wish(rank: Rank) -> None:
    rank.asked.append((signal.SIGTERM.value, "SIGTERM"))
    rank.stops.at_boundary()
    rank.stops.at_boundary()
    assert [message["wish"]["signal"] for message in rank.watch.sent] == [signal.SIGTERM.value]


@pytest.mark.parametrize("done", [10, 0], ids=["within", "begun"])
def test_who_is_asked_says_which_minibatch_comes_next(rank: Rank, done: int) -> None:
    rank.position.epoch_minibatches = done
    hear(rank, {"where": True})
    assert rank.watch.sent == [{"epoch": 2, "done": done}]
    assert rank.woken, "the next boundary is looked at"


@pytest.mark.parametrize("done", [10, 0], ids=["minibatches", "an empty shard"])
def test_who_is_asked_when_an_epoch_is_over_says_that_it_is_in_the_next(rank: Rank, done: int) -> None:
    rank.position.epoch_minibatches = done
    rank.stops.after_last_minibatch()
    hear(rank, {"where": True})
    rank.position.epoch, rank.position.epoch_minibatches = 3, 1
    hear(rank, {"where": True})
    assert rank.watch.sent == [{"epoch": 3, "done": 0}, {"epoch": 3, "done": 1}]


def test_the_next_boundary_looks_before_the_position_is_taken(rank: Rank) -> None:
    """Else a rank might run on, between the two, beyond what is decided."""
    taken: list[bool] = []

    class Noting:
        epoch = 2

        @property
        def epoch_minibatches(self) -> int:
            taken.append(bool(rank.woken))
            return 10

    rank.stops._around = replace(rank.stops._around, position=Noting())
    hear(rank, {"where": True})
    assert taken == [True]


def test_a_boundary_waits_until_the_position_is_taken(rank: Rank, monkeypatch: pytest.MonkeyPatch) -> None:
    rank.stops._is_asked = True  # and the watch's thread has come no further
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        rank.stops._held_at = (2, 10)

    monkeypatch.setattr("trainsignal.distributed.stops.sleep", sleep)
    rank.stops.at_boundary()
    assert len(waits) == 1 and rank.woken


def test_a_rank_stops_where_it_was_decided_and_not_before(rank: Rank) -> None:
    hear(rank, {"where": True})
    hear(rank, decision(2, 13))
    for done in (11, 12):
        rank.position.epoch_minibatches = done
        rank.woken.clear()
        rank.stops.at_boundary()
        assert (rank.adopted, rank.woken) == ([], [True]), "it looks again after the next minibatch"
    rank.position.epoch_minibatches = 13
    rank.stops.at_boundary()
    assert rank.adopted == [("enough", "user on rank 0", "minibatch")]
    assert not rank.stops.is_ended_by_signal, "what fails after it is told to the others"


def test_a_signal_that_another_rank_got_is_raised_here_too(rank: Rank) -> None:
    hear(rank, {"where": True})
    hear(rank, decision(2, 10, signal=signal.SIGINT.value, author="SIGINT"))
    with pytest.raises(KeyboardInterrupt):
        rank.stops.at_boundary()
    assert rank.raised == [(signal.SIGINT.value, "SIGINT on rank 0")]
    assert rank.stops.is_ended_by_signal


def test_a_decision_for_an_epoch_that_has_ended_before_is_forgotten(rank: Rank) -> None:
    hear(rank, {"where": True})
    hear(rank, decision(2, 13))
    rank.position.epoch, rank.position.epoch_minibatches = 3, 1
    rank.stops.at_boundary()
    rank.woken.clear()
    rank.stops.at_boundary()
    assert (rank.adopted, rank.woken) == ([], [])


@pytest.mark.parametrize("epoch, done", [(2, 10 + MARGIN), (3, MARGIN)], ids=["this epoch", "the next one"])
def test_a_rank_waits_for_the_decision_before_it_could_pass_it(
    rank: Rank, epoch: int, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        hear(rank, decision(epoch, done))

    monkeypatch.setattr("trainsignal.distributed.stops.sleep", sleep)
    hear(rank, {"where": True})
    rank.position.epoch, rank.position.epoch_minibatches = epoch, done - 1
    rank.stops.at_boundary()
    assert not waits
    rank.position.epoch_minibatches = done
    rank.stops.at_boundary()
    assert len(waits) == 1 and len(rank.adopted) == 1


@pytest.mark.parametrize("is_decided", [True, False])
def test_a_rank_whose_epoch_is_shorter_stops_at_its_end(
    rank: Rank, is_decided: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainsignal.distributed.stops.sleep", lambda seconds: hear(rank, decision(2, 13)))
    hear(rank, {"where": True})
    if is_decided:
        hear(rank, decision(2, 13))
    rank.position.epoch_minibatches = 11
    rank.stops.at_boundary()
    assert rank.adopted == []
    rank.stops.after_last_minibatch()
    assert len(rank.adopted) == 1


def test_a_rank_whose_epoch_is_shorter_is_ended_by_a_signal_of_another(rank: Rank) -> None:
    hear(rank, {"where": True})
    hear(rank, decision(2, 13, signal=signal.SIGTERM.value, author="SIGTERM"))
    with pytest.raises(KeyboardInterrupt):
        rank.stops.after_last_minibatch()
    assert rank.raised == [(signal.SIGTERM.value, "SIGTERM on rank 0")]


def test_a_decision_for_the_next_epoch_is_left_to_the_end_of_this_one(rank: Rank) -> None:
    hear(rank, {"where": True})
    hear(rank, decision(3, 3))
    rank.stops.after_last_minibatch()
    assert rank.adopted == []


def test_between_epochs_no_decision_is_heeded(rank: Rank) -> None:
    rank.stops.after_last_minibatch()
    hear(rank, {"where": True})
    hear(rank, decision(2, 10))
    rank.stops.at_boundary()
    assert rank.adopted == []


def test_who_waits_for_a_decision_hears_of_a_failure(rank: Rank) -> None:
    hear(rank, {"where": True})
    rank.watch.gone = RankFailure(0, "ValueError: bad batch")
    rank.stops._together.has_news = True
    with pytest.raises(RankFailedError, match="rank 0: ValueError: bad batch"):
        rank.stops.after_last_minibatch()


def test_who_waits_for_a_decision_misses_a_rank_that_left(
    rank: Rank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the first rank nobody decides."""
    monkeypatch.setattr("trainsignal.distributed.together.LEFT_S", 0.0)
    monkeypatch.setattr(rank.watch, "left", lambda: frozenset({0}))
    hear(rank, {"where": True})
    with pytest.raises(RankFailedError, match="rank 0: left the loop"):
        rank.stops.after_last_minibatch()


def test_who_is_asked_before_a_resumed_epoch_has_begun_anew_counts_what_is_done_of_it(rank: Rank) -> None:
    rank.stops.go_on_from(3, 54)
    hear(rank, {"where": True})  # in `train_begin`
    rank.position.epoch, rank.position.epoch_minibatches = 3, 0
    hear(rank, {"where": True})  # in `epoch_begin`
    rank.position.epoch_minibatches = 55
    hear(rank, {"where": True})
    assert rank.watch.sent == [
        {"epoch": 3, "done": 54}, {"epoch": 3, "done": 54}, {"epoch": 3, "done": 55},
    ]  # fmt: skip


def test_what_this_rank_wants_too_is_heeded_once(rank: Rank) -> None:
    """Its own wish came too late for the decision."""
    hear(rank, {"where": True})
    hear(rank, decision(2, 13))
    rank.stops.wish("enough", "user", "minibatch")
    rank.stops.wish("too hot", "user", "minibatch")
    rank.position.epoch_minibatches = 13
    rank.stops.at_boundary()
    assert rank.adopted == [("enough", "user on rank 0", "minibatch")]
    assert [wish.reason for wish in rank.stops._wishes] == ["too hot"]


def test_a_long_reason_is_cut_so_that_it_travels(rank: Rank) -> None:
    rank.stops.wish("x" * 100_000, "y" * 100_000, "minibatch")
    (message,) = rank.watch.sent
    assert len(message["wish"]["reason"]) == len(message["wish"]["author"]) == LONGEST_TEXT


def test_a_failure_that_is_known_is_raised_at_the_next_boundary(rank: Rank) -> None:
    rank.watch.gone = RankFailure(0, "ValueError: bad batch")
    rank.stops.at_boundary()
    rank.stops._together.has_news = True
    with pytest.raises(RankFailedError, match="rank 0: ValueError: bad batch"):
        rank.stops.at_boundary()
