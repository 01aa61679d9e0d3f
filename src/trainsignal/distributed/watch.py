"""`Watch`: a rank learns at once that another one failed, died or left, even if its main thread is blocked.

A rank that raises or dies leaves the others inside a collective for ever. So each rank holds a TCP connection
to the first one, beside whatever carries the training's collectives; a thread waits for it, and the operating
system closes it when a process dies. Knows nothing of PyTorch or MPI.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from trainsignal.distributed import watch_offer
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch_files import more_files
from trainsignal.distributed.watch_hub import Hub
from trainsignal.distributed.watch_link import LINE_LIMIT_BYTES, Message, encoded
from trainsignal.distributed.watch_loop import PATIENCE_S, WatchLoop
from trainsignal.distributed.watch_member import Member
from trainsignal.distributed.watch_news import WatchNews
from trainsignal.distributed.watch_offer import Offer
from trainsignal.errors import CommunicatorError

_logger = logging.getLogger(__name__)

SETTLING_S: Final = 0.3
"""Seconds after an error in which a death counts before it."""

TEXT_LIMIT: Final = 4000
"""Characters of a failure's text; JSON may need twelve bytes for one."""


class Watch:
    """One rank's part in the watch over all of them.

    `offer` on each rank, then `connect` with the first rank's offer, then the run, then `leave` or `fail`,
    then `close`. A rank that closes without having said either counts as dead. In a forked child, and where
    `connect` returned False, nothing is told and nothing is known. All ranks report the same failure.

    Args:
        rank: 0-based number of this process.
        size: how many processes there are.
        on_failure: called once, in the watch's thread, for the failure of another rank, unless this one has
            called `fail` or `leave` before. While it runs nothing else is heard, on the first rank by nobody.
            There no method of the watch waits.
        on_message: called in that thread with each message of the moderator.
        is_one_host: whether all ranks run on one machine: then nothing outside it can connect.
        settling_s: seconds after an error in which a death counts before it.
        clock: returns seconds.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        on_failure: Callable[[RankFailure], object],
        *,
        on_message: Callable[[Message], object],
        is_one_host: bool,
        settling_s: float = SETTLING_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._rank = rank
        self._size = size
        self._is_one_host = is_one_host
        self._settling_s = settling_s
        self._news = WatchNews(rank, on_failure, on_message)
        self._loop: WatchLoop | None = None
        self._end: Hub | Member | None = None

    def offer(self) -> bytes:
        """Begin to listen, on the first rank; return what `connect` needs on the others, or b""."""
        if self._rank or self._size == 1:
            return b""
        try:
            return self._listen()
        except Exception as error:  # noqa: BLE001 - whatever it is: the others wait for what this returns
            _logger.warning("rank 0 cannot listen for the other ranks: %s", error)
            return b""

    def connect(self, offer: bytes, timeout_s: float) -> bool:
        """Reach the first rank; on that one, wait for the others. Return whether that came about.

        Args:
            offer: what `offer` returned on the first rank.
            timeout_s: seconds to try.
        """
        if self._size == 1:
            return True
        if self._rank == 0:
            if self._end is not None:
                self._news.wait(lambda news: news.is_complete, timeout_s)
            return self._news.is_complete
        try:
            return bool(offer) and self._dial(Offer.decoded(offer), timeout_s)
        except Exception as error:  # noqa: BLE001 - whatever it is: the others wait for what this returns
            _logger.warning("rank %d goes without a watch: %s", self._rank, error)
            return False

    def fail(self, text: str, patience_s: float = 0.0) -> RankFailure:
        """Tell that this rank failed; return the failure that counts, which may be an earlier one of another.

        Args:
            text: why, as "ValueError: bad batch".
            patience_s: seconds for `wait_for_others`, which comes last.
        """
        self._news.has_parted = True
        text = text[:TEXT_LIMIT]
        if self._tell(lambda end: end.fail(self._rank, text)):
            self._news.wait(
                lambda news: news.failure is not None or news.is_over, self._settling_s + PATIENCE_S
            )
        if patience_s > 0:
            self.wait_for_others(patience_s)
        return self._news.failure or RankFailure(self._rank, text)

    def wait_for_others(self, patience_s: float) -> None:
        """Wait until every other rank has left or died, or waits as this one, which has failed, does.

        Since what started the processes may end all of them as soon as the first one exits.

        Args:
            patience_s: seconds to wait at most.
        """
        if self._tell(lambda end: end.wait(self._rank)):
            self._news.wait(lambda news: news.is_over, patience_s)

    def leave(self) -> None:
        """Tell that this rank's run is over, in order unless it has failed before; wait for nobody."""
        self._news.has_parted = True
        self._tell(lambda end: end.leave(self._rank))

    def send(self, message: Message) -> None:
        """Tell the moderator, on the first rank, something.

        Raises:
            CommunicatorError: it is too long.
        """
        size_bytes = len(encoded({"say": message}))
        if size_bytes > LINE_LIMIT_BYTES:
            raise CommunicatorError(f"a message of {size_bytes} bytes, expected {LINE_LIMIT_BYTES} at most")
        self._tell(lambda end: end.say(self._rank, message))

    def failure(self, wait_s: float = 0.0) -> RankFailure | None:
        """Return the failure of the run; None if none is known.

        Args:
            wait_s: seconds to wait for it: an error out of a collective may come before the news of who died.
        """
        if wait_s > 0 and self._tell(lambda end: None):
            self._news.wait(lambda news: news.failure is not None or news.is_over, wait_s)
        return self._news.failure

    def left(self) -> frozenset[int]:
        """Return the other ranks whose run is known to be over in order."""
        return self._news.left - {self._rank}

    def close(self) -> None:
        """End the thread and the connections; may be called twice.

        On a first rank that has left, they last until no other rank works any more.
        """
        self._tell(lambda end: end.close())
        if self._loop is not None:
            self._loop.join()
        self._end = self._loop = None

    def _listen(self) -> bytes:
        addresses = (watch_offer.LOOPBACK,) if self._is_one_host else watch_offer.own_addresses()
        host, token = watch_offer.host_identity(), secrets.token_hex(32)
        with ExitStack() as undoing:
            files = undoing.enter_context(ExitStack())
            files.enter_context(more_files(self._size))
            listener = undoing.enter_context(watch_offer.listen(self._size, self._is_one_host))
            port = listener.getsockname()[1]
            loop = WatchLoop(self.clock)
            undoing.callback(loop.close)
            loop.call_at_end(files.close)  # a first rank that has left may serve others for a while
            self._start(loop, Hub(loop, listener, token, self._size, self._settling_s, self._news))
            undoing.pop_all()
        return Offer(host, addresses, port, token).encoded()

    def _dial(self, offer: Offer, timeout_s: float) -> bool:
        connection = watch_offer.dial(offer, self._rank, timeout_s, clock=self.clock)
        if connection is None:
            return False
        with ExitStack() as undoing:
            undoing.enter_context(connection)
            loop = WatchLoop(self.clock)
            undoing.callback(loop.close)
            self._start(loop, Member(loop, connection, self._news))
            undoing.pop_all()
        return True

    def _start(self, loop: WatchLoop, end: Hub | Member) -> None:
        loop.start()
        self._loop, self._end = loop, end

    def _tell(self, do: Callable[[Hub | Member], object]) -> bool:
        """Have something done in the watch's thread; return whether there is one, and it is not this one."""
        loop, end = self._loop, self._end
        return loop is not None and end is not None and loop.do(lambda: do(end))
