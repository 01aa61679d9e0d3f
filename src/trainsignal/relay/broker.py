"""`Broker`: the Redis server through which runs and listeners talk. The only file that imports redis.

Makes redis-py's many errors ours, and repeats nothing by itself: a message that was sent twice would be heard
twice. Knows no message.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from trainsignal.errors import ConfigurationError, RelayError
from trainsignal.extras import require
from trainsignal.relay.address import checked_url, masked_url, password_hint
from trainsignal.relay.streams import FIELD

TIMEOUT_S: Final = 5.0
"""So long the server may take to answer."""

_MOST_NAMED: Final = 3
"""Keys that an error names."""

_UNKNOWN_OPTION = re.compile(r"unexpected keyword argument '(\w+)'")

_QUOTED: Final = "of pipeline caused error: "
"""Ends, in an error of redis-py, what it quotes of a message."""


class AccessDeniedError(RelayError):
    """The broker does not let us in: a wrong or missing password, or no right to do this."""


class WrongKeyError(RelayError):
    """What the broker keeps under a key is of another type than ours: somebody else has written there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream.

    Attributes:
        id: its place: milliseconds of the server's clock, "-", and a count.
        text: the message; empty where the entry has none.
    """

    id: str
    text: bytes


@dataclass(frozen=True, slots=True)
class Addition:
    """What is to be appended to a stream.

    Attributes:
        stream: its key.
        text: the message.
        kept: about so many of the newest entries the stream keeps.
    """

    stream: str
    text: str
    kept: int


class Broker:
    """A connection to a Redis server, made when it is first used, and again after an error.

    A connection that is lost is always an error, for the server may have forgotten everything since. To be
    used by one thread at a time. Every method but `close` raises `RelayError` where the server cannot be
    reached or says no, `AccessDeniedError` where it does not let us in, `WrongKeyError`
    where a key holds something else; the text holds no password.

    Args:
        url: redis://, rediss:// or unix://.
        timeout_s: seconds that the server may take to answer.

    Attributes:
        url: the address, without its password.

    Raises:
        ConfigurationError: `url` is no such address.
        MissingPackageError: redis-py is not installed.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        address = checked_url(url)
        self.url = masked_url(address)
        self._hint = password_hint(url)
        redis: Any = require("redis", "relay", "The relay")
        self._errors: Any = redis.exceptions
        self._timeout_s = timeout_s
        self._may_connect = True
        once: Any = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
        try:
            self._client: Any = redis.Redis.from_url(
                address, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=once, protocol=2,
                redis_connect_func=self._connected,
            )  # fmt: skip
            self._client.connection_pool.make_connection()  # connects nothing, and takes the options
        except TypeError as error:
            unknown = _UNKNOWN_OPTION.search(str(error))
            raise ConfigurationError(
                f"url={self.url!r}: {error if unknown is None else f'the option {unknown[1]!r} is not known'}"
            ) from None
        except ValueError as error:
            raise ConfigurationError(f"url={self.url!r}: {error}") from None

    def close(self) -> None:
        """Let go of the connection; may be called twice."""
        self._client.close()

    def append(self, additions: Iterable[Addition]) -> None:
        """Append to streams, in this order, with one round trip.

        Where the server refuses one for want of memory or of rights, none is appended. After another error
        all, some or none may be.
        """
        given = tuple(additions)
        with self._our_errors(), self._client.pipeline(transaction=True) as pipeline:
            for one in given:
                pipeline.xadd(one.stream, {FIELD: one.text}, maxlen=one.kept, approximate=True)
            answers = pipeline.execute(raise_on_error=False)  # its own error quotes the message
        for one, answer in zip(given, answers, strict=True):
            if isinstance(answer, Exception):
                with self._our_errors(one.stream):
                    raise answer

    def read(
        self, after: Mapping[str, str], *, count: int = 100, block_s: float = 0.0
    ) -> dict[str, list[Entry]]:
        """Return the next entries of streams, oldest first; without those that have none.

        Args:
            after: key of each stream -> the id of the entry to go on after; "0": from its begin.
            count: entries of each stream, at most.
            block_s: so long to wait for a first entry, in seconds, shorter than the time-out; 0: not at all.
        """
        assert block_s < self._timeout_s  # else the wait would be taken for a dead server
        with self._our_errors(*after):
            block_ms = max(1, round(block_s * 1000)) if block_s else None
            found: Any = self._client.xread(dict(after), count=count, block=block_ms)
        return {_text(stream): _entries(entries) for stream, entries in found}

    def newest(self, stream: str, count: int = 1) -> list[Entry]:
        """Return the last entries of a stream, newest first."""
        with self._our_errors(stream):
            return _entries(self._client.xrevrange(stream, count=count))

    def now_ms(self) -> int:
        """Return the time of the server's clock, which ids of entries begin with: Unix milliseconds."""
        with self._our_errors():
            seconds, microseconds = self._client.time()
        return int(seconds) * 1000 + int(microseconds) // 1000

    def no_streams(self, keys: Iterable[str]) -> dict[str, str]:
        """Return those of these keys that hold something else than a stream, and its type in Redis' words."""
        given = tuple(keys)
        with self._our_errors(), self._client.pipeline(transaction=False) as pipeline:
            for key in given:
                pipeline.type(key)
            kinds: list[str] = [_text(kind) for kind in pipeline.execute()]
        return {key: kind for key, kind in zip(given, kinds, strict=True) if kind not in ("stream", "none")}

    def fields(self, key: str) -> dict[str, bytes]:
        """Return all of a hash; {} where there is none."""
        with self._our_errors(key):
            found: Any = self._client.hgetall(key)
        return {_text(name): value for name, value in found.items()}

    def field(self, key: str, name: str) -> bytes | None:
        """Return one field of a hash; None where there is none."""
        with self._our_errors(key):
            value: bytes | None = self._client.hget(key, name)
        return value

    def put(self, key: str, name: str, text: str) -> None:
        """Set one field of a hash."""
        with self._our_errors(key):
            self._client.hset(key, name, text)

    def remove(self, key: str, name: str) -> None:
        """Remove one field of a hash, if it is there."""
        with self._our_errors(key):
            self._client.hdel(key, name)

    def put_new(self, key: str, name: str, text: str) -> bool:
        """Set one field of a hash, unless it is there; return whether it was set."""
        with self._our_errors(key):
            return bool(self._client.hsetnx(key, name, text))

    def _connected(self, connection: Any) -> None:
        """Greet the server over a new connection; redis-py makes one silently where the last one was lost."""
        if not self._may_connect:
            raise self._errors.ConnectionError("the connection was lost")
        connection.on_connect()
        self._may_connect = False

    @contextmanager
    def _our_errors(self, *keys: str) -> Generator[None]:
        """Make redis-py's errors ours; `keys` are those that the body asks for."""
        denied = (
            self._errors.AuthenticationError, self._errors.AuthorizationError, self._errors.NoPermissionError,
        )  # fmt: skip
        try:
            yield
        except self._errors.ResponseError as error:
            words = _words(error).rpartition(_QUOTED)[2]
            if words.startswith("WRONGTYPE"):
                named = " or ".join(map(repr, keys[:_MOST_NAMED]))
                raise WrongKeyError(
                    f"the broker at {self.url} has under the key {named} something else than trainsignal "
                    "writes there: delete or rename it"
                ) from error
            kind = AccessDeniedError if isinstance(error, denied) else RelayError
            raise kind(f"the broker at {self.url} says: {words}") from error
        except denied as error:
            self._may_connect = True
            raise AccessDeniedError(
                f"the broker at {self.url} does not let us in: {_words(error)}{self._hint}"
            ) from error
        except (self._errors.RedisError, OSError, UnicodeError) as error:  # the last: of a strange host
            self._may_connect = True
            raise RelayError(f"the broker at {self.url} cannot be reached: {_words(error)}") from error


def _words(error: Exception) -> str:
    """Return what an error says, without the full stop that some have, for more may follow."""
    return str(error).rstrip(".")


def _entries(pairs: Any) -> list[Entry]:
    """Return entries as redis-py tells them, pairs of id and fields; what was trimmed just now has none."""
    return [_entry(_text(identity), fields or {}) for identity, fields in pairs]


def _entry(identity: str, fields: Mapping[bytes, bytes]) -> Entry:
    return Entry(identity, fields.get(FIELD.encode(), b""))


def _text(name: bytes) -> str:
    return name.decode(errors="replace")
