"""Whom a page is served to."""

from __future__ import annotations

import socket

import pytest

from trainsignal.report.pages.door import is_welcome, names_of

LOOPBACK = names_of("127.0.0.1")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        pytest.param("127.0.0.1:5100", None, id="no page asks"),
        pytest.param("127.0.0.1:5100", "http://127.0.0.1:5100", id="own page"),
        pytest.param("localhost:8888", "http://localhost:8888", id="own page through a tunnel"),
        pytest.param("LOCALHOST:5100", "http://localhost:5100", id="case does not matter"),
        pytest.param("[::1]:5100", "http://[::1]:5100", id="IPv6"),
        pytest.param("localhost", "http://localhost", id="usual port"),
        pytest.param("localhost:5100", "https://localhost:5100", id="behind TLS"),
        pytest.param("192.168.0.7:5100", "http://192.168.0.7:5100", id="an address is no foreign name"),
    ],
)
def test_pages_of_the_server_itself_are_welcome(host: str, origin: str | None) -> None:
    assert is_welcome(host, origin, LOOPBACK)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        pytest.param("127.0.0.1:5100", "http://evil.example", id="page of another site"),
        pytest.param("127.0.0.1:5100", "null", id="page without a site"),
        pytest.param("127.0.0.1:5100", "http://127.0.0.1:9999", id="page of another server here"),
        pytest.param("evil.example:5100", "http://evil.example:5100", id="name that resolves to here"),
        pytest.param("evil.example:5100", None, id="name that resolves to here, no origin"),
        pytest.param("localhost.evil.example", None, id="name that begins as ours"),
        pytest.param("127.0.0.1.evil.example", None, id="name that begins as our address"),
        pytest.param("localhost@evil.example", None, id="user in front"),
        pytest.param("", None, id="empty"),
        pytest.param("[::1", None, id="bracket that does not close"),
        pytest.param("[::1]:5100", "http://[::1", id="origin whose bracket does not close"),
    ],
)
def test_others_are_not(host: str, origin: str | None) -> None:
    assert not is_welcome(host, origin, LOOPBACK)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost", "LocalHost"])
def test_a_loopback_server_goes_by_no_name_of_the_machine(host: str) -> None:
    assert names_of(host) == {"localhost", host.lower()}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "Box.example"])
def test_a_server_for_others_goes_by_its_host_and_the_names_of_the_machine(host: str) -> None:
    assert {"localhost", host.lower(), socket.gethostname().lower()} <= names_of(host)
    assert is_welcome(f"{socket.gethostname()}:5100", None, names_of(host))
