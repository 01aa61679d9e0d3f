"""`Ranks`: how one rank of a run goes along with the others, from their meeting to the end of the run.

The run asks it at its boundaries; what travels, and how, is in the other files of this folder.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from trainsignal.distributed.communicator import Communicator, gather_bytes
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.last_resort import LastResort
from trainsignal.distributed.meeting import Introduction, check_alike
from trainsignal.distributed.stops import Stops, Surroundings
from trainsignal.distributed.together import Together
from trainsignal.distributed.watch import Watch
from trainsignal.errors import CommunicatorError, RankFailedError
from trainsignal.receiver import author_of

_logger = logging.getLogger(__name__)

CONNECTING_S: Final = 20.0
"""Seconds within which the watches of all ranks find each other."""

AFTERWARDS_S: Final = 5.0
"""Seconds for which ranks of a run that failed wait for each other longer than one may take to end."""


class Ranks:
    """The ranks of one run, seen from one of them.

    Attributes:
        rank: 0-based number of this process.
        size: how many there are, 2 or more.
        together: what they do at once.
        stops: how they stop together.
    """

    def __init__(
        self, communicator: Communicator, around: Surroundings, last_resort: LastResort, patience_s: float
    ) -> None:
        """Stand for ranks that have not met.

        Args:
            communicator: an open one.
            around: the run.
            last_resort: called when another rank has failed.
            patience_s: seconds that a rank has to come to a boundary.
        """
        self.rank, self.size = communicator.rank, communicator.size
        self.together = Together(communicator)
        self.stops = Stops(self.size, self.together, around)
        self._communicator = communicator
        self._around = around
        self._last_resort = last_resort
        self._patience_s = patience_s

    @contextmanager
    def meeting(self, introduce: Callable[[], Introduction]) -> Generator[None]:
        """Prepare the run inside the block; then meet the others, to whom an error in it is told.

        Also Ctrl-C and sys.exit: the others wait for this rank's introduction, and it for theirs, once more.

        Args:
            introduce: called at the end; returns what this rank tells of itself.

        Raises:
            RankFailedError: another rank cannot begin.
            WiringError: the ranks differ.
            CommunicatorError: they do not reach each other.
        """
        try:
            yield
            introduction = introduce()
        except BaseException as error:
            try:
                self._meet(Introduction(problem=_words(error)))
            except CommunicatorError as unreachable:
                error.add_note(f"the other ranks could not be told: {unreachable}")
            raise
        introductions = self._meet(introduction)
        check_alike(introductions, self.rank)
        self._around.take_run_id(introductions[0].run_id)
        self._connect(introductions)

    def ending(self, error: BaseException | None) -> RankFailure | None:
        """Tell the others if this rank fails, and return whose failure ends the run; None where none does.

        Args:
            error: what ends the run on this rank, or None; it gets a note where another rank failed first.
        """
        if error is None or self.stops.is_ended_by_signal:
            return None
        if isinstance(error, RankFailedError) and self.together.has_news:
            return self.together.failure()
        is_of_this_rank = not isinstance(error, RankFailedError)
        text = _words(error) if is_of_this_rank else str(error)
        if self.together.watch is None:
            return RankFailure(self.rank, text)
        failure = self.together.watch.fail(text)
        if failure.rank != self.rank:
            error.add_note(f"failed first: {failure}")
        return failure

    def ended(self) -> None:
        """Note that this rank's run is over.

        Of a run that failed, all wait for all, as a launcher may end the others as soon as one has ended.
        """
        self._last_resort.dismiss()
        watch = self.together.watch
        with ExitStack() as ending:  # also if Ctrl-C ends the waiting
            ending.callback(self._communicator.close)
            if watch is not None:
                ending.callback(watch.close)
                ending.callback(watch.leave)
            self._wait_for_others(self._patience_s + AFTERWARDS_S)

    def _meet(self, introduction: Introduction) -> list[Introduction]:
        told = gather_bytes(self._communicator, introduction.encoded(), check=lambda: None)
        return [Introduction.decoded(content) for content in told]

    def _connect(self, introductions: Sequence[Introduction]) -> None:
        """Join the watches; a run whose ranks cannot reach the first one goes on without."""
        is_one_host = len({one.host for one in introductions}) == 1
        watch = Watch(
            self.rank, self.size, self._hear_of_failure, on_message=self.stops.hear, is_one_host=is_one_host
        )
        self.together.watch = watch  # before all are connected: one that is may be asked at once
        offers = gather_bytes(self._communicator, watch.offer(), check=lambda: None)
        is_connected = watch.connect(offers[0], CONNECTING_S)
        answers = gather_bytes(self._communicator, b"1" if is_connected else b"", check=lambda: None)
        if all(answers):
            return
        self.together.watch = None
        watch.leave()
        watch.close()
        missing = [rank for rank, answer in enumerate(answers) if rank and not answer]
        if self.rank == 0:
            _logger.warning(
                "ranks %s cannot reach rank 0 at %s: a rank that fails is noticed only when %s does, and "
                "stops are agreed at the ends of epochs alone. Allow TCP connections between the machines.",
                missing, platform.node(), self._communicator.name,
            )  # fmt: skip

    def _hear_of_failure(self, failure: RankFailure) -> None:
        """Note that another rank has failed; called in the watch's thread."""
        self.together.has_news = True
        self._around.wake()
        self._last_resort.call(failure, self._wait_for_others)

    def _wait_for_others(self, limit_s: float) -> None:
        """Wait, if the run has failed, until the other ranks are ready to end, too."""
        watch = self.together.watch
        if watch is not None and watch.failure() is not None:
            watch.wait_for_others(limit_s)


def _words(error: BaseException) -> str:
    """Return an error as text; that of a signal is a number."""
    detail = author_of(error) if isinstance(error, SystemExit) else None
    return f"{type(error).__name__}: {detail or error}".removesuffix(": ")
