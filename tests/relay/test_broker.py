"""Against a real Redis server."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import RedisServer
from trainsignal.errors import ConfigurationError, RelayError
from trainsignal.relay.broker import AccessDeniedError, Addition, Broker, Entry, WrongKeyError

PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def broker(server: RedisServer) -> Iterator[Broker]:
    broker = Broker(server.url)
    yield broker
    broker.close()


def texts(entries: list[Entry]) -> list[str]:
    return [entry.text.decode() for entry in entries]


def test_entries_are_read_in_the_order_in_which_they_were_appended(broker: Broker) -> None:
    broker.append([Addition("s1", text, 10) for text in ("a", "b", "ä")])
    broker.append([Addition("s2", "c", 10)])
    found = broker.read({"s1": "0", "s2": "0", "s3": "0"})
    assert {stream: texts(entries) for stream, entries in found.items()} == {
        "s1": ["a", "b", "ä"],
        "s2": ["c"],
    }
    first = found["s1"][0].id
    assert texts(broker.read({"s1": first}, count=1)["s1"]) == ["b"]
    assert texts(broker.newest("s1", 2)) == ["ä", "b"]
    assert texts(broker.newest("s1")) == ["ä"] and broker.newest("s3") == []


def test_stream_is_trimmed_about_to_its_length(broker: Broker) -> None:
    broker.append([Addition("long", str(number), 100) for number in range(1000)])
    kept = texts(broker.read({"long": "0"}, count=1000)["long"])
    assert 100 <= len(kept) <= 300 and kept[-1] == "999"


def test_reading_waits_a_while_if_it_is_to(broker: Broker) -> None:
    assert broker.read({"never": "0"}, block_s=0.01) == {}
    broker.append([Addition("now", "a", 10)])
    assert texts(broker.read({"now": "0"}, block_s=4.9)["now"]) == ["a"]


def test_wait_must_be_shorter_than_the_time_out(broker: Broker) -> None:
    with pytest.raises(AssertionError):
        broker.read({"never": "0"}, block_s=5)


def test_entry_of_others_without_our_field_is_empty(server: RedisServer, broker: Broker) -> None:
    broker._client.xadd("foreign", {"x": "y"})
    assert texts(broker.newest("foreign")) == [""]


def test_fields_of_a_hash(broker: Broker) -> None:
    assert broker.fields("h") == {} and broker.field("h", "a") is None
    assert broker.put_new("h", "a", "1") and not broker.put_new("h", "a", "2")
    broker.put("h", "ä", "3")
    assert broker.fields("h") == {"a": b"1", "ä": b"3"}
    assert broker.field("h", "a") == b"1"
    for _ in range(2):
        broker.remove("h", "a")
    assert broker.fields("h") == {"ä": b"3"}


def test_ids_of_entries_begin_with_the_time_of_the_server(broker: Broker) -> None:
    before = broker.now_ms()
    broker.append([Addition("timed", "a", 10)])
    assert before <= int(broker.newest("timed")[0].id.split("-")[0]) <= broker.now_ms()


def test_server_that_says_no_is_quoted_without_the_message(broker: Broker) -> None:
    broker.put("no stream", "a", "b")
    with pytest.raises(WrongKeyError, match="has under the key 'no stream' something else") as caught:
        broker.append([Addition("fine", "a", 10), Addition("no stream", "my message", 10)])
    assert "my message" not in str(caught.value) and "delete or rename it" in str(caught.value)
    assert texts(broker.newest("fine")) == ["a"]


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may kill."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


def test_connection_that_was_lost_is_an_error_once_and_then_made_anew(mortal: RedisServer) -> None:
    server = mortal
    broker = Broker(server.url)
    broker.put("h", "a", "1")
    server.stop()
    server.start()
    with pytest.raises(RelayError, match="cannot be reached"):
        broker.field("h", "a")
    assert broker.field("h", "a") is None
    broker.append([Addition("s", "a", 10)])
    server.kill()
    server.start()
    with pytest.raises(RelayError, match="cannot be reached"):
        broker.append([Addition("s", "b", 10)])
    assert broker.newest("s") == []
    server.kill()
    for _ in range(2):
        with pytest.raises(RelayError, match=r"redis://127\.0\.0\.1:\d+/0 cannot be reached"):
            broker.now_ms()
    broker.close()
    broker.close()


@pytest.mark.parametrize("password", [None, "wrong"])
def test_broker_that_lets_nobody_in_is_told_apart(password: str | None, tmp_path: Path) -> None:
    with RedisServer(tmp_path, password="hidden") as server:
        broker = Broker(server.url_with(password))
        for _ in range(2):
            with pytest.raises(AccessDeniedError, match="does not let us in") as caught:
                broker.now_ms()
            assert "hidden" not in str(caught.value) and "wrong@" not in str(caught.value)
        broker.close()
        allowed = Broker(server.url)
        assert allowed.now_ms() > 0
        assert "hidden" not in allowed.url
        allowed.close()


def test_right_that_a_user_lacks_is_told_apart(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        broker = Broker(server.url)
        broker._client.execute_command("ACL", "SETUSER", "reader", "on", ">hidden", "~*", "+@read", "+hello")
        broker.close()
        reader = Broker(server.url.replace("redis://", "redis://reader:hidden@"))
        assert reader.fields("h") == {}
        with pytest.raises(AccessDeniedError, match=r"says: .*permission"):
            reader.put("h", "a", "b")
        assert reader.fields("h") == {}
        reader.close()


@pytest.mark.parametrize("option", ["no_such_option=1", "db=name", "socket_timeout=soon"])
def test_option_that_the_client_does_not_take_is_refused_at_once(option: str) -> None:
    with pytest.raises(ConfigurationError, match=r"url='redis://:\*\*\*@host\?"):
        Broker(f"redis://:hidden@host?{option}")


def test_host_that_cannot_be_is_out_of_reach() -> None:
    broker = Broker("redis://a..b")
    with pytest.raises(RelayError, match=r"redis://a\.\.b cannot be reached"):
        broker.now_ms()
    broker.close()


def test_additions_of_which_one_is_refused_are_all_refused(tmp_path: Path) -> None:
    with RedisServer(tmp_path) as server:
        admin = Broker(server.url)
        rights = ("on", ">hidden", "~mine*", "+@all")
        admin._client.execute_command("ACL", "SETUSER", "writer", *rights)
        writer = Broker(server.url.replace("redis://", "redis://writer:hidden@"))
        additions = [Addition(stream, "my message", 10) for stream in ("mine1", "other", "mine2")]
        with pytest.raises(AccessDeniedError, match=r"says: .*permission") as caught:
            writer.append(additions)
        assert "my message" not in str(caught.value)
        assert admin.newest("mine1") == admin.newest("mine2") == []
        admin._client.config_set("maxmemory", "1")
        with pytest.raises(RelayError, match=r"says: .*maxmemory") as caught_full:
            writer.append([additions[0], additions[2]])
        assert "my message" not in str(caught_full.value)
        admin._client.config_set("maxmemory", "0")
        writer.append([additions[0], additions[2]])
        assert texts(admin.newest("mine1", 9)) == texts(admin.newest("mine2", 9)) == ["my message"]
        writer.close()
        admin.close()


def test_server_that_accepts_and_never_answers_is_out_of_reach_after_a_while() -> None:
    errors: list[RelayError] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker = Broker(f"redis://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2)

        def ask() -> None:
            try:
                broker.now_ms()
            except RelayError as error:
                errors.append(error)

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(PATIENCE_S / 4)  # redis-py's own time-out is longer
        assert not thread.is_alive()
        broker.close()
    assert len(errors) == 1 and "cannot be reached" in str(errors[0])


@pytest.mark.parametrize(
    "ask",
    [
        lambda broker: broker.read({"text": "0"}),
        lambda broker: broker.read({"no such": "0", "text": "0"}, block_s=0.1),
        lambda broker: broker.newest("text"),
        lambda broker: broker.fields("text"),
        lambda broker: broker.field("text", "a"),
        lambda broker: broker.put("text", "a", "b"),
        lambda broker: broker.put_new("text", "a", "b"),
        lambda broker: broker.append([Addition("text", "a", 10)]),
    ],
    ids=range(8),
)
def test_key_that_holds_something_else_is_named(ask: Callable[[Broker], object], broker: Broker) -> None:
    broker._client.set("text", "foo")
    with pytest.raises(WrongKeyError, match=r"has under the key .*'text' something else than trainsignal"):
        ask(broker)
    assert broker.now_ms() > 0


def test_of_many_keys_that_were_asked_for_some_are_named(broker: Broker) -> None:
    broker._client.set("text", "foo")
    with pytest.raises(WrongKeyError, match="under the key '0' or '1' or '2' something else"):
        broker.read({**{str(number): "0" for number in range(9)}, "text": "0"})


def test_keys_that_hold_no_streams_are_told_with_what_they_hold(broker: Broker) -> None:
    broker._client.set("text", "foo")
    broker.put("a hash", "a", "b")
    broker.append([Addition("a stream", "a", 10)])
    assert broker.no_streams(iter(["text", "a stream", "nothing", "a hash"])) == {
        "text": "string",
        "a hash": "hash",
    }
    assert broker.no_streams([]) == {}


def test_password_that_is_refused_may_lack_escapes(tmp_path: Path) -> None:
    with RedisServer(tmp_path, password="hid%41den") as server:
        given, none = Broker(server.url_with("hid%41den")), Broker(server.url_with(None))
        with pytest.raises(
            AccessDeniedError, match=r"in a password, write '@' as %40.*'%' as %25\)$"
        ) as caught:
            given.now_ms()
        assert "hid" not in str(caught.value) and "den" not in str(caught.value)
        with pytest.raises(AccessDeniedError, match="does not let us in") as caught:
            none.now_ms()
        assert "%40" not in str(caught.value)
        escaped = Broker(server.url_with("hid%2541den"))
        assert escaped.now_ms() > 0
        for one in (given, none, escaped):
            one.close()


def test_broker_that_refuses_the_connection_is_told_without_a_full_stop(mortal: RedisServer) -> None:
    mortal.kill()
    broker = Broker(mortal.url)
    with pytest.raises(RelayError, match=r"Connection refused$"):
        broker.now_ms()
    broker.close()


@pytest.mark.parametrize(
    "url, words",
    [
        ("redis://host?colour=red", "the option 'colour' is not known$"),
        ("rediss://host?ssl_colour=red", "the option 'ssl_colour' is not known$"),
    ],
)
def test_option_that_the_address_cannot_have_is_named(url: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Broker(url)
    assert "__init__" not in str(caught.value)


def test_option_of_another_type_is_an_error_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object, **options: object) -> None:
        raise TypeError("not like that")

    monkeypatch.setattr("redis.Redis.from_url", fail)
    with pytest.raises(ConfigurationError, match="url='redis://host': not like that"):
        Broker("redis://host")
