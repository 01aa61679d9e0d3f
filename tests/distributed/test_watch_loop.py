"""The thread of a watch, with socket pairs."""

from __future__ import annotations

import gc
import os
import socket
import threading
import weakref
from collections.abc import Callable

import pytest

from tests.support.watches import LIMIT_S, until, watch_threads
from trainsignal.distributed import watch_loop
from trainsignal.distributed.watch_loop import WatchLoop


def test_actions_are_done_in_the_thread_one_after_the_other() -> None:
    loop = WatchLoop()
    loop.start()
    done: list[str] = []
    for number in range(3):
        assert loop.do(lambda number=number: done.append(f"{number} {threading.current_thread().name}"))  # type: ignore[misc]  # a default binds the number
    assert done == [f"{number} trainsignal watch" for number in range(3)]
    loop.do(loop.stop)
    loop.join()
    assert watch_threads() == []


def test_many_threads_may_ask_at_once() -> None:
    loop = WatchLoop()
    loop.start()
    done: list[int] = []
    threads = [threading.Thread(target=loop.do, args=(lambda: done.append(1),)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert len(done) == 50
    loop.do(loop.stop)
    loop.join()


def test_bell_that_nobody_hears_does_not_block() -> None:
    loop = WatchLoop()
    loop._bell.setblocking(False)
    try:
        while True:
            loop._bell.send(b"!" * 4096)
    except BlockingIOError:
        pass
    asking = threading.Thread(target=loop.do, args=(loop.stop,))
    asking.start()
    until(lambda: loop._given)
    loop.start()
    asking.join(LIMIT_S)
    assert not asking.is_alive()
    loop.join()


def test_loop_that_is_over_does_nothing_more() -> None:
    loop = WatchLoop()
    loop.start()
    loop.do(loop.stop)
    loop.join()
    done: list[int] = []
    assert not loop.do(lambda: done.append(1))
    assert done == []


def test_who_asks_while_the_loop_ends_is_not_kept_waiting() -> None:
    loop = WatchLoop()
    asking = [threading.Thread(target=loop.do, args=(loop.stop,)) for _ in range(2)]
    for thread in asking:
        thread.start()
    until(lambda: len(loop._given) == 2)
    loop._is_stopping = True
    loop.start()
    for thread in asking:
        thread.join(0.5)
    assert not any(thread.is_alive() for thread in asking)


def test_actions_come_when_their_time_has_come_in_that_order() -> None:
    now = 100.0
    loop = WatchLoop(lambda: now)
    done: list[str] = []
    loop.call_later(3.0, lambda: done.append("third"))
    loop.call_later(1.0, lambda: done.append("first"))
    loop.call_later(1.0, lambda: done.append("second"))
    loop.start()
    loop.do(lambda: None)
    assert done == []
    now = 101.0
    loop.do(lambda: None)
    until(lambda: done == ["first", "second"])
    now = 103.0
    loop.do(lambda: None)
    until(lambda: done == ["first", "second", "third"])
    loop.do(loop.stop)
    loop.join()


def test_action_of_a_time_wakes_the_loop() -> None:
    loop = WatchLoop()
    loop.start()
    happened = threading.Event()
    loop.do(lambda: loop.call_later(0.01, happened.set))
    assert happened.wait(LIMIT_S)
    loop.do(loop.stop)
    loop.join()


def test_socket_that_another_handler_has_removed_is_not_handled() -> None:
    loop = WatchLoop()
    pairs = [socket.socketpair() for _ in range(2)]
    handled: list[int] = []

    def handle(mine: int, other: int) -> None:
        handled.append(mine)
        loop.remove(pairs[mine][0])
        loop.remove(pairs[other][0])

    loop.add(pairs[0][0], lambda events: handle(0, 1))
    loop.add(pairs[1][0], lambda events: handle(1, 0))
    for _, far in pairs:
        far.send(b"!")
    loop.start()
    loop.do(lambda: None)
    loop.do(loop.stop)
    loop.join()
    assert len(handled) == 1
    for pair in pairs:
        for one in pair:
            one.close()


def test_end_of_the_loop_closes_its_sockets() -> None:
    loop = WatchLoop()
    near, far = socket.socketpair()
    loop.add(near, lambda events: None)
    loop.start()
    loop.do(loop.stop)
    loop.join()
    assert far.recv(1) == b""
    far.close()


def test_forgotten_loop_leaves_its_sockets_to_the_parent_of_the_process() -> None:
    loop = WatchLoop()
    near, far = socket.socketpair()
    parents = near.dup()
    loop.add(near, lambda events: None)
    loop.forget()
    assert near.fileno() == -1
    parents.send(b"still open")
    assert far.recv(20) == b"still open"
    assert not loop.do(lambda: None)
    for one in (parents, far):
        one.close()


def test_loops_ask_the_system_once_to_be_forgotten_in_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Callable[[], object]] = []
    monkeypatch.setattr(os, "register_at_fork", lambda *, after_in_child: asked.append(after_in_child))
    watch_loop._loops.cache_clear()
    loops = [WatchLoop() for _ in range(3)]
    for loop in loops:
        loop.start()
        loop.do(loop.stop)
        loop.join()
    assert len(asked) == 1
    assert set(watch_loop._loops()) == set(loops)
    forgotten = weakref.ref(loops.pop())
    del loop
    gc.collect()
    assert forgotten() is None, "nothing keeps a loop that is over"
    watch_loop._loops.cache_clear()


def test_something_is_done_at_the_end_when_the_sockets_are_closed() -> None:
    loop = WatchLoop()
    near, far = socket.socketpair()
    loop.add(near, lambda events: None)
    closed: list[bool] = []
    loop.call_at_end(lambda: closed.append(near.fileno() == -1))
    loop.start()
    loop.do(lambda: None)
    assert closed == []
    loop.do(loop.stop)
    loop.join()
    assert closed == [True]
    far.close()


def test_socket_that_the_system_does_not_wait_for_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError("No space left on device")

    loop = WatchLoop()
    near, far = socket.socketpair()
    with monkeypatch.context() as patch:
        patch.setattr(loop._selector, "register", refuse)
        with pytest.raises(OSError):
            loop.add(near, lambda events: None)
    loop.close()
    assert near.fileno() != -1, "it is still who called's"
    near.close()
    far.close()
