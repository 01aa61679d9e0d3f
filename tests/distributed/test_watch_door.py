"""Whoever is no rank of the run disturbs nobody who is."""

from __future__ import annotations

import contextlib
import errno
import json
import random
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.watches import LIMIT_S, until
from trainsignal.distributed import watch_link
from trainsignal.distributed.watch_door import SPARE_GUESTS, Door
from trainsignal.distributed.watch_link import Link, encoded
from trainsignal.distributed.watch_loop import WatchLoop

TOKEN = "5ecre7"
SIZE = 4


class Listener(socket.socket):
    """A listening socket that can be told to fail."""

    error: OSError | None = None

    def accept(self) -> Any:
        if self.error is not None:
            raise self.error
        return super().accept()


class OpenDoor:
    """A door, and who has come in."""

    def __init__(self, manners_s: float) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=200) as made:
            self.listener = Listener(fileno=made.detach())
        self.address = self.listener.getsockname()
        self.joined: list[int] = []
        self.links: list[Link] = []
        self.loop = WatchLoop()
        self.door = Door(self.loop, self.listener, SIZE, TOKEN, self._join, manners_s)
        self.loop.start()
        self.visitors: list[socket.socket] = []

    def visit(self, content: bytes = b"") -> socket.socket:
        visitor = socket.create_connection(self.address, LIMIT_S)
        self.visitors.append(visitor)
        with contextlib.suppress(ConnectionError):  # it may be sent away amid it
            visitor.sendall(content)
        return visitor

    def come(self, rank: int) -> socket.socket:
        """Do all that a rank does."""
        visitor = self.visit(encoded({"rank": rank, "token": TOKEN}))
        assert json.loads(visitor.recv(100)) == {"welcome": True}
        visitor.sendall(encoded({"joined": True}))
        until(lambda: rank in self.joined)
        return visitor

    def close(self) -> None:
        self.loop.do(self.door.close)
        self.loop.do(self.loop.stop)
        self.loop.join()
        for visitor in self.visitors:
            visitor.close()

    def _join(self, rank: int, link: Link) -> None:
        self.joined.append(rank)
        self.links.append(link)
        link.on_end = lambda reason: None


@pytest.fixture
def entrance() -> Iterator[OpenDoor]:
    made = OpenDoor(manners_s=600.0)
    yield made
    made.close()


def is_sent_away(visitor: socket.socket) -> bool:
    try:
        return visitor.recv(1000) == b""
    except ConnectionResetError:  # what it sent was not read to the end
        return True


@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
        b"x" * 2000,
        b"\n",
        b"[" * 1000 + b"\n",
        encoded({}),
        encoded({"joined": True}),
        encoded({"rank": 1}),
        encoded({"token": TOKEN}),
        encoded({"rank": 1, "token": None}),
        encoded({"rank": 1, "token": [TOKEN]}),
        encoded({"rank": 1, "token": TOKEN + "0"}),
        encoded({"rank": 1, "token": ""}),
        encoded({"rank": 1, "token": "ü\udc80"}),
        encoded({"rank": 0, "token": TOKEN}),
        encoded({"rank": SIZE, "token": TOKEN}),
        encoded({"rank": -1, "token": TOKEN}),
        encoded({"rank": True, "token": TOKEN}),
        encoded({"rank": "1", "token": TOKEN}),
        encoded({"rank": 1.0, "token": TOKEN}),
        encoded({"rank": 1, "token": TOKEN}) + encoded({"failed": "before it has joined"}),
    ],
)
def test_stranger_is_sent_away(content: bytes, entrance: OpenDoor) -> None:
    visitor = entrance.visit(content)
    while not is_sent_away(visitor):
        pass
    assert entrance.joined == []
    entrance.come(1)


def test_stranger_who_says_nothing_is_sent_away_in_time() -> None:
    entrance = OpenDoor(manners_s=1.0)
    silent = entrance.visit(b'{"rank":1,"tok')
    rank = entrance.come(2)
    assert is_sent_away(silent)
    entrance.loop.do(lambda: entrance.links[0].send(b"still there"))
    assert rank.recv(100) == b"still there"
    entrance.close()


def test_guest_who_knows_the_token_may_take_its_time() -> None:
    entrance = OpenDoor(manners_s=1.0)
    slow = entrance.visit(encoded({"rank": 1, "token": TOKEN}))
    slow.recv(100)
    assert is_sent_away(entrance.visit())  # one that came later, and has been there too long
    slow.sendall(encoded({"joined": True}))
    until(lambda: entrance.joined == [1])
    entrance.close()


def test_rank_that_gives_an_attempt_up_is_let_in_by_the_next(entrance: OpenDoor) -> None:
    given_up = entrance.visit(encoded({"rank": 1, "token": TOKEN}))
    given_up.recv(100)
    entrance.come(1)
    assert is_sent_away(given_up)
    closed = entrance.visit(encoded({"rank": 2, "token": TOKEN}))
    closed.close()
    entrance.come(2)
    assert entrance.joined == [1, 2]


def test_rank_that_is_in_is_not_let_in_again(entrance: OpenDoor) -> None:
    first = entrance.come(1)
    assert is_sent_away(entrance.visit(encoded({"rank": 1, "token": TOKEN})))
    entrance.loop.do(lambda: entrance.links[0].send(b"still there"))
    assert first.recv(100) == b"still there"


def test_door_is_closed_when_all_are_in(entrance: OpenDoor) -> None:
    waiting = entrance.visit()
    for rank in range(1, SIZE):
        entrance.come(rank)
    assert is_sent_away(waiting)
    with pytest.raises(ConnectionError):
        socket.create_connection(entrance.address, LIMIT_S)


def test_crowd_of_strangers_keeps_no_rank_out(entrance: OpenDoor) -> None:
    strangers = [entrance.visit() for _ in range(3 * (SIZE + SPARE_GUESTS))]
    for rank in range(1, SIZE):
        entrance.come(rank)
    assert is_sent_away(strangers[0])


def test_noise_disturbs_nobody(entrance: OpenDoor) -> None:
    noise = random.Random(0)
    for number in range(100):
        visitor = entrance.visit(noise.randbytes(noise.randrange(1, 3000)))
        if noise.random() < 0.5:
            visitor.close()
        if number % 50 == 25:
            entrance.come(number // 50 + 1)
    entrance.come(3)
    assert entrance.joined == [1, 2, 3]


def test_shortage_of_files_is_told_once_and_ends(
    entrance: OpenDoor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("trainsignal.distributed.watch_door._PAUSE_S", 0.01)
    entrance.listener.error = OSError(errno.EMFILE, "Too many open files")
    visitor = entrance.visit(encoded({"rank": 1, "token": TOKEN}))
    until(lambda: caplog.records)
    paused = [True]
    entrance.loop.do(lambda: entrance.loop.call_later(0.05, paused.clear))
    until(lambda: not paused)  # several attempts later
    entrance.listener.error = None
    assert json.loads(visitor.recv(100)) == {"welcome": True}
    assert [record.getMessage() for record in caplog.records] == [
        "rank 0 takes no connection of 3 more ranks: [Errno 24] Too many open files. "
        "Allow it more open files: `ulimit -n`"
    ]


def test_door_may_be_closed_while_there_is_a_shortage(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("trainsignal.distributed.watch_door._PAUSE_S", 0.01)
    entrance = OpenDoor(manners_s=600.0)
    entrance.listener.error = OSError(errno.ENFILE, "Too many open files in system")
    entrance.visit()
    until(lambda: caplog.records)
    entrance.loop.do(entrance.door.close)
    passed = [False]
    entrance.loop.do(lambda: entrance.loop.call_later(0.05, lambda: passed.append(True)))
    until(lambda: passed[-1])
    entrance.close()


def test_guest_who_is_gone_before_it_is_received_is_no_shortage(
    entrance: OpenDoor, caplog: pytest.LogCaptureFixture
) -> None:
    entrance.listener.error = ConnectionAbortedError(errno.ECONNABORTED, "gone")
    visitor = entrance.visit(encoded({"rank": 1, "token": TOKEN}))
    entrance.loop.do(lambda: None)
    entrance.listener.error = None
    assert json.loads(visitor.recv(100)) == {"welcome": True}
    assert caplog.records == []


def test_guest_whose_connection_takes_no_options_any_more_ends_nothing(
    entrance: OpenDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(connection: socket.socket) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(watch_link, "tune", refuse)
    assert is_sent_away(entrance.visit(encoded({"rank": 1, "token": TOKEN})))
    monkeypatch.undo()
    entrance.come(1)
