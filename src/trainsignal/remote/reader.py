"""`Reader`: reads what runs publish on a broker, each run's messages in their order, each once.

Finds the runs, follows those that come later, and finds its place again on a broker that was away, and may
have forgotten everything. Publishes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from trainsignal.errors import RelayError
from trainsignal.relay import streams
from trainsignal.relay.broker import Broker, Entry, WrongKeyError
from trainsignal.relay.messages import Message, MessageError, decode
from trainsignal.relay.requests import RunEntry
from trainsignal.remote.merge import Merge, Page
from trainsignal.remote.run_names import in_words, run_names
from trainsignal.remote.signs import SignsOfLife
from trainsignal.remote.source import BEGIN, Source
from trainsignal.remote.strange_keys import look_for_strange_keys
from trainsignal.remote.troubles import LATE, Troubles

_logger = logging.getLogger(__name__)

PAGE: Final = 25
"""Entries of each stream that are read at a time."""

LIST_EVERY_S: Final = 1.0
"""Seconds after which the list of runs is read again."""

_LARGEST_JUMP: Final = 10**7
"""A number so much further on than the one before it is taken for an error."""


class Reader:
    """Reads the runs of one broker. Raises `RelayError` where that is away; ask again then.

    Args:
        broker: where they publish.
        run: the only one to read; None: all.
        troubles: where to tell what is wrong.
        clock: seconds, monotonic.
        pause: waits so many seconds.
    """

    def __init__(
        self,
        broker: Broker,
        run: str | None,
        troubles: Troubles,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._broker = broker
        self._run = run
        self._troubles = troubles
        self._clock = clock
        self._pause = pause
        self._sources: dict[str, Source] = {}
        self._displaced: dict[str, Source] = {}
        self._listed: dict[str, bytes] = {}
        self._list_at = float("-inf")
        self._is_lost = False
        self._signs = SignsOfLife()
        self._has_told_of_absence = False

    @property
    def has_read_all(self) -> bool:
        """Whether the only run to read is over, and all of it was worked off."""
        source = None if self._run is None else self._sources.get(self._run)
        return source is not None and not source.is_read

    def poll(self, wait_s: float) -> list[tuple[Source, Message]]:
        """Return what is to be worked off next.

        Args:
            wait_s: so long to wait for something, in seconds.

        Raises:
            RelayError: the broker is away.
        """
        try:
            if self._is_lost:
                self._find_places()
                self._is_lost = False
            if self._clock() >= self._list_at:
                self._list_runs()
                self._list_at = self._clock() + LIST_EVERY_S
            wanted = {source.name: source.wanted() for source in self._sources.values()}
            found = self._read({key: place for one in wanted.values() for key, place in one.items()}, wait_s)
        except RelayError as error:
            self.lose_places()
            if isinstance(error, WrongKeyError) and self._finds_strange_keys():
                return []
            raise
        sources = [source for source in self._sources.values() if wanted[source.name]]
        return [(source, message) for source in sources for message in self._merged(source, wanted, found)]

    def lose_places(self) -> None:
        """Note that the connection was lost, perhaps to others: the broker may have forgotten everything."""
        self._is_lost = True

    def _finds_strange_keys(self) -> bool:
        return look_for_strange_keys(self._broker, self._sources.values(), self._troubles)

    def _read(self, after: dict[str, str], wait_s: float) -> dict[str, list[Entry]]:
        if not after:
            self._pause(wait_s)
            return {}
        is_amid = any(one.merge.is_waiting and not one.is_passed_over for one in self._sources.values())
        found = self._broker.read(after, count=PAGE, block_s=0.0 if is_amid else wait_s)
        if found and not is_amid:  # who had to wait is given the first stream alone in which there was news
            found = self._broker.read(after, count=PAGE)
        return found

    def _merged(
        self, source: Source, wanted: dict[str, dict[str, str]], found: dict[str, list[Entry]]
    ) -> list[Message]:
        """Return what a run's streams give together, now that more of them has been read."""
        pages: dict[str, Page[Message]] = {}
        for stream in wanted[source.name]:
            entries = found.get(stream, [])
            if entries:
                source.places[stream] = entries[-1].id
            is_durable = stream == source.events
            messages = [one for entry in entries if (one := self._message(source, entry, is_durable))]
            pages[stream] = Page(messages, is_last=len(entries) < PAGE)
        merge = source.merge
        late, missing = merge.late, merge.missing
        merge.add(pages.get(source.events), pages.get(source.minibatches))
        messages = list(merge.ready())
        are_last = len(pages) == len(source.places) and all(page.is_last for page in pages.values())
        source.is_exhausted = are_last and not merge.is_waiting
        self._troubles.note(source.name, "late", LATE, merge.late - late)
        self._troubles.note(
            source.name, "missing", f"{merge.missing - missing} messages have been lost on the broker",
            merge.missing - missing,
        )  # fmt: skip
        return messages

    def _message(self, source: Source, entry: Entry, is_durable: bool) -> Message | None:
        """Return the message of an entry; None where it is none, or is of no use."""
        try:
            message = decode(entry.text)
            _check_place(message, source.merge, is_durable=is_durable)
        except MessageError as error:
            self._troubles.note(source.name, "bad", f"a message is passed over: {error}")
            return None
        if message.run_id != source.entry.run_id:
            self._troubles.note(
                source.name, "foreign", "messages of another run of this name are passed over"
            )
            return None
        return message

    def _list_runs(self) -> None:
        """Look which runs there are, and what has become of them."""
        listed = self._broker.fields(streams.RUNS)
        changed = [name for name, text in listed.items() if self._listed.get(name) != text]
        self._listed = listed
        if self._run is not None and self._run not in listed and not self._has_told_of_absence:
            self._has_told_of_absence = True
            names = run_names(listed)
            there = f"there are: {in_words(names)}" if names else "there are none yet"
            _logger.warning("waits for the run %r; %s", self._run, there)
        changed.sort(key=lambda name: name not in self._sources)  # who lost a name, before all
        for name in changed:
            if self._run in (None, name):
                self._note_run(name, listed[name])
        if any(source.is_passed_over for source in self._sources.values()):
            self._finds_strange_keys()
        self._signs.look(
            {name: source.entry for name, source in self._sources.items()}, self._broker.now_ms()
        )

    def _note_run(self, name: str, text: bytes) -> None:
        if not streams.is_run_name(name):
            self._troubles.note(name, "bad", "no run can have this name: it is passed over")
            return
        try:
            entry = RunEntry.decode(text)
        except MessageError as error:
            self._troubles.note(name, "bad", f"its entry in the list of runs is passed over: {error}")
            return
        source = self._sources.get(name)
        if source is None or source.entry.run_id != entry.run_id:
            if source is not None:
                self._displaced[source.entry.run_id] = source
            self._sources[name] = source = self._moved(name, entry.run_id) or Source(name, entry)
        source.list_again(entry)

    def _moved(self, name: str, run_id: str) -> Source | None:
        """Return what was read of a run that is listed no more under the name that it had."""
        source = self._displaced.pop(run_id, None)
        for other in self._sources.values():
            if other.entry.run_id == run_id and other.name not in self._listed:
                source = other
        if source is not None:
            if self._sources.get(source.name) is source:
                del self._sources[source.name]
            self._troubles.note(name, "late", LATE, source.rename(name))
        return source

    def _find_places(self) -> None:
        """Begin streams again in which the entry that was read last is no more: they may be new ones."""
        places = {
            stream: place
            for source in self._sources.values()
            for stream, place in source.places.items()
            if place != BEGIN and not source.is_passed_over
        }
        if not places:
            return
        found = self._broker.read({stream: _before(place) for stream, place in places.items()}, count=1)
        for source in self._sources.values():
            for stream in source.places.keys() & places.keys():
                if [entry.id for entry in found.get(stream, [])] != [places[stream]]:
                    source.places[stream] = BEGIN
            if source.places[source.events] == BEGIN:
                self._troubles.note(source.name, "late", LATE, source.merge.begin_again())


def _check_place(message: Message, merge: Merge[Message], *, is_durable: bool) -> None:
    """Refuse one in the wrong stream, or so far on that all later ones of its process would seem old.

    Raises:
        MessageError: it is.
    """
    count, is_same = message.durable, message.process == merge.process
    if not (type(count) is int and count > 0 if is_durable else count is None):
        raise MessageError(f"durable={count!r:.50} in this stream")
    jumps = [message.number - merge.number] if is_same and merge.number else []
    jumps += [count - merge.durable] if is_same and count is not None and merge.durable else []
    if any(jump > _LARGEST_JUMP for jump in jumps):
        raise MessageError(f"number {message.number}, after {merge.number}, is too far on")


def _before(place: str) -> str:
    """Return the id of an entry that would come just before another."""
    time_ms, _, count = place.partition("-")
    return f"{time_ms}-{int(count) - 1}" if int(count) else f"{int(time_ms) - 1}-{2**64 - 1}"
