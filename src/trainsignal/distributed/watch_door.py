"""`Door`: lets those in that know the token of the run, and nobody else; the first rank's.

Whoever connects is a guest until it has said three things in time: who it is, the token, and that it has
heard the welcome. So a rank that gives an attempt up and tries another address is not taken for one that
died.
"""

from __future__ import annotations

import errno
import hmac
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from trainsignal.distributed.watch_link import LINE_LIMIT_BYTES, Link, Message, encoded
from trainsignal.distributed.watch_loop import WatchLoop
from trainsignal.frequency import is_int

_logger = logging.getLogger(__name__)

MANNERS_S: Final = 5.0
"""Seconds within which a guest shows the token."""

SPARE_GUESTS: Final = 64
"""Guests at once beyond one for each rank; one more, and the one that came first goes."""

_PAUSE_S: Final = 1.0
_GREETING_LIMIT_BYTES: Final = 1024
_SHORTAGES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Door:
    """Listens, until all ranks are in.

    Attributes:
        joined: ranks that have been let in.

    Args:
        loop: of the watch.
        listener: a listening socket.
        size: ranks of the run.
        token: which they know.
        on_join: called with a rank and the link to it, once.
        manners_s: seconds within which a guest shows the token.
    """

    def __init__(
        self,
        loop: WatchLoop,
        listener: socket.socket,
        size: int,
        token: str,
        on_join: Callable[[int, Link], object],
        manners_s: float = MANNERS_S,
    ) -> None:
        self.joined: set[int] = set()
        self._loop = loop
        self._listener = listener
        self._size = size
        self._token = token.encode()
        self._on_join = on_join
        self._manners_s = manners_s
        self._guests: dict[Link, int | None] = {}
        self._is_open = True
        self._is_resting = False
        self._has_told_of_shortage = False
        loop.add(listener, self._accept)

    def close(self) -> None:
        """Let nobody in any more; may be called twice."""
        if self._is_open:
            self._is_open = False
            if not self._is_resting:
                self._loop.remove(self._listener)
            self._listener.close()
            for guest in list(self._guests):
                self._send_away(guest)

    def _accept(self, events: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _SHORTAGES:
                self._rest(error)
            return  # else the guest has gone again
        while len(self._guests) >= self._size + SPARE_GUESTS:
            self._send_away(next(iter(self._guests)))
        try:
            guest = Link(self._loop, connection, _GREETING_LIMIT_BYTES)
        except OSError as error:  # some systems take no option for a connection that is closed again
            _logger.debug("a guest has gone again: %s", error)
            connection.close()
            return
        guest.on_message = partial(self._hear, guest)
        guest.on_end = lambda _: self._send_away(guest)
        self._guests[guest] = None
        self._loop.call_later(self._manners_s, lambda: self._send_away_a_stranger(guest))

    def _rest(self, error: OSError) -> None:
        """Leave who waits outside there for a while, as nothing can be opened."""
        if not self._has_told_of_shortage:
            self._has_told_of_shortage = True
            _logger.warning(
                "rank 0 takes no connection of %d more ranks: %s. Allow it more open files: `ulimit -n`",
                self._size - 1 - len(self.joined), error,
            )  # fmt: skip
        self._is_resting = True
        self._loop.remove(self._listener)
        self._loop.call_later(_PAUSE_S, self._go_on)

    def _go_on(self) -> None:
        self._is_resting = False
        if self._is_open:
            self._loop.add(self._listener, self._accept)

    def _hear(self, guest: Link, message: Message) -> None:
        rank = self._guests[guest]
        if rank is None:
            self._greet(guest, message)
        elif message.get("joined") is True:
            self._let_in(guest, rank)
        else:
            self._send_away(guest)

    def _greet(self, guest: Link, message: Message) -> None:
        rank, token = message.get("rank"), message.get("token")
        knows = isinstance(token, str) and hmac.compare_digest(
            token.encode(errors="backslashreplace"), self._token
        )
        if not (knows and is_int(rank) and 0 < rank < self._size and rank not in self.joined):
            _logger.debug("a stranger was turned away")
            self._send_away(guest)
            return
        for earlier in [one for one, who in self._guests.items() if who == rank]:
            self._send_away(earlier)  # the rank has given that attempt up
        self._guests[guest] = rank
        guest.send(encoded({"welcome": True}))

    def _let_in(self, guest: Link, rank: int) -> None:
        del self._guests[guest]
        self.joined.add(rank)
        guest.limit_bytes = LINE_LIMIT_BYTES
        self._on_join(rank, guest)
        if len(self.joined) == self._size - 1:
            self.close()

    def _send_away_a_stranger(self, guest: Link) -> None:
        if guest in self._guests and self._guests[guest] is None:
            self._send_away(guest)

    def _send_away(self, guest: Link) -> None:
        self._guests.pop(guest, None)
        guest.close()
