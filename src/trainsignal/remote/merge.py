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
    stream has one as well, or is read to its end.

    Attributes:
        durable: count of the last durable message that was given out; 0: none was.
        number: of the last message that was given out.
        duplicates: messages that came again, and were passed over.
        late: droppable messages that came after later ones had been given out, and were passed over.
        missing: durable messages that never came, although later ones did.
    """

    def __init__(self) -> None:
        self.durable = self.number = 0
        self.duplicates = self.late = self.missing = 0
        self._last_durable = self._last_droppable = 0  # that came
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
            if message.number <= self._last_droppable:
                self.duplicates += 1
            else:
                self._last_droppable = message.number
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
                is_durable = self._durables[0].number < self._droppables[0].number
            elif self._is_droppable_over if self._durables else self._is_durable_over:
                is_durable = bool(self._durables)
            else:  # the other stream may have an earlier one
                return
            message = (self._durables if is_durable else self._droppables).popleft()
            if not is_durable and message.number <= self.number:
                self.late += 1
                continue
            self.number = max(self.number, message.number)
            self.durable = message.durable or self.durable
            yield message

    def _add_durable(self, message: MessageT) -> None:
        count = message.durable
        assert count is not None  # that of messages which are never dropped
        if count <= self._last_durable:
            self.duplicates += 1
            return
        if self._last_durable:  # what is gone before the first one is not missed
            self.missing += count - self._last_durable - 1
        self._last_durable = count
        self._durables.append(message)
