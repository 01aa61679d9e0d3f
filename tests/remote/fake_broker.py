"""A broker in memory, that can be away, and can forget."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from trainsignal.errors import RelayError
from trainsignal.relay import streams
from trainsignal.relay.broker import Addition, Broker, Entry, WrongKeyError
from trainsignal.relay.messages import Message, encode
from trainsignal.relay.requests import RunEntry


class FakeBroker(Broker):
    """What runs and listeners see of a Redis server.

    Attributes:
        error: is raised by every method; None: the server answers.
        hashes: by key.
        streams: by key.
        reads: how often streams were read.
        time_ms: of the server's clock.
        wakes_with: the only stream that a read which may wait gives, as if it had waited; None: it had not.
        strange: keys that somebody has put a text into.
        is_closed: whether the connection was let go of.
    """

    def __init__(self) -> None:
        self.url = "redis://fake"
        self.error: RelayError | None = None
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.streams: dict[str, list[Entry]] = {}
        self.reads = 0
        self.time_ms = 1000
        self.wakes_with: str | None = None
        self.is_closed = False
        self.strange: set[str] = set()
        self._ids = itertools.count()

    def close(self) -> None:
        """Let go of the connection."""
        self.is_closed = True

    def append(self, additions: Iterable[Addition]) -> None:
        for one in additions:
            self._answer(one.stream)
            self.put_entry(one.stream, one.text.encode())

    def read(
        self, after: Mapping[str, str], *, count: int = 100, block_s: float = 0.0
    ) -> dict[str, list[Entry]]:
        self._answer(*after)
        self.reads += 1
        found = {
            stream: [one for one in self.streams.get(stream, []) if _key(one.id) > _key(place)][:count]
            for stream, place in after.items()
        }
        is_woken = block_s > 0 and self.wakes_with is not None
        return {
            stream: entries
            for stream, entries in found.items()
            if entries and (not is_woken or stream == self.wakes_with)
        }

    def no_streams(self, keys: Iterable[str]) -> dict[str, str]:
        self._answer()
        return {key: "string" for key in keys if key in self.strange}

    def newest(self, stream: str, count: int = 1) -> list[Entry]:
        self._answer()
        return self.streams.get(stream, [])[::-1][:count]

    def fields(self, key: str) -> dict[str, bytes]:
        self._answer(key)
        return dict(self.hashes.get(key, {}))

    def field(self, key: str, name: str) -> bytes | None:
        self._answer(key)
        return self.hashes.get(key, {}).get(name)

    def now_ms(self) -> int:
        self._answer()
        return self.time_ms

    def put(self, key: str, name: str, text: str) -> None:
        self._answer(key)
        self.hashes.setdefault(key, {})[name] = text.encode()

    # What a test does behind the scenes.

    def list_run(self, name: str, entry: RunEntry) -> None:
        """List a run."""
        self.hashes.setdefault(streams.RUNS, {})[name] = entry.encode().encode()

    def publish(self, name: str, *messages: Message) -> None:
        """Append messages to the streams of a run."""
        for message in messages:
            stream = streams.minibatches(name) if message.durable is None else streams.events(name)
            self.put_entry(stream, encode(message).encode())

    def put_entry(self, stream: str, text: bytes) -> None:
        """Append anything to a stream."""
        self.streams.setdefault(stream, []).append(Entry(f"{self.time_ms}-{next(self._ids)}", text))

    def forget(self) -> None:
        """Come back with nothing, and with a clock that was put back."""
        self.hashes, self.streams = {}, {}
        self.time_ms -= 500

    def _answer(self, *keys: str) -> None:
        if self.error is not None:
            raise self.error
        if not self.strange.isdisjoint(keys):
            raise WrongKeyError(f"the broker at {self.url} has something else under a key")


def _key(place: str) -> tuple[int, int]:
    time_ms, _, count = place.partition("-")
    return int(time_ms), int(count or 0)
