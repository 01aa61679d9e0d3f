"""Watches of several ranks: in threads of this process, and in processes of their own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch import Watch
from trainsignal.distributed.watch_link import Message

LIMIT_S = 30.0
"""Seconds after which something that does not happen is a failure."""


def until(question: Callable[[], object]) -> None:
    """Wait until a question is answered with yes."""
    deadline = time.monotonic() + LIMIT_S
    while not question():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


class WatchingRank:
    """A watch in this process, and what it has heard."""

    def __init__(self, rank: int, size: int, settling_s: float = 0.05, *, is_one_host: bool = True) -> None:
        self.rank = rank
        self.failures: list[RankFailure] = []
        self.messages: list[Message] = []
        self.react: Callable[[], object] = lambda: None
        self.watch = Watch(
            rank,
            size,
            self._hear,
            on_message=self.messages.append,
            is_one_host=is_one_host,
            settling_s=settling_s,
        )

    def begin_to_fail(self, first: WatchingRank, text: str, patience_s: float = 0.0) -> threading.Thread:
        """Call `fail` in a thread, and return when the first rank knows."""
        thread = threading.Thread(target=self.watch.fail, args=(text, patience_s))
        thread.start()
        until(lambda: self.rank in getattr(first.watch._end, "_parted", ()))
        return thread

    def end_process(self) -> None:
        """Have the connections end as they do with a process."""
        loop = self.watch._loop
        assert loop is not None
        loop.do(loop.stop)

    def _hear(self, failure: RankFailure) -> None:
        self.failures.append(failure)
        self.react()


@contextmanager
def watching(
    size: int, *, settling_s: float = 0.05, is_one_host: bool = True
) -> Iterator[list[WatchingRank]]:
    """Yield connected ranks; close them, and see that nothing is left of them."""
    ranks = [WatchingRank(rank, size, settling_s, is_one_host=is_one_host) for rank in range(size)]
    offer = ranks[0].watch.offer()
    with ThreadPoolExecutor(size) as pool:
        assert all(pool.map(lambda one: one.watch.connect(offer, LIMIT_S), ranks))
    try:
        yield ranks
    finally:
        for one in reversed(ranks):
            one.watch.leave()
            one.watch.close()
        until(lambda: not watch_threads())


def watch_threads() -> list[str]:
    """Return the names of the threads of watches that run in this process."""
    return [thread.name for thread in threading.enumerate() if thread.name == "trainsignal watch"]


class RankProcess:
    """A process with a watch, whose main thread does what this one asks it to, and nothing else."""

    def __init__(self, rank: int, size: int, **options: Any) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.rank = rank
        self._orders, theirs = context.Pipe()
        self._heard, told = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_obey, args=(theirs, told, rank, size, {"is_one_host": True, **options}), daemon=True
        )
        self.process.start()
        theirs.close()
        told.close()

    def begin(self, method: str, *arguments: object) -> None:
        """Have the process call a method of its watch, or a function of `_DEEDS`."""
        self._orders.send((method, arguments))

    def answer(self) -> Any:
        """Return what came of it."""
        assert self._orders.poll(LIMIT_S), f"rank {self.rank} hangs"
        return self._orders.recv()

    def ask(self, method: str, *arguments: object) -> Any:
        """Begin and return the answer."""
        self.begin(method, *arguments)
        return self.answer()

    def heard(self) -> RankFailure:
        """Return the failure that the process has been told of, and at once."""
        assert self._heard.poll(LIMIT_S), f"rank {self.rank} has heard of no failure"
        failure = self._heard.recv()
        assert isinstance(failure, RankFailure)
        return failure

    def has_heard_nothing(self) -> bool:
        """Return whether it has been told of no failure that `heard` has not returned."""
        try:
            return not self._heard.poll() or self._heard.recv() is None
        except EOFError:  # the process is gone
            return True

    def signal(self, number: int) -> None:
        """Send a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def close(self) -> None:
        """End the process whatever it does."""
        self.process.kill()
        self.process.join(LIMIT_S)
        self.process.close()
        self._orders.close()
        self._heard.close()


@contextmanager
def rank_processes(size: int, **options: Any) -> Iterator[list[RankProcess]]:
    """Yield processes whose watches are connected; end them all."""
    ranks = [RankProcess(rank, size, **options) for rank in range(size)]
    try:
        offer = ranks[0].ask("offer")
        for one in ranks:
            one.begin("connect", offer, LIMIT_S)
        assert [one.answer() for one in ranks] == [True] * size
        yield ranks
    finally:
        for one in ranks:
            one.close()


def _exit(watch: Watch) -> None:
    os._exit(0)


def _fork(watch: Watch) -> int:
    """Return the number of a child that lives on, as a worker that loads data may."""
    child = os.fork()
    if child == 0:
        signal.pause()
    return child


def _use_in_a_child(watch: Watch) -> int:
    """Return the status of a child in which every method is called."""
    child = os.fork()
    if child == 0:
        failure = watch.fail("not ours to tell", 60)
        watch.send({"wish": "none"})
        watch.leave()
        is_well = failure.text == "not ours to tell" and watch.failure(60) is None
        watch.close()
        os._exit(0 if is_well else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


_DEEDS: dict[str, Callable[[Watch], object]] = {
    "exit": _exit,
    "fork": _fork,
    "use in a child": _use_in_a_child,
}


def _obey(orders: Connection, told: Connection, rank: int, size: int, options: dict[str, Any]) -> None:
    watch = Watch(rank, size, told.send, on_message=lambda message: None, **options)
    while True:
        method, arguments = orders.recv()
        do = partial(_DEEDS[method], watch) if method in _DEEDS else getattr(watch, method)
        orders.send(do(*arguments))
