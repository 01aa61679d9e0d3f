"""`Hub`: the watch's end on the first rank, which decides which failure counts, and tells all.

Messages of a rank: `{"failed": text}`; `{"waiting": true}`, which says that it has failed and waits until
nobody works any more; `{"left": true}`; `{"say": message}`, for the moderator. Messages to a rank:
`{"failure": [rank, text]}`, the one that counts; `{"left": [rank, ...]}`; `{"over": true}`, when nobody works
any more; `{"say": message}`, of the moderator.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Final

from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.moderator import Moderator
from trainsignal.distributed.watch_door import Door
from trainsignal.distributed.watch_link import Link, Message, encoded
from trainsignal.distributed.watch_loop import WatchLoop
from trainsignal.distributed.watch_news import WatchNews

GATHERING_S: Final = 0.05
"""Seconds for which ranks that leave are gathered before all are told, since most leave together."""


class Hub:
    """Hears all ranks, the first one itself included; in the thread of a loop.

    An error that a rank tells counts only after a settling time: a death that is noticed within it counts
    instead, for a rank that dies has others raise errors at that very moment.

    Args:
        loop: of the watch.
        listener: a listening socket.
        token: which the ranks know.
        size: ranks of the run.
        settling_s: seconds to wait for a death.
        news: of the first rank.
    """

    def __init__(
        self,
        loop: WatchLoop,
        listener: socket.socket,
        token: str,
        size: int,
        settling_s: float,
        news: WatchNews,
    ) -> None:
        self._loop = loop
        self._door = Door(loop, listener, size, token, self._join)
        self._size = size
        self._settling_s = settling_s
        self._news = news
        self._links: dict[int, Link] = {}
        self._working = {0}
        self._parted: set[int] = set()
        self._error: RankFailure | None = None
        self._failure: RankFailure | None = None
        self._left: list[int] = []
        self._untold: list[int] = []
        self._is_over = False
        self._is_closing = False
        self._moderator = Moderator(size, self._say)

    def fail(self, rank: int, text: str) -> None:
        """Note a rank's error."""
        self._parted.add(rank)
        if self._error is None:
            self._error = RankFailure(rank, text)
            self._loop.call_later(self._settling_s, self._settle)

    def wait(self, rank: int) -> None:
        """Note that a rank that failed waits for those that work; it keeps no other one waiting."""
        self._stop_working(rank)

    def leave(self, rank: int) -> None:
        """Note that a rank's run is over; in order, unless it has failed before."""
        if rank not in self._parted:
            self._parted.add(rank)
            self._left.append(rank)
            self._untold.append(rank)
            if len(self._untold) == 1:
                self._loop.call_later(GATHERING_S, self._tell_who_left)
            self._moderator.forget(rank)
            if rank == 0:
                self._tell_who_left()  # at once: its process may end now
        self._stop_working(rank)

    def say(self, rank: int, message: Message) -> None:
        """Hand a rank's message to the moderator."""
        self._moderator.hear(rank, message)

    def close(self) -> None:
        """End at once; if the first rank has left in order, when no other one works any more."""
        self._is_closing = True
        self._door.close()
        self._tell_who_left()
        if 0 in self._left and self._working:
            return
        if 0 in self._parted:  # else it has died, as the others will see
            self._settle()
        self._news.tell_over()
        self._loop.stop()

    def _join(self, rank: int, link: Link) -> None:
        self._links[rank] = link
        self._working.add(rank)
        link.on_message = partial(self._hear, rank)
        link.on_end = partial(self._note_end, rank)
        if self._left:
            link.send(encoded({"left": self._left}))
        if self._failure is not None:
            link.send(_as_line(self._failure))
        if len(self._door.joined) == self._size - 1:
            self._news.tell_complete()

    def _hear(self, rank: int, message: Message) -> None:
        if "failed" in message:
            self.fail(rank, message["failed"])
        elif "waiting" in message:
            self.wait(rank)
        elif "say" in message:
            self.say(rank, message["say"])
        elif "left" in message:
            self.leave(rank)

    def _note_end(self, rank: int, reason: str) -> None:
        del self._links[rank]
        if rank not in self._parted:
            self._decide(RankFailure(rank, reason))
        elif self._error is not None and self._error.rank == rank:
            self._settle()  # who dies from now on may have been ended because of it
        self._stop_working(rank)

    def _stop_working(self, rank: int) -> None:
        self._working.discard(rank)
        if self._working or self._is_over:
            return
        self._is_over = True
        self._settle()
        self._tell_who_left()
        self._tell_all(encoded({"over": True}))
        self._news.tell_over()
        if self._is_closing:
            self._loop.stop()

    def _settle(self) -> None:
        if self._error is not None:
            self._decide(self._error)

    def _decide(self, failure: RankFailure) -> None:
        if self._failure is None:
            self._failure = failure
            self._tell_all(_as_line(failure))
            self._news.tell_failure(failure)

    def _tell_who_left(self) -> None:
        if self._untold:
            self._tell_all(encoded({"left": self._untold}))
            self._news.tell_left(self._untold)
            self._untold = []

    def _say(self, message: Message) -> None:
        self._tell_all(encoded({"say": message}))
        self._news.tell_message(message)

    def _tell_all(self, line: bytes) -> None:
        for link in self._links.values():
            link.send(line)


def _as_line(failure: RankFailure) -> bytes:
    return encoded({"failure": [failure.rank, failure.text]})
