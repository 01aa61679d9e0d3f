"""Lines of JSON on a socket, with the other end in this test's hand."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.watches import until
from trainsignal.distributed.watch_link import DEATH, SILENCE, Link, Message, decoded, encoded, tune
from trainsignal.distributed.watch_loop import WatchLoop


class LinkInHand:
    """A link, what it has told, and the other end."""

    def __init__(self, near: socket.socket, far: socket.socket) -> None:
        self.far = far
        self.far.settimeout(20)
        self.loop = WatchLoop()
        self.messages: list[Message] = []
        self.ends: list[str] = []
        self.link = Link(self.loop, near, 100)
        self.link.on_message = self.messages.append
        self.link.on_end = self.ends.append
        self.loop.start()

    def close(self) -> None:
        self.loop.do(self.loop.stop)
        self.loop.join()
        self.far.close()


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        return near, server.accept()[0]


@pytest.fixture
def one() -> Iterator[LinkInHand]:
    made = LinkInHand(*connected())
    yield made
    made.close()


def test_messages_arrive_however_they_are_cut(one: LinkInHand) -> None:
    for part in (b'{"a"', b":1}", b'\n{"b":2}\n{"c"', b":3}\n"):
        one.far.send(part)
    until(lambda: len(one.messages) == 3)
    assert one.messages == [{"a": 1}, {"b": 2}, {"c": 3}]


def test_what_is_sent_is_a_line(one: LinkInHand) -> None:
    one.loop.do(lambda: one.link.send(encoded({"text": 'two\nlines, "ünïcode" \udc80'})))
    line = one.far.recv(1000)
    assert line.count(b"\n") == 1 and line.isascii()
    assert decoded(line) == {"text": 'two\nlines, "ünïcode" \udc80'}


def test_other_end_that_closes_is_a_death_after_its_last_words(one: LinkInHand) -> None:
    one.far.send(b'{"left":true}\n{"cut off')
    one.far.close()
    until(lambda: one.ends)
    assert (one.messages, one.ends) == ([{"left": True}], [DEATH])


def test_broken_connection_is_a_death(one: LinkInHand) -> None:
    one.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    one.far.close()
    until(lambda: one.ends)
    assert one.ends == [DEATH]


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x02\x00\n",
        b"\xff\xfe\n",
        b"\n",
        b"1\n",
        b"[1]\n",
        b"[" * 90 + b"\n",
        b'{"a":1}{"b":2}\n',
    ],
)
def test_what_is_no_message_ends_the_connection(line: bytes, one: LinkInHand) -> None:
    one.far.send(line + b'{"unheard":1}\n')
    until(lambda: one.ends)
    assert (one.messages, one.ends) == ([], ["it sent what is no message"])
    assert one.far.recv(1) == b""


def test_brackets_too_deep_for_python_are_no_message() -> None:
    assert decoded(b"[" * 200_000) is None
    assert decoded(b'{"number":' + b"9" * 5000 + b"}") is None


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_line_that_is_too_long_ends_the_connection(end: bytes, one: LinkInHand) -> None:
    one.far.send(b'{"a":"' + b"x" * 100 + b'"}' + end)
    until(lambda: one.ends)
    assert one.messages == []


def test_line_of_the_longest_kind_is_taken(one: LinkInHand) -> None:
    one.far.send(b'{"a":"' + b"x" * 92 + b'"}\n' * 2)
    until(lambda: one.messages)
    assert len(one.messages[0]["a"]) == 92


def test_nothing_is_heard_or_told_after_the_link_is_closed(one: LinkInHand) -> None:
    def close(message: Message) -> None:
        one.messages.append(message)
        one.link.close()
        one.link.close()
        one.link.send(b"unsent\n")

    one.link.on_message = close
    one.far.send(b'{"a":1}\n{"b":2}\nno message\n')
    assert one.far.recv(1) == b""
    one.loop.do(lambda: None)
    assert (one.messages, one.ends) == ([{"a": 1}], [])


def test_other_end_that_does_not_read_holds_nobody_up_and_gets_it_all_later(one: LinkInHand) -> None:
    lines = [encoded({"number": number, "text": "x" * 100_000}) for number in range(200)]
    for line in lines:
        one.loop.do(lambda line=line: one.link.send(line))  # type: ignore[misc]  # a default binds the line
    received = bytearray()
    while len(received) < sum(map(len, lines)):
        received += one.far.recv(1 << 20)
    assert bytes(received) == b"".join(lines)
    one.far.send(b'{"a":1}\n')
    until(lambda: one.messages)


def test_other_end_that_goes_amid_what_is_sent_ends_the_link_once(one: LinkInHand) -> None:
    for _ in range(200):
        one.loop.do(lambda: one.link.send(b"x" * 100_000))
    one.far.close()
    until(lambda: one.ends)
    one.loop.do(lambda: one.link.send(b"x"))
    assert one.ends == [DEATH]


class Failing(socket.socket):
    """A socket whose reading fails as the operating system says."""

    number = 0

    def recv(self, *arguments: Any) -> bytes:
        raise OSError(self.number, "as told")


@pytest.mark.parametrize(
    "number, ends",
    [
        (errno.ETIMEDOUT, [SILENCE]),
        (errno.EHOSTUNREACH, [SILENCE]),
        (errno.ECONNRESET, [DEATH]),
        (errno.EAGAIN, []),
    ],
)
def test_errors_of_the_connection_are_told_apart(number: int, ends: list[str]) -> None:
    near, far = connected()
    failing = Failing(fileno=near.detach())
    failing.number = number
    one = LinkInHand(failing, far)
    far.send(b"!")
    if ends:
        until(lambda: one.ends)
    one.loop.do(lambda: None)
    assert one.ends == ends
    one.close()


def test_machine_that_vanishes_is_noticed_by_the_operating_system_within_half_a_minute() -> None:
    near, far = connected()
    tune(near)
    assert near.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    idle_s, interval_s, probes = (
        near.getsockopt(socket.IPPROTO_TCP, option)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
    )
    assert idle_s + interval_s * probes == 30
    assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    near.close()
    far.close()


def test_option_that_the_system_does_not_have_is_done_without() -> None:
    near, far = socket.socketpair()  # no TCP
    tune(near)
    near.close()
    far.close()
