"""Where the first rank is reached, and what comes of trying."""

from __future__ import annotations

import contextlib
import json
import platform
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trainsignal.distributed import watch_offer
from trainsignal.distributed.watch_offer import (
    LOOPBACK,
    Offer,
    dial,
    host_identity,
    listen,
    own_addresses,
)
from trainsignal.errors import CommunicatorError


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection on the loopback interface; yield the port and what the visitor says."""
    heard: list[bytes] = []
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                heard.append(connection.recv(1000))
                for at in range(0, len(answer), 7):
                    connection.sendall(answer[at : at + 7])
                connection.settimeout(20)
                with contextlib.suppress(ConnectionError):
                    heard.append(connection.recv(1000))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join(20)
        assert not thread.is_alive()


def offered(port: int, *addresses: str, host: str = "another host") -> Offer:
    return Offer(host, addresses or (LOOPBACK,), port, "token")


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as server:
        return int(server.getsockname()[1])


def test_offer_survives_the_way_to_the_other_ranks() -> None:
    offer = Offer("näme", ("192.0.2.1", "2001:db8::1"), 4242, "token")
    assert Offer.decoded(offer.encoded()) == offer


@pytest.mark.parametrize("content", [b"{", b"[]", b"1", b"{}", b"\xff", b'{"host":"a","addresses":1}'])
def test_what_is_no_offer_is_refused_without_showing_it(content: bytes) -> None:
    with pytest.raises(CommunicatorError, match=r"an offer of \d+ bytes: expected those that Watch.offer"):
        Offer.decoded(content)


def test_rank_shows_the_token_and_waits_for_the_welcome() -> None:
    with answering(b'{"welcome":true}\n') as (port, heard):
        connection = dial(offered(port), 3, 20.0)
        assert connection is not None
        connection.close()
    assert [json.loads(part) for part in heard if part] == [{"rank": 3, "token": "token"}, {"joined": True}]


@pytest.mark.parametrize(
    "answer", [b"", b'{"welcome":false}\n', b"SSH-2.0-OpenSSH_9.6\r\n", b"x" * 1024, b"[]\n"]
)
def test_somebody_else_at_that_address_is_no_connection(answer: bytes) -> None:
    with answering(answer) as (port, heard):
        assert dial(offered(port), 1, 0.2) is None
    assert len(heard[0]) > 0


def test_address_that_swallows_what_is_sent_is_given_up_in_time() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        begun = time.monotonic()
        assert dial(offered(silent.getsockname()[1]), 1, 0.3) is None
        assert 0.25 < time.monotonic() - begun < 10


def test_addresses_are_tried_in_turn_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[str, float]] = []
    now = 0.0

    def refuse(address: tuple[str, int], timeout_s: float) -> Any:
        nonlocal now
        tried.append((address[0], timeout_s))
        now += timeout_s
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", refuse)
    offer = offered(1, "192.0.2.1", "192.0.2.2", "192.0.2.1")
    assert dial(offer, 1, 8.0, clock=lambda: now, sleep=lambda pause_s: None) is None
    assert tried[:4] == [("192.0.2.1", 1.0), ("192.0.2.2", 1.0), ("192.0.2.1", 2.0), ("192.0.2.2", 2.0)]
    assert tried[4:] == [("192.0.2.1", 2.0), ("192.0.2.2", 1e-3)]


def test_loopback_comes_first_on_the_same_host(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def refuse(address: tuple[str, int], timeout_s: float) -> Any:
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    times = iter([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0])
    offer = offered(1, "192.0.2.1", host=host_identity())
    assert dial(offer, 1, 5.0, clock=lambda: next(times), sleep=lambda pause_s: None) is None
    assert tried == [LOOPBACK, "192.0.2.1"]


def test_next_address_is_tried_where_the_first_refuses() -> None:
    with answering(b'{"welcome":true}\n') as (port, _):
        connection = dial(offered(port, "127.0.0.2", LOOPBACK), 1, 20.0)
        assert connection is not None
        connection.close()


def test_name_that_dns_cannot_have_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a" * 64
    with pytest.raises(UnicodeError):
        socket.getaddrinfo(name, None)
    assert dial(offered(1, name), 1, 0.1) is None
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert own_addresses()[-1] == name


def test_name_that_nobody_knows_is_no_address() -> None:
    assert dial(offered(1, "no-such-host.invalid"), 1, 0.1) is None


def test_one_host_is_not_reached_from_outside() -> None:
    with listen(2, is_one_host=True) as listener:
        assert listener.getsockname()[0] == LOOPBACK


def test_several_hosts_are_reached_by_both_protocols_where_there_are_both() -> None:
    with listen(2, is_one_host=False) as listener:
        port = listener.getsockname()[1]
        socket.create_connection((LOOPBACK, port), 20).close()
        if socket.has_dualstack_ipv6():
            socket.create_connection(("::1", port), 20).close()


@pytest.mark.parametrize("has_both", [True, False])
def test_machine_without_the_newer_protocol_listens_with_the_older(
    has_both: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = socket.create_server

    def create(*arguments: Any, **options: Any) -> socket.socket:
        if options.get("family") == socket.AF_INET6:
            raise OSError("Cannot assign requested address")
        return made(*arguments, **options)

    monkeypatch.setattr(socket, "create_server", create)
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: has_both)
    with listen(2, is_one_host=False) as listener:
        assert listener.family == socket.AF_INET


def test_own_addresses_are_those_that_others_may_reach_and_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["127.0.1.1", "192.0.2.7", "192.0.2.7", "fe80::1%eth0", "2001:db8::7", "0.0.0.0"]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in given]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **options: found)
    monkeypatch.setattr(watch_offer, "_outward", lambda: ("198.51.100.7",))
    monkeypatch.setattr(watch_offer, "_of_interfaces", lambda: ("127.0.0.1", "198.51.100.7", "203.0.113.7"))
    others = ("192.0.2.7", "2001:db8::7", "198.51.100.7", "203.0.113.7")
    assert own_addresses() == (*others, socket.gethostname())


def test_machines_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"/proc/sys/kernel/random/boot_id": "b007\n"}
    links = {"/proc/self/ns/net": "net:[1]"}
    monkeypatch.setattr(platform, "node", lambda: "localhost")
    monkeypatch.setattr(Path, "read_text", lambda path, encoding: files[str(path)])
    monkeypatch.setattr(Path, "readlink", lambda path: links[str(path)])
    here = host_identity()
    assert here == host_identity() == "localhost b007 net:[1]"

    files["/proc/sys/kernel/random/boot_id"] = "e15e\n"
    assert host_identity() != here

    files["/proc/sys/kernel/random/boot_id"], links["/proc/self/ns/net"] = "b007\n", "net:[2]"
    assert host_identity() != here, "a container of its own"


def test_machine_that_tells_no_more_than_its_name_is_known_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path, **options: str) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert host_identity() == platform.node()


def test_every_interface_has_its_address_told() -> None:
    assert LOOPBACK in list(watch_offer._of_interfaces())


def test_interface_without_an_address_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(77, "no such one"), (1, "lo")])
    assert list(watch_offer._of_interfaces()) == [LOOPBACK]


def test_machine_that_knows_not_even_its_own_name_offers_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unconnected(socket.socket):
        def connect(self, address: Any) -> None:
            raise OSError("Network is unreachable")

    def unknown(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "socket", Unconnected)
    monkeypatch.setattr(socket, "if_nameindex", list)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert own_addresses() == (socket.gethostname(),)


def test_refused_connection_is_tried_until_the_time_is_over() -> None:
    assert dial(offered(free_port()), 1, 0.1) is None
