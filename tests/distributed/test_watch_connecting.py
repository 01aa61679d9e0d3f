"""Ranks that find each other, late or not at all."""

from __future__ import annotations

import errno
import gc
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.watches import LIMIT_S, WatchingRank, until, watch_threads
from trainsignal.distributed import watch, watch_offer
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch_offer import Offer

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


def test_offer_that_is_none_is_no_connection(caplog: pytest.LogCaptureFixture) -> None:
    assert not WatchingRank(1, 2, 0.0).watch.connect(b"12345", LONG_S)
    assert "rank 1 goes without a watch: an offer of 5 bytes" in caplog.text


def too_many_files(*arguments: object, **options: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


def no_such_name(*arguments: object) -> None:
    raise UnicodeError("label too long")


@pytest.mark.parametrize(
    "place, error",
    [
        (f"{watch_offer.__name__}.own_addresses", no_such_name),
        (f"{watch_offer.__name__}.host_identity", no_such_name),
        (f"{watch.__name__}.WatchLoop", too_many_files),
        (f"{watch.__name__}.Hub", too_many_files),
    ],
    ids=["addresses", "host", "loop", "hub"],
)
def test_first_rank_whose_watch_cannot_be_goes_without_and_keeps_nothing(
    place: str,
    error: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = WatchingRank(0, 2, is_one_host=False).watch
    with files_allowed(monkeypatch) as noted:
        monkeypatch.setattr(place, error)
        assert one.offer() == b""
        assert noted in ([], ["more", "as before"])
        assert not one.connect(b"", LONG_S)
    gc.collect()  # an open socket would warn
    assert watch_threads() == []
    assert "rank 0 cannot listen for the other ranks: " in caplog.text


@pytest.mark.parametrize("place", ["WatchLoop", "Member"])
def test_rank_whose_watch_cannot_be_goes_without_and_keeps_nothing(
    place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (WatchingRank(rank, 2, 0.0).watch for rank in range(2))
    offer = first.offer()
    with monkeypatch.context() as patch:
        patch.setattr(watch, place, too_many_files)
        assert not second.connect(offer, LIMIT_S)
    gc.collect()
    assert "rank 1 goes without a watch: [Errno 24] Too many open files" in caplog.text
    second.close()
    first.close()


@contextmanager
def files_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Yield what becomes of the limit of open files."""
    noted: list[str] = []

    @contextmanager
    def more_files(size: int) -> Iterator[None]:
        noted.append("more")
        try:
            yield
        finally:
            noted.append("as before")

    with monkeypatch.context() as patch:
        patch.setattr(watch, "more_files", more_files)
        yield noted


def test_limit_of_open_files_is_put_back_when_a_first_rank_that_has_left_serves_nobody_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with files_allowed(monkeypatch) as noted:
        first, second = (WatchingRank(rank, 2, 0.0).watch for rank in range(2))
        offer = first.offer()
        assert second.connect(offer, LIMIT_S)
        assert first.connect(offer, LIMIT_S)
        first.leave()
        first.close()
        assert noted == ["more"]
        second.close()
        until(lambda: noted == ["more", "as before"])
        until(lambda: not watch_threads())


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
        "rank 0 cannot listen for the other ranks: can't start new thread",
    ]
    first.close()
