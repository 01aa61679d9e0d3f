"""A broker in memory, which can be away, forget everything, or fail amid what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from trainsignal.errors import RelayError
from trainsignal.relay.broker import Addition, Broker, Entry, WrongKeyError
from trainsignal.relay.messages import Message, decode
from trainsignal.relay.requests import RunEntry
from trainsignal.relay.streams import RUNS, events, minibatches


class FakeBroker(Broker):
    """As a Redis server without persistence.

    Attributes:
        url: a made-up address.
        failure: raised by each call; None: it works.
        appends_left: so often it still appends before it goes away; None: any number.
        loses_answers: whether what it then is given arrives all the same, and only the answer does not.
        full_for: streams to which it appends nothing, for want of memory.
        strange: keys of streams that hold something else.
        time_ms: of its clock.
        closed: how often it was closed.
    """

    def __init__(self) -> None:
        self.url = "redis://broker"
        self.failure: RelayError | None = None
        self.appends_left: int | None = None
        self.loses_answers = False
        self.full_for: tuple[str, ...] = ()
        self.strange: set[str] = set()
        self.time_ms = 1_000_000
        self.closed = 0
        self._streams: dict[str, list[Entry]] = {}
        self._hashes: dict[str, dict[str, bytes]] = {}

    def forget(self) -> None:
        """Start again, with nothing."""
        self._streams.clear()
        self._hashes.clear()

    def go_away(self, error: RelayError | None = None) -> None:
        """Fail from now on."""
        self.failure = error or RelayError("the broker cannot be reached.")

    def come_back(self) -> None:
        """Work again."""
        self.failure = self.appends_left = None

    def close(self) -> None:
        self.closed += 1

    def append(self, additions: Iterable[Addition]) -> None:
        self._check()
        additions = list(additions)
        self._look(*(one.stream for one in additions))
        if any(one.stream in self.full_for for one in additions):  # then all are refused
            raise RelayError("the broker says: OOM command not allowed")
        is_lost = self.appends_left == 0
        if self.appends_left:
            self.appends_left -= 1
        if not is_lost or self.loses_answers:
            self._append(additions)
        if is_lost:
            raise RelayError("the connection was lost")

    def _append(self, additions: Iterable[Addition]) -> None:
        for one in additions:
            entries = self._streams.setdefault(one.stream, [])
            self.time_ms += 1
            entries.append(Entry(f"{self.time_ms}-0", one.text.encode()))
            del entries[: -one.kept]

    def read(
        self, after: Mapping[str, str], *, count: int = 100, block_s: float = 0.0
    ) -> dict[str, list[Entry]]:
        self._check()
        found = {
            stream: [entry for entry in self._streams.get(stream, []) if place(entry.id) > place(start)]
            for stream, start in after.items()
        }
        return {stream: entries[:count] for stream, entries in found.items() if entries}

    def newest(self, stream: str, count: int = 1) -> list[Entry]:
        self._check()
        self._look(stream)
        return self._streams.get(stream, [])[: -count - 1 : -1]

    def now_ms(self) -> int:
        self._check()
        return self.time_ms

    def fields(self, key: str) -> dict[str, bytes]:
        self._check()
        return dict(self._hashes.get(key, {}))

    def field(self, key: str, name: str) -> bytes | None:
        return self.fields(key).get(name)

    def put(self, key: str, name: str, text: str) -> None:
        self._check()
        self._hashes.setdefault(key, {})[name] = text.encode()

    def remove(self, key: str, name: str) -> None:
        self._check()
        self._hashes.get(key, {}).pop(name, None)

    def put_new(self, key: str, name: str, text: str) -> bool:
        if name in self.fields(key):
            return False
        self.put(key, name, text)
        return True

    def _look(self, *streams: str) -> None:
        found = sorted(self.strange.intersection(streams))
        if found:
            raise WrongKeyError(f"the broker has under the key {found[0]!r} something else")

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure


def place(identity: str) -> tuple[int, int]:
    """Return the place of an entry in its stream."""
    milliseconds, _, count = identity.partition("-")
    return int(milliseconds), int(count or 0)


def durables(broker: Broker, run: str = "run") -> list[Message]:
    """Return the durable messages on the broker, in its order."""
    entries = broker.read({events(run): "0"}, count=10**6).get(events(run), [])
    return [decode(entry.text) for entry in entries]


def droppables(broker: Broker, run: str = "run") -> list[Message]:
    """Return the others."""
    entries = broker.read({minibatches(run): "0"}, count=10**6).get(minibatches(run), [])
    return [decode(entry.text) for entry in entries]


def told(broker: Broker, run: str = "run") -> list[Message]:
    """Return all messages in the order of publication."""
    return sorted([*durables(broker, run), *droppables(broker, run)], key=lambda message: message.number)


def listed(broker: Broker, run: str = "run") -> RunEntry:
    """Return what the list of runs says of one."""
    text = broker.field(RUNS, run)
    assert text is not None
    return RunEntry.decode(text)


def entry(run_id: str = "id", state: str = "running") -> RunEntry:
    """Return what a run says of itself."""
    return RunEntry(run_id, "host", "train.py", "1.0", 5.0, allow_remote_stop=True, state=state, seen_at=5.0)
