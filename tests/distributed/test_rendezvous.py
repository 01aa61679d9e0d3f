"""Ranks that come together at a store, one after the other, late or not at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta

import pytest
import torch.distributed as distributed

from trainsignal.distributed.rendezvous import meet

LIMIT_S = 20.0
PATIENCE = timedelta(milliseconds=50)


class Store(distributed.HashStore):  # type: ignore[misc]  # PyTorch's is untyped
    """A real one, which may do something just after it was looked whether something is there."""

    def __init__(self, timeout: timedelta = timedelta(seconds=LIMIT_S)) -> None:
        super().__init__()
        self.set_timeout(timeout)
        self.looked = 0
        self.look: Callable[[], object] = lambda: None

    def check(self, keys: list[str]) -> bool:
        self.looked += 1
        is_there = bool(super().check(keys))
        self.look()
        return is_there


def begun(pool: ThreadPoolExecutor, store: Store, size: int, rank: int) -> Future[str]:
    """Have a rank wait in a thread; return once it does."""
    looked = store.looked
    coming = pool.submit(meet, store, list(range(size)), rank)
    deadline_s = time.monotonic() + LIMIT_S
    while store.looked == looked:
        assert time.monotonic() < deadline_s, "it does not wait"
        time.sleep(1e-3)
    return coming


def test_each_meeting_has_a_place_of_its_own() -> None:
    store = Store()
    places = []
    for _ in range(3):
        with ThreadPoolExecutor(3) as pool:
            places.append({*pool.map(lambda rank: meet(store, [2, 5, 7], rank), range(3))})
    assert [len(one) for one in places] == [1, 1, 1]
    assert len(set.union(*places)) == 3


def test_rank_that_comes_late_does_not_take_who_gave_up_for_present() -> None:
    store = Store(PATIENCE)
    for rank, missing in ((0, 1), (1, 0), (1, 0), (0, 1)):
        with pytest.raises(TimeoutError, match=rf"after 0\.05 s, .*no run yet on rank {missing}$"):
            meet(store, [0, 1], rank)


@pytest.mark.parametrize("attempts", [[1, 0], [3, 0], [2, 1], [0, 2]], ids=str)
def test_ranks_meet_in_the_end_however_often_each_has_given_up(attempts: list[int]) -> None:
    store = Store(PATIENCE)
    for rank, times in enumerate(attempts):
        for _ in range(times):
            with pytest.raises(TimeoutError):
                meet(store, [0, 1], rank)
    store.set_timeout(timedelta(seconds=LIMIT_S))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda rank: meet(store, [0, 1], rank), range(2))
    assert first == second


def test_who_waits_with_one_that_gives_up_is_found_where_that_one_tries_again() -> None:
    store = Store()
    with ThreadPoolExecutor(3) as pool:
        waiting = begun(pool, store, 3, 1)
        store.set_timeout(PATIENCE)
        with pytest.raises(TimeoutError, match=r"no run yet on rank 2$"):
            meet(store, [0, 1, 2], 0)
        store.set_timeout(timedelta(seconds=LIMIT_S))
        again = begun(pool, store, 3, 0)
        assert meet(store, [0, 1, 2], 2) == waiting.result(LIMIT_S) == again.result(LIMIT_S)


def test_rank_that_is_interrupted_is_not_taken_for_one_that_comes() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    store = Store(PATIENCE)
    store.look = interrupt
    with pytest.raises(KeyboardInterrupt):
        meet(store, [0, 1], 0)
    store.look = lambda: None
    with pytest.raises(TimeoutError, match=r"no run yet on rank 0$"):
        meet(store, [0, 1], 1)


def test_last_one_that_comes_as_another_gives_up_decides_for_both() -> None:
    store = Store(timedelta(0))
    last: list[str] = []

    def come() -> None:
        store.look = lambda: None
        last.append(meet(store, [0, 1], 1))

    store.look = come
    assert [meet(store, [0, 1], 0)] == last


def test_many_ranks_that_never_come_are_not_all_named() -> None:
    with pytest.raises(TimeoutError, match=r"no run yet on ranks 0, 1, 2, 4, .*, 20 and others$"):
        meet(Store(PATIENCE), list(range(100)), 3)
