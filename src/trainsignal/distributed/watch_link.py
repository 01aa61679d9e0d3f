"""`Link`: one connection of the watch, which carries a line of JSON for each message and never blocks."""

from __future__ import annotations

import contextlib
import errno
import json
import selectors
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from trainsignal.distributed.watch_loop import WatchLoop

Message: TypeAlias = dict[str, Any]
"""Plain values, for JSON."""

LINE_LIMIT_BYTES: Final = 64 * 1024
"""Longest line that the first rank takes of another one."""

DEATH: Final = "the process ended without a word"
SILENCE: Final = "its machine, or the network to it, went silent"

_SILENCES: Final = (errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)

_TCP_OPTIONS: Final = {
    "TCP_NODELAY": 1,
    "TCP_KEEPIDLE": 10,  # seconds
    "TCP_KEEPALIVE": 10,  # seconds; what macOS calls it
    "TCP_KEEPINTVL": 5,  # seconds
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 30_000,  # milliseconds; while data is under way no keepalive is sent
}


def tune(connection: socket.socket) -> None:
    """Have the operating system notice within 30 s that the other machine has vanished."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_OPTIONS.items():
        option = getattr(socket, name, None)
        if option is not None:  # pragma: no branch - the names depend on the platform
            with contextlib.suppress(OSError):  # known to Python, not to this system: its own times hold
                connection.setsockopt(socket.IPPROTO_TCP, option, value)


def encoded(message: Message) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


def decoded(line: bytes) -> Message | None:
    """Return the message in a line, whoever wrote it; None where it is none."""
    try:
        message: object = json.loads(line)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, a number too long; brackets too deep
        return None
    return cast(Message, message) if isinstance(message, dict) else None


class Link:
    """Takes lines apart and sends them, in the thread of a loop.

    Attributes:
        limit_bytes: longest line to take.
        on_message: called with each message.
        on_end: called once, with the reason in words, when the other end has closed or broken the
            connection, or sent what is no message; not after `close`.

    Args:
        loop: calls when something comes.
        connection: an open one, which is the link's from now on.
        limit_bytes: longest line to take.
    """

    def __init__(self, loop: WatchLoop, connection: socket.socket, limit_bytes: int) -> None:
        self.on_message: Callable[[Message], object]
        self.on_end: Callable[[str], object]
        self._loop = loop
        self._connection = connection
        self.limit_bytes = limit_bytes
        self._received = bytearray()
        self._unsent: deque[memoryview] = deque()
        self._is_open = True
        tune(connection)
        loop.add(connection, self._handle)

    def send(self, line: bytes) -> None:
        """Send what `encoded` returned, now or as soon as there is room."""
        if self._is_open:
            self._unsent.append(memoryview(line))
            if len(self._unsent) == 1:
                self._write()

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._is_open:
            self._is_open = False
            self._loop.remove(self._connection)
            self._connection.close()

    def _handle(self, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._write()
        if events & selectors.EVENT_READ and self._is_open:
            self._read()

    def _write(self) -> None:
        try:
            while self._unsent:
                sent = self._connection.send(self._unsent[0])
                if sent < len(self._unsent[0]):
                    self._unsent[0] = self._unsent[0][sent:]
                else:
                    self._unsent.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()  # the other end is gone, as reading tells, after its last words
        self._loop.expect_room(self._connection, bool(self._unsent))

    def _read(self) -> None:
        try:
            content = self._connection.recv(65536)
        except BlockingIOError:  # woken for nothing, as Linux says of itself that it may
            return
        except OSError as error:
            self._end(SILENCE if error.errno in _SILENCES else DEATH)
            return
        if not content:
            self._end(DEATH)
            return
        self._received += content
        while self._is_open and b"\n" in self._received:
            line, _, self._received = self._received.partition(b"\n")
            self._take(bytes(line))
        if len(self._received) > self.limit_bytes:
            self._end(f"it sent a line of more than {self.limit_bytes} bytes")

    def _take(self, line: bytes) -> None:
        message = decoded(line) if len(line) <= self.limit_bytes else None
        if message is None:
            self._end("it sent what is no message")
        else:
            self.on_message(message)

    def _end(self, reason: str) -> None:
        if self._is_open:
            self.close()
            self.on_end(reason)
