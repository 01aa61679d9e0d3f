"""`Outbox`: what a run has published and the relay has not delivered yet, in the order of publication.

The newest durable messages stay here, also after they were delivered: a broker may forget them. All else is
bounded more closely. What is too much gives way, oldest first, and is counted. Knows no broker.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from trainsignal.relay.messages import MINIBATCHES, Message


class Outbox:
    """Filled by the thread that trains, which waits for nothing, and emptied by the relay's.

    The messages in it are numbered as if nothing had been published before this process.

    Args:
        run_id: of the run.
        most_droppable: so many droppable messages wait at most.
        most_durable: so many durable messages are kept, the newest.
        process: of the run; see `Message`.

    Attributes:
        news: set when a message was put in.
        dropped_minibatches: of blocks that gave way.
        dropped_signals: droppable messages of other signals that gave way.
    """

    def __init__(self, run_id: str, most_droppable: int, most_durable: int, *, process: str = "-") -> None:
        self.news = threading.Event()
        self.dropped_minibatches = self.dropped_signals = 0
        self._run_id = run_id
        self._process = process
        self._most_droppable = most_droppable
        self._most_durable = most_durable
        self._lock = threading.Lock()  # held for moments, never while anybody waits for the broker
        self._durables: deque[Message] = deque()
        self._droppables: deque[Message] = deque()
        self._number = self._durable = 0
        self._delivered = 0  # the count of the last durable message that was
        self._arrived = 0  # the same, whatever the broker forgot since
        self._on_its_way = 0  # the same, of the last one that was taken; 0: none is
        self._given_up = 0  # durable messages that gave way before one that was delivered
        self._thinned = 0  # minibatches of blocks that gave way since the last one that was taken
        self._series: list[Any] = []  # what they announced

    def put(self, signal: str, content: Mapping[str, Any], *, is_durable: bool) -> None:
        """Add a message; what it holds must not change afterwards."""
        with self._lock:
            self._number += 1
            message = Message(self._run_id, self._number, signal, content, process=self._process)
            if is_durable:
                self._durable += 1
                self._durables.append(replace(message, durable=self._durable))
                if len(self._durables) > self._most_durable:
                    self._durables.popleft()
            else:
                self._droppables.append(message)
                self._make_room()
        self.news.set()

    def take(self, most: int) -> list[Message]:
        """Return the next messages to deliver, in order; droppable ones are in the taker's hands then."""
        with self._lock:
            durables = self._undelivered(most)
            droppables = list(self._droppables)[:most]
            taken = sorted((*durables, *droppables), key=lambda message: message.number)[:most]
            for index, message in enumerate(taken):
                if message.durable is None:
                    self._droppables.popleft()
                    taken[index] = self._with_what_was_dropped(message)
                else:
                    self._on_its_way = message.durable
        return taken

    def give_back(self, messages: Sequence[Message]) -> None:
        """Put back what could not be delivered, or not for certain."""
        with self._lock:
            droppables = [message for message in messages if message.durable is None]
            self._droppables.extendleft(reversed(droppables))
            self._make_room()
            self._on_its_way = 0

    def delivered(self, messages: Sequence[Message]) -> None:
        """Note that messages have arrived."""
        with self._lock:
            counts = [message.durable for message in messages if message.durable is not None]
            if counts:
                self._given_up += max(0, counts[0] - 1 - self._arrived)
                self._delivered = max(self._delivered, counts[-1])
                self._arrived = max(self._arrived, counts[-1])

    def go_on_after(self, durable: int) -> None:
        """Deliver again every durable message after the one of this count that is still kept."""
        with self._lock:
            self._delivered = durable

    @property
    def undelivered(self) -> int:
        """How many durable messages have not arrived."""
        with self._lock:
            return self._durable - self._delivered

    @property
    def given_up(self) -> int:
        """How many durable messages gave way before they had arrived: more waited than are kept."""
        with self._lock:
            first = self._durables[0].durable if self._durables else None
            waiting = 0 if first is None else first - 1 - max(self._arrived, self._on_its_way)
            return self._given_up + max(0, waiting)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self.undelivered and not self._droppables

    def _undelivered(self, most: int) -> list[Message]:
        """Return the next durable messages; few wait as a rule, at the end of many that are kept."""
        waiting = min(self._durable - self._delivered, len(self._durables))
        first = len(self._durables) - waiting
        return [self._durables[index] for index in range(first, first + min(waiting, most))]

    def _make_room(self) -> None:
        while len(self._droppables) > self._most_droppable:
            message = self._droppables.popleft()
            if message.signal != MINIBATCHES:
                self.dropped_signals += 1
                continue
            content = message.content
            minibatches: int = content["last"] - content["first"] + 1
            self.dropped_minibatches += minibatches
            self._thinned += minibatches + content["thinned"]
            self._series = [*self._series, *content.get("series", ())]

    def _with_what_was_dropped(self, message: Message) -> Message:
        """Return a block that says what was dropped before it."""
        if message.signal != MINIBATCHES or not (self._thinned or self._series):
            return message
        content = {**message.content, "thinned": message.content["thinned"] + self._thinned}
        if self._series:
            content["series"] = [*self._series, *message.content.get("series", ())]
        self._thinned, self._series = 0, []
        return replace(message, content=content)
