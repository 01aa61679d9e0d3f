"""Ranks that find each other, late or not at all."""

from __future__ import annotations

import logging
import threading

import pytest

from tests.support.watches import LIMIT_S, WatchingRank, until, watch_threads
from trainsignal.distributed import watch_offer
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch_offer import Offer
from trainsignal.errors import CommunicatorError

LONG_S = 600.0
"""Longer than any test."""


def test_single_process_has_nobody_to_watch() -> None:
    one = WatchingRank(0, 1, 0.0).watch
    assert one.offer() == b""
    assert one.connect(b"", 0.0)
    one.send({"wish": {}})
    assert one.fail("ValueError", LONG_S) == RankFailure(0, "ValueError")
    assert one.failure(LONG_S) is None
    one.leave()
    one.close()
    assert (one.left(), watch_threads()) == (frozenset(), [])


def test_each_run_has_a_token_of_its_own() -> None:
    ranks = [WatchingRank(0, 2).watch for _ in range(2)]
    tokens = {Offer.decoded(one.offer()).token for one in ranks}
    assert len(tokens) == 2
    assert {len(token) for token in tokens} == {256 // 4}
    for one in ranks:
        one.close()


def test_connect_gives_up_when_some_rank_does_not_come() -> None:
    ranks = [WatchingRank(rank, 3, 0.05).watch for rank in range(3)]
    offer = ranks[0].offer()
    assert ranks[1].connect(offer, LIMIT_S)
    assert not ranks[0].connect(offer, 0.02)
    assert ranks[2].connect(offer, LIMIT_S)
    assert ranks[0].connect(offer, LIMIT_S)
    for one in ranks:
        one.close()


def test_nobody_joins_a_first_rank_that_has_closed_but_serves_others_still() -> None:
    ranks = [WatchingRank(rank, 3).watch for rank in range(3)]
    offer = ranks[0].offer()
    assert ranks[1].connect(offer, LIMIT_S)
    until(lambda: 1 in getattr(ranks[0]._end, "_working", ()))
    ranks[0].leave()
    ranks[0].close()
    assert not ranks[2].connect(offer, 0.1)
    assert ranks[1].failure() is None
    ranks[1].close()
    until(lambda: not watch_threads())


def test_rank_that_comes_late_hears_what_has_been() -> None:
    ranks = [WatchingRank(rank, 5, 0.05).watch for rank in range(5)]
    offer = ranks[0].offer()
    for one in ranks[1:4]:
        assert one.connect(offer, LIMIT_S)
    ranks[1].leave()
    ranks[2].fail("ValueError")
    ranks[3].close()
    until(lambda: ranks[0].left() and 3 not in getattr(ranks[0]._end, "_links", ()))
    assert ranks[4].connect(offer, LIMIT_S)
    assert ranks[4].failure(LIMIT_S) == RankFailure(2, "ValueError")
    assert ranks[4].left() == {1}
    for one in reversed(ranks):
        one.close()


def test_without_an_offer_there_is_no_connection() -> None:
    assert not WatchingRank(1, 2, 0.0).watch.connect(b"", LONG_S)
    assert not WatchingRank(0, 2, 0.0).watch.connect(b"", LONG_S)


def test_offer_that_is_none_is_refused() -> None:
    with pytest.raises(CommunicatorError, match="an offer of 5 bytes"):
        WatchingRank(1, 2, 0.0).watch.connect(b"12345", LONG_S)


def test_first_rank_that_cannot_listen_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(size: int, is_one_host: bool) -> None:
        raise OSError("no port left")

    monkeypatch.setattr(watch_offer, "listen", refuse)
    one = WatchingRank(0, 2, 0.0).watch
    assert one.offer() == b""
    assert "rank 0 cannot listen for the other ranks: no port left" in caplog.text


def test_rank_whose_first_one_is_gone_gives_up_in_time() -> None:
    first = WatchingRank(0, 2, 0.0).watch
    offer = first.offer()
    first.close()
    assert not WatchingRank(1, 2, 0.0).watch.connect(offer, 0.1)


def test_without_a_thread_to_be_had_there_is_no_watch(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    first, second = (WatchingRank(rank, 2, 0.0).watch for rank in range(2))
    offer = first.offer()
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert not second.connect(offer, LIMIT_S)
    assert WatchingRank(0, 2, 0.0).watch.offer() == b""
    monkeypatch.undo()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "rank 1 goes without a watch: can't start new thread",
        "rank 0 goes without a watch: can't start new thread",
    ]
    first.close()
