"""A broker in memory, that can be away, and can forget."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from trainsignal.errors import RelayError
from trainsignal.relay import streams
from trainsignal.relay.broker import Addition, Broker, Entry
from trainsignal.relay.messages import Message, encode
from trainsignal.relay.requests import RunEntry


class FakeBroker(Broker):
    """What runs and listeners see of a Redis server.

    Attributes:
        error: is raised by every method; None: the server answers.
        hashes: by key.
        streams: by key.
        reads: how often streams were read.
    """

    def __init__(self) -> None:
        self.url = "redis://fake"
        self.error: RelayError | None = None
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.streams: dict[str, list[Entry]] = {}
        self.reads = 0
        self.time_ms = 1000
        self._ids = itertools.count()

    def close(self) -> None:
        """Do nothing."""

    def append(self, additions: Iterable[Addition]) -> None:
        self._answer()
        for one in additions:
            self.put_entry(one.stream, one.text.encode())

    def read(
        self, after: Mapping[str, str], *, count: int = 100, block_s: float = 0.0
    ) -> dict[str, list[Entry]]:
        self._answer()
        self.reads += 1
        found = {
            stream: [one for one in self.streams.get(stream, []) if _key(one.id) > _key(place)][:count]
            for stream, place in after.items()
        }
        return {stream: entries for stream, entries in found.items() if entries}

    def newest(self, stream: str, count: int = 1) -> list[Entry]:
        self._answer()
        return self.streams.get(stream, [])[::-1][:count]

    def fields(self, key: str) -> dict[str, bytes]:
        self._answer()
        return dict(self.hashes.get(key, {}))

    def field(self, key: str, name: str) -> bytes | None:
        self._answer()
        return self.hashes.get(key, {}).get(name)

    def put(self, key: str, name: str, text: str) -> None:
        self._answer()
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

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error


def _key(place: str) -> tuple[int, int]:
    time_ms, _, count = place.partition("-")
    return int(time_ms), int(count or 0)
