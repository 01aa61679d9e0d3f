"""The two streams of a run as one, in the order of publication; each message once.

Pure: is given what was read, and gives what may be published. Knows no broker and no content.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Numbered(Protocol):
    """A message of a run."""

    @property
    def number(self) -> int:
        """Place in the order of publication, from 1, with gaps where messages were dropped."""
        ...

    @property
    def process(self) -> str:
        """Id of the process that sent it; a resumed run has another one, and may count from 1 again."""
        ...

    @property
    def durable(self) -> int | None:
        """Count among the messages that are never dropped, from 1, without gaps; None: it may be dropped."""
        ...


MessageT = TypeVar("MessageT", bound=Numbered)


@dataclass(frozen=True, slots=True)
class Page(Generic[MessageT]):
    """What was read of one stream at one time.

    Attributes:
        messages: in the order of the stream.
        is_last: whether there were no more.
    """

    messages: Sequence[MessageT]
    is_last: bool


class Merge(Generic[MessageT]):
    """Merges the durable and the droppable messages of one run.

    A stream is read a page at a time, and only while nothing of it waits here (`wants_durable`,
    `wants_droppable`): so little is held, however long the streams are. A message waits until the other
    stream has one as well, or is read to its end. Processes come in the order of their first durable
    messages; droppable ones of a process that is not known yet come after all others.

    Attributes:
        process: id of the process of the last message that was given out; empty: none was.
        durable: count of the last durable message of that process that was given out; 0: none was.
        number: of the last message that was given out.
        duplicates: messages that came again, and were passed over.
        late: droppable messages that came after later ones had been given out, and were passed over.
        missing: durable messages that never came, although later ones did.
    """

    def __init__(self) -> None:
        self.process = ""
        self.durable = self.number = 0
        self.duplicates = self.late = self.missing = 0
        self._processes: dict[str, int] = {}  # index of each
        self._last_durable: dict[str, int] = {}  # that came of each process
        self._last_droppable: dict[str, int] = {}
        self._place = (-1.0, 0)  # of the last one that was given out
        self._durables: deque[MessageT] = deque()
        self._droppables: deque[MessageT] = deque()
        self._is_durable_over = self._is_droppable_over = False

    @property
    def wants_durable(self) -> bool:
        """Whether the next page of durable messages is to be read."""
        return not self._durables

    @property
    def wants_droppable(self) -> bool:
        """Whether the next page of droppable messages is to be read."""
        return not self._droppables

    @property
    def is_waiting(self) -> bool:
        """Whether messages wait here for the other stream."""
        return bool(self._durables or self._droppables)

    def add(self, durables: Page[MessageT] | None, droppables: Page[MessageT] | None) -> None:
        """Take over what one read gave.

        Args:
            durables: of the durable stream; None: it was not read this time, and may have more by now.
            droppables: of the other one.
        """
        self._is_durable_over = durables is not None and durables.is_last
        self._is_droppable_over = droppables is not None and droppables.is_last
        for message in () if durables is None else durables.messages:
            self._add_durable(message)
        for message in () if droppables is None else droppables.messages:
            if message.number <= self._last_droppable.get(message.process, 0):
                self.duplicates += 1
            else:
                self._last_droppable[message.process] = message.number
                self._droppables.append(message)

    def begin_again(self) -> int:
        """Leave out the droppable messages that wait, for the durable stream begins again; return how many.

        Those that come before them may be on their way again: until then its end tells nothing.
        """
        waiting = len(self._droppables)
        self._droppables.clear()
        return waiting

    def ready(self) -> Iterator[MessageT]:
        """Yield what may be published now, in order; what is not taken stays."""
        while self._durables or self._droppables:
            if self._durables and self._droppables:
                is_durable = self._place_of(self._durables[0]) < self._place_of(self._droppables[0])
            elif self._is_droppable_over if self._durables else self._is_durable_over:
                is_durable = bool(self._durables)
            else:  # the other stream may have an earlier one
                return
            message = (self._durables if is_durable else self._droppables).popleft()
            place = self._place_of(message)
            if not is_durable and (place <= self._place or self._is_of_old_process(message)):
                self.late += 1
                continue
            if message.process != self.process:
                self.process, self.durable, self.number = message.process, 0, 0
            self._place = max(self._place, place) if self._processes else self._place
            self.number = max(self.number, message.number)
            self.durable = message.durable or self.durable
            yield message

    def _place_of(self, message: MessageT) -> tuple[float, int]:
        """Return the place in the order of publication: index of the process, and number there."""
        return self._processes.get(message.process, float("inf")), message.number

    def _is_of_old_process(self, message: MessageT) -> bool:
        """Return whether all durable messages of its process are gone, although those of others came."""
        return bool(self._processes) and message.process not in self._processes

    def _add_durable(self, message: MessageT) -> None:
        count = message.durable
        assert count is not None  # that of messages which are never dropped
        last = self._last_durable.get(message.process, 0)
        if count <= last:
            self.duplicates += 1
            return
        if last:  # what is gone before the first one is not missed
            self.missing += count - last - 1
        self._last_durable[message.process] = count
        self._processes.setdefault(message.process, len(self._processes))
        self._durables.append(message)
