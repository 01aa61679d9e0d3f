"""Serving pages that change: where, to whom, and how they are kept up to date."""

from __future__ import annotations

import asyncio
import errno
import http.client
import os
import socket
import threading
from collections.abc import Generator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from tests.support.browser import browser_page
from tests.support.served import served
from trainsignal.errors import ConfigurationError
from trainsignal.report.pages import markup, server
from trainsignal.report.pages.appearance import dress


class Words:
    """A page of some words, which a test changes.

    Args:
        said: what it says at first.
    """

    def __init__(self, said: str = "hello") -> None:
        self.said = said
        self.begun = 0
        self.drawn: list[str] = []
        self.looks = threading.Semaphore(0)
        self.looked_in: set[int] = set()
        self._shown = markup.element()

    def look(self) -> str:
        self.looked_in.add(threading.get_ident())
        self.looks.release()
        return self.said

    def begin(self, document: Any, seen: str) -> None:
        self.begun += 1
        self.drawn_in = threading.get_ident()
        dress(document, "words", "server")
        self.update(seen)
        document.add_root(self._shown)

    def update(self, seen: str) -> None:
        self.drawn.append(seen)
        self._shown.text = f"<p>{seen}</p>"


@pytest.fixture
def address() -> Generator[str]:
    with served({"/": lambda _: Words()}) as where:
        yield where


def answer(address: str, host: str | None = None, origin: str | None = None) -> tuple[int, str]:
    """Return status and text of the answer to a request with these headers."""
    place = urlsplit(address)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
    headers = {} if origin is None else {"Origin": origin}
    connection.request("GET", "/", headers=headers if host is None else {**headers, "Host": host})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def connection_status(address: str, **headers: str) -> int:
    """Return the status of the answer to a websocket that wants to connect; 101: it may."""

    async def connect() -> int:
        request = HTTPRequest(f"{address.replace('http', 'ws')}/ws", headers=headers)
        try:
            connection = await websocket_connect(request, subprotocols=["bokeh", "token"])
        except HTTPClientError as error:
            return error.code
        connection.close()
        while await connection.read_message() is not None:  # until the other end has closed it too
            pass
        return 101

    return asyncio.run(connect())


def test_any_free_port_is_found_and_told(address: str) -> None:
    assert urlsplit(address).hostname == "127.0.0.1"
    assert urlsplit(address).port not in (None, 0)
    assert answer(address)[0] == 200


@pytest.mark.parametrize("host", ["localhost:8888", "127.0.0.1:1", "[::1]:5100", "localhost"])
def test_a_loopback_name_is_answered_at_any_port_as_tunnels_change_it(address: str, host: str) -> None:
    assert answer(address, host, f"http://{host}")[0] == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        pytest.param("evil.example", None, id="foreign name"),
        pytest.param("evil.example", "http://evil.example", id="name that resolves to here"),
        pytest.param(None, "http://evil.example", id="foreign page"),
        pytest.param("192.168.0.7", "http://evil.example", id="foreign page, by an address"),
    ],
)
def test_other_sites_are_told_nothing(address: str, host: str | None, origin: str | None) -> None:
    status, text = answer(address, host, origin)
    assert status == 403
    assert text == "This page is shown to those who ask for it by a name of the machine that serves it.\n"


def test_websockets_of_other_sites_are_refused(address: str) -> None:
    here = urlsplit(address).netloc
    assert connection_status(address, Origin="http://evil.example") == 403
    assert connection_status(address, Origin="http://evil.example", Host="192.168.0.7:5100") == 403
    assert connection_status(address, Origin="http://evil.example", Host="evil.example") == 403
    assert connection_status(address, Origin=f"http://{here}") == 101
    assert connection_status(address, Origin="http://localhost:8888", Host="localhost:8888") == 101


def test_an_environment_variable_of_bokeh_lets_no_other_site_in(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOKEH_ALLOW_WS_ORIGIN", "*")
    assert connection_status(address, Origin="http://evil.example") == 403


def test_a_page_is_drawn_with_what_was_seen_first_and_kept_up_to_date() -> None:
    page = Words("first")
    with served({"/": lambda _: page}) as address, browser_page() as tab:
        tab.open(address)
        tab.page.get_by_text("first").wait_for()
        page.said = "second"
        tab.page.get_by_text("second").wait_for()
        assert page.begun == 1
        assert tab.console == []
        assert all(one.startswith(f"{address}/static/") for one in tab.requests)


def test_what_has_not_changed_is_not_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOOK_EVERY_MS", 50)
    page = Words("first")
    with served({"/": lambda _: page}) as address:
        assert answer(address)[0] == 200
        page.said = "second"
        for _ in range(6):  # the first may have seen what was there before
            assert page.looks.acquire(timeout=60)
    assert page.drawn == ["first", "second"]


def test_making_a_page_and_looking_keep_the_server_from_nothing() -> None:
    page, made_in = Words(), set[int]()

    def make(_: object) -> Words:
        made_in.add(threading.get_ident())
        return page

    with served({"/": make}) as address:
        assert answer(address)[0] == 200
    assert page.looked_in and made_in
    assert page.drawn_in not in page.looked_in | made_in


def test_a_page_is_made_from_what_the_address_says() -> None:
    given: list[Mapping[str, str]] = []

    def make(asked: Mapping[str, str]) -> Words:
        given.append(asked)
        return Words()

    with served({"/": lambda _: Words(), "/one": make}) as address:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        connection.request("GET", "/one?name=a&name=b%2Fc%C3%A9%FF&more=")
        assert connection.getresponse().status == 200
        connection.close()
    assert given == [{"name": "b/cé\udcff", "more": ""}]


def test_each_visitor_has_a_page_of_his_own() -> None:
    pages: list[Words] = []

    def make(_: object) -> Words:
        pages.append(Words(f"page {len(pages)}"))
        return pages[-1]

    with served({"/": make}) as address, browser_page() as tab:
        first, second = tab.page, tab.page.context.browser.new_page()
        first.goto(address)
        first.get_by_text("page 0").wait_for()
        second.goto(address)
        second.get_by_text("page 1").wait_for()
        pages[0].said = "news"
        first.get_by_text("news").wait_for()
        assert second.get_by_text("page 1").is_visible()


def test_an_address_of_six_stands_in_brackets() -> None:
    if not socket.has_ipv6:
        pytest.skip("needs IPv6")
    with served({"/": lambda _: Words()}, host="::1") as address:
        assert address.startswith("http://[::1]:")
        assert answer(address)[0] == 200


def test_a_server_for_all_tells_the_name_of_its_machine() -> None:
    with served({"/": lambda _: Words()}, host="0.0.0.0") as address:
        place = urlsplit(address)
        assert place.hostname == socket.gethostname().lower()
        local = f"http://127.0.0.1:{place.port}"
        assert answer(local, f"{socket.gethostname()}:{place.port}")[0] == 200
        assert answer(local, "evil.example")[0] == 403


def test_a_port_that_is_taken_is_told_with_what_to_do(address: str) -> None:
    port = urlsplit(address).port
    assert port is not None
    with (
        pytest.raises(ConfigurationError, match=rf"^port {port} is in use: .*--port 0 for any free one$"),
        served({"/": lambda _: Words()}, port=port),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        pytest.param("", 0, "no host to listen at: give 127.0.0.1", id="no host"),
        pytest.param("127.0.0.1", -1, "-1 is no port", id="negative port"),
        pytest.param("127.0.0.1", 65536, "65536 is no port", id="port too large"),
        pytest.param("no-such-host.invalid", 0, "no address is known of the host", id="unknown host"),
        pytest.param("." * 3, 0, "is no name of a host", id="no name at all"),
        pytest.param("192.0.2.1", 0, "is no address of this machine: give --host", id="of another machine"),
    ],
)
def test_where_nobody_can_listen_an_error_says_why(host: str, port: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message), served({"/": lambda _: Words()}, host, port):
        pass


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "port 80 is not for everybody: give one above 1023 by --port"),
        (errno.EMFILE, "cannot listen at '127.0.0.1', port 80: Too many open files"),
    ],
)
def test_what_the_system_refuses_is_told(monkeypatch: pytest.MonkeyPatch, number: int, message: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket, "create_server", refuse)  # tests may run as a user who may do everything
    with pytest.raises(ConfigurationError) as error, served({"/": lambda _: Words()}, port=80):
        pass
    assert str(error.value) == message
