"""`Member`: the watch's end on every rank but the first; `watch_hub` says what the two tell each other."""

from __future__ import annotations

import socket
from typing import Final

from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch_link import Link, Message, encoded
from trainsignal.distributed.watch_loop import WatchLoop
from trainsignal.distributed.watch_news import WatchNews

_DECISION_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""Longest line to take of the first rank, which may hold what all ranks said."""


class Member:
    """Tells the first rank what becomes of this one, and hears of the others; in the thread of a loop.

    Args:
        loop: of the watch.
        connection: to the first rank.
        news: of this rank.
    """

    def __init__(self, loop: WatchLoop, connection: socket.socket, news: WatchNews) -> None:
        self._loop = loop
        self._news = news
        self._link = Link(loop, connection, _DECISION_LIMIT_BYTES)
        self._link.on_message = self._hear
        self._link.on_end = self._note_end

    def fail(self, rank: int, text: str) -> None:
        """Tell that this rank failed."""
        self._link.send(encoded({"failed": text}))

    def wait(self, rank: int) -> None:
        """Tell that it waits until nobody works any more."""
        self._link.send(encoded({"waiting": True}))

    def leave(self, rank: int) -> None:
        """Tell that its run is over."""
        self._link.send(encoded({"left": True}))

    def say(self, rank: int, message: Message) -> None:
        """Tell the moderator something."""
        self._link.send(encoded({"say": message}))

    def close(self) -> None:
        """End at once."""
        self._news.tell_over()
        self._loop.stop()

    def _hear(self, message: Message) -> None:
        if "failure" in message:
            self._news.tell_failure(RankFailure(*message["failure"]))
        elif "left" in message:
            self._news.tell_left(message["left"])
        elif "say" in message:
            self._news.tell_message(message["say"])
        elif "over" in message:
            self._news.tell_over()

    def _note_end(self, reason: str) -> None:
        if 0 not in self._news.left:
            self._news.tell_failure(RankFailure(0, reason))
        self._news.tell_over()
