"""`WatchLoop`: one thread that waits for sockets and times; knows nothing of ranks.

All that a watch does with its connections happens in this thread, so that none of it needs a lock. The
thread is a daemon: a process that ends does not wait for it, and its sockets close with the process.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import os
import selectors
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

Handler: TypeAlias = Callable[[int], object]
"""Called with what a socket is ready for: `selectors.EVENT_READ`, `EVENT_WRITE` or both."""

PATIENCE_S: Final = 5.0
"""Seconds for which other threads wait for this one; busy for microseconds, but the machine may be, too."""


class WatchLoop:
    """Calls handlers of sockets, actions of other threads and actions whose time has come.

    `add`, `expect_room`, `remove`, `call_later` and `stop` are for the loop's own thread, or before `start`.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._handlers: dict[socket.socket, Handler] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._given: deque[tuple[Callable[[], object], threading.Event]] = deque()
        self._lock = threading.Lock()
        self._is_stopping = False
        self._is_over = False
        self._at_end: Callable[[], object] = lambda: None
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self.add(self._ear, self._hear)
        self._thread = threading.Thread(target=self._run, name="trainsignal watch", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: there is no thread to be had.
        """
        self._thread.start()
        _loops().add(self)

    def do(self, action: Callable[[], object]) -> bool:
        """Have the loop's thread do something, and wait until it has.

        Returns:
            Whether what comes of it may be waited for: False in the loop's own thread, and if the loop is
            over, when nothing is done.
        """
        if threading.current_thread() is self._thread:
            action()
            return False
        is_done = threading.Event()
        with self._lock:
            if self._is_over:
                return False
            self._given.append((action, is_done))
            with contextlib.suppress(
                BlockingIOError
            ):  # it has been rung so often that it is still to be heard
                self._bell.send(b"!")
        is_done.wait(PATIENCE_S)
        return True

    def join(self) -> None:
        """Wait until a loop that is to stop has stopped; one that goes on is left alone."""
        if self._is_stopping and threading.current_thread() is not self._thread:
            self._thread.join(PATIENCE_S)

    def close(self) -> None:
        """Close all sockets of a loop that has not started, or is over."""
        self._selector.close()
        for connection in (*self._handlers, self._ear, self._bell):
            connection.close()

    def add(self, connection: socket.socket, handler: Handler) -> None:
        """Call a handler when there is something to read."""
        connection.setblocking(False)
        self._selector.register(connection, selectors.EVENT_READ)
        self._handlers[connection] = handler

    def expect_room(self, connection: socket.socket, is_expected: bool) -> None:
        """Call its handler also when there is room to write; or no more."""
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if is_expected else 0)
        self._selector.modify(connection, events)

    def remove(self, connection: socket.socket) -> None:
        """Call its handler no more."""
        del self._handlers[connection]
        self._selector.unregister(connection)

    def call_later(self, delay_s: float, action: Callable[[], object]) -> None:
        """Do something after so many seconds."""
        heapq.heappush(self._timers, (self._clock() + delay_s, next(self._numbers), action))

    def call_at_end(self, action: Callable[[], object]) -> None:
        """Do something once, when all sockets are closed; not in a forked child."""
        self._at_end = action

    def stop(self) -> None:
        """End the thread and close all sockets, soon."""
        self._is_stopping = True

    def forget(self) -> None:
        """Close a forked child's copies of the sockets: with them, they would outlive the parent."""
        self._lock = threading.Lock()  # a thread that is not here may have held the old one
        self._is_over = True
        self.close()

    def _run(self) -> None:
        try:
            while not self._is_stopping:
                for key, events in self._selector.select(self._time_left_s()):
                    assert isinstance(key.fileobj, socket.socket)
                    handler = self._handlers.get(key.fileobj)
                    if handler is not None:  # else removed by one before it
                        handler(events)
                while self._timers and self._timers[0][0] <= self._clock():
                    heapq.heappop(self._timers)[2]()
        finally:
            with self._lock:
                self._is_over = True
                self.close()
            for _, is_done in self._given:
                is_done.set()
            self._at_end()

    def _time_left_s(self) -> float | None:
        return max(self._timers[0][0] - self._clock(), 0.0) if self._timers else None

    def _hear(self, events: int) -> None:
        self._ear.recv(4096)
        while self._given:
            action, is_done = self._given.popleft()
            try:
                action()
            finally:
                is_done.set()


@functools.cache
def _loops() -> weakref.WeakSet[WatchLoop]:
    """Return the loops of this process that are still known to somebody; a forked child forgets them.

    The cache is module-level state, for want of another way: what is registered for forks cannot be taken
    back, so it is to happen once a process, and not once a run.
    """
    loops: weakref.WeakSet[WatchLoop] = weakref.WeakSet()
    if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows knows no fork
        os.register_at_fork(after_in_child=lambda: _forget_in_child(loops))
    return loops


def _forget_in_child(loops: Iterable[WatchLoop]) -> None:  # pragma: no cover - in another process
    for loop in loops:
        loop.forget()
