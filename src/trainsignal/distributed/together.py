"""`Together`: collectives of a run's ranks that end when one of them fails, instead of waiting for ever."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeVar

from trainsignal.distributed.communicator import Communicator, Numbers, gather_bytes, wait
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch import Watch
from trainsignal.errors import CommunicatorError, RankFailedError

_logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

NEWS_S: Final = 3.0
"""Seconds to wait, after an error out of a collective, for the news of who failed."""

LEFT_S: Final = 10.0
"""Seconds after which a rank that has left is missed in a collective; what it gave may be under way still."""

LONG_S: Final = 60.0
"""Seconds after which a rank that waits says so, once a run."""


class Together:
    """What all ranks do at once, over the communicator, while the watch looks whether they are there.

    Attributes:
        watch: of this rank; None before the ranks have met, and where they cannot reach each other.
        has_news: whether another rank has failed; set by the watch's thread.
    """

    def __init__(self, communicator: Communicator) -> None:
        """Stand for ranks that have no watch yet; `communicator` is open, or will be."""
        self.watch: Watch | None = None
        self.has_news = False
        self._communicator = communicator
        self._has_complained = False

    def sum(self, values: Numbers) -> Numbers:
        """Return the sums over all ranks, (n,) float64; n is the same on all of them.

        Raises:
            RankFailedError: another rank failed, or left.
            CommunicatorError: the ranks do not reach each other any more.
        """
        return self._collective(lambda: wait(self._communicator.start_sum(values), self.waiting()))

    def gather(self, content: bytes) -> list[bytes]:
        """Return the contents of all ranks, by rank.

        Raises:
            RankFailedError: another rank failed, or left.
            CommunicatorError: the ranks do not reach each other any more.
        """
        return self._collective(lambda: gather_bytes(self._communicator, content, self.waiting()))

    def check(self) -> None:
        """Raise if another rank is known to have failed.

        Raises:
            RankFailedError: it has.
        """
        if self.has_news:
            raise RankFailedError(str(self.failure()))

    def failure(self, wait_s: float = 0.0) -> RankFailure | None:
        """Return whose failure ends the run, if that is known within so many seconds."""
        return None if self.watch is None else self.watch.failure(wait_s)

    def waiting(self) -> Callable[[], None]:
        """Return what looks, while this rank waits for the others, whether they are still there.

        It is to be called again and again; it raises RankFailedError once one of them has failed, or has
        left some seconds ago.
        """
        began = monotonic()
        missed_since: float | None = None

        def check() -> None:
            nonlocal missed_since
            self.check()
            if monotonic() - began > LONG_S and not self._has_complained:
                self._complain()
            failure = self._who_left()
            if failure is None:
                return
            if missed_since is None:
                missed_since = monotonic()
            if monotonic() - missed_since > LEFT_S:
                raise RankFailedError(str(failure))

        return check

    def _complain(self) -> None:
        self._has_complained = True
        _logger.warning(
            "rank %d has waited for the others for %g s. If they have more minibatches in this epoch, they "
            "may wait for it too, in a collective of the training: give all ranks the same number, or train "
            "each epoch inside `with ddp_model.join():`",
            self._communicator.rank, LONG_S,
        )  # fmt: skip

    def _collective(self, collective: Callable[[], _Result]) -> _Result:
        try:
            return collective()
        except RankFailedError:
            raise
        except CommunicatorError as error:
            failure = self.failure(NEWS_S) or self._who_left()
            if failure is None:
                raise
            raise RankFailedError(str(failure)) from error

    def _who_left(self) -> RankFailure | None:
        """Return the first of the ranks that have left, as a failure: the others needed it still."""
        left = frozenset[int]() if self.watch is None else self.watch.left()
        return RankFailure(min(left), "left the loop, while other ranks went on") if left else None
