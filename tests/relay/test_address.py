from __future__ import annotations

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.relay.address import checked_url, masked_url, password_hint


@pytest.mark.parametrize(
    "url, shown",
    [
        ("redis://host", "redis://host"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://user@host", "redis://***@host"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("unix:///run/redis@home.sock", "unix:///run/redis@home.sock"),
        ("redis://:hidden@host", "redis://:***@host"),
        ("rediss://user:hidden@host:1/2?db=3", "rediss://user:***@host:1/2?db=3"),
        ("redis://user:hid:hid@hid@host/0", "redis://user:***@host/0"),
        ("redis://:hid/hid@host", "redis://:***@host"),
        ("redis://:hid#hid?hid@host", "redis://:***@host"),
        ("redis://hidden@host:1/0", "redis://***@host:1/0"),
        ("redis://:hidden", "redis://:***"),
        ("redis://user:hidden", "redis://user:***"),
        ("redis://user:6hidden", "redis://user:***"),
        ("http://user:hidden@host", "http://user:***@host"),
        ("unix:///a?password=hidden&db=0", "unix:///a?password=***&db=0"),
        ("rediss://host?db=0&ssl_Password=hidden", "rediss://host?db=0&ssl_Password=***"),
    ],
)
def test_password_is_not_shown_wherever_it_stands(url: str, shown: str) -> None:
    assert masked_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://", "redis://host", "redis://host/", "redis://host:1/15", "rediss://u:p@host?ssl_cert_reqs=none",
        "unix:///run/redis.sock?db=1", "redis://[::1]:6379",
    ],
)  # fmt: skip
def test_address(url: str) -> None:
    checked_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "", "host:6379", "http://:hidden@host", "redis://host:hidden", "redis://host:99999", "redis://host:0",
        "redis://host/name", "redis://host/1/2", "redis://:hid#hid@host", "redis://:hid/hid@host", "unix://",
        "redis://[::1",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"url='.*expected redis://") as caught:
        checked_url(url)
    assert "hid" not in str(caught.value)


@pytest.mark.parametrize("option", ["protocol", "decode_responses", "encoding"])
def test_option_that_would_change_the_answers_is_refused(option: str) -> None:
    with pytest.raises(ConfigurationError, match=f"leave out the option '{option}'"):
        checked_url(f"redis://host?{option}=3")


@pytest.mark.parametrize("url", ["redis://host", "unix:///tmp/redis"])
def test_option_of_tls_is_refused_where_there_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="'ssl_cert_reqs' is an option of rediss://"):
        checked_url(f"{url}?ssl_cert_reqs=none")
    checked_url("rediss://host?ssl_cert_reqs=none")


@pytest.mark.parametrize("url", [5, None, b"redis://host"])
def test_what_is_no_text_is_no_address(url: object) -> None:
    with pytest.raises(ConfigurationError, match=r"url=.*: expected the address of a broker, redis://"):
        checked_url(url)


def test_variables_are_filled_in_so_that_no_password_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_PASSWORD", "p@ss:w/rd")
    monkeypatch.setenv("BROKER", "redis://:secret@host")

    assert checked_url("redis://:${BROKER_PASSWORD}@host") == "redis://:p%40ss%3Aw%2Frd@host"
    assert checked_url("${BROKER}") == "redis://:secret@host"
    assert checked_url("redis://:$BROKER@host") == "redis://:$BROKER@host"
    monkeypatch.delenv("BROKER")
    with pytest.raises(ConfigurationError, match="the environment variable BROKER in the address is not set"):
        checked_url("${BROKER}")


@pytest.mark.parametrize(
    "url, words",
    [
        ("redis://host", ""),
        ("redis://user@host", ""),
        ("redis://:@host", ""),
        ("redis://:wrong@host", ""),
        ("redis://:${PASSWORD}@host", ""),
        ("${BROKER}", ""),
        ("redis://:$PASSWORD@host", "written as ${NAME}"),
        ("redis://me:a%b@host", "'%' as %25"),
        ("redis://me:a@b@host", "'@' as %40"),
    ],
)
def test_password_that_may_be_written_wrongly_gets_a_hint(url: str, words: str) -> None:
    hint = password_hint(url)
    assert words in hint and bool(hint) == bool(words)
