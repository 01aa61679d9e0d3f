"""`WatchNews`: what one rank knows of the others; told by the thread of its watch, asked by any thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch_link import Message

_logger = logging.getLogger(__name__)


class WatchNews:
    """What has been told, and those who wait for it.

    Attributes:
        failure: the failure that counts for the run, or None.
        left: ranks whose run is over in order.
        is_complete: whether all ranks have joined; known to the first one alone.
        is_over: whether there is nobody to wait for, or nobody who would tell.
        has_parted: whether this rank has failed or left itself: then its `on_failure` is not called.
    """

    def __init__(
        self, rank: int, on_failure: Callable[[RankFailure], object], on_message: Callable[[Message], object]
    ) -> None:
        """Know nothing.

        Args:
            rank: this one.
            on_failure: called for the failure of another rank.
            on_message: called for each message of the moderator.
        """
        self.failure: RankFailure | None = None
        self.left: frozenset[int] = frozenset()
        self.is_complete = False
        self.is_over = False
        self.has_parted = False
        self._rank = rank
        self._on_failure = on_failure
        self._on_message = on_message
        self._changed = threading.Condition()

    def wait(self, is_told: Callable[[WatchNews], bool], patience_s: float) -> None:
        """Wait until something has been told, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: is_told(self), min(patience_s, threading.TIMEOUT_MAX))

    def tell_failure(self, failure: RankFailure) -> None:
        """Note the failure that counts; later ones do not."""
        with self._changed:
            if self.failure is not None:
                return
            self.failure = failure
            self._changed.notify_all()
        if not self.has_parted:
            self._call(self._on_failure, failure)

    def tell_message(self, message: Message) -> None:
        """Hand a message of the moderator on."""
        self._call(self._on_message, message)

    def tell_left(self, ranks: Iterable[int]) -> None:
        """Note ranks that have left."""
        with self._changed:
            self.left |= frozenset(ranks)
            self._changed.notify_all()

    def tell_complete(self) -> None:
        """Note that all ranks have joined."""
        with self._changed:
            self.is_complete = True
            self._changed.notify_all()

    def tell_over(self) -> None:
        """Note that there is nobody to wait for."""
        with self._changed:
            self.is_over = True
            self._changed.notify_all()

    def _call(self, receiver: Callable[[Any], object], what: object) -> None:
        try:
            receiver(what)
        except BaseException:  # of a thread that nobody joins: the watch must outlive it
            _logger.exception(
                "the watch between ranks goes on after this error, while rank %d heard %s", self._rank, what
            )
