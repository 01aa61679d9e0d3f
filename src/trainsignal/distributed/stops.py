"""`Stops`: no rank leaves the loop alone: a wish of one becomes a stop of all, at one boundary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import sleep
from typing import Final, Protocol

import numpy as np

from trainsignal.distributed.moderator import MARGIN, Message
from trainsignal.distributed.together import Together
from trainsignal.distributed.wishes import Wish, Wishes, author_of, decode, encode, signal_among
from trainsignal.run_link import Boundary

WAITING_S: Final = 0.001
"""Seconds between two looks whether the decision has come."""

LONGEST_TEXT: Final = 2000
"""Characters of a reason that travel."""


class Position(Protocol):
    """Where the run stands on this rank: a `TrainingRun`."""

    epoch: int

    @property
    def epoch_minibatches(self) -> int:
        """Minibatches done in the current epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rank asks of its run, and has it do.

    Attributes:
        position: where the run stands.
        take_run_id: gives the run the id that it has on all ranks.
        wake: has the end of the next minibatch, or of the one after it, look at what has come; may be called
            by any thread.
        adopt: makes a vote of all ranks one of this run's: its reason, author and boundary.
        end_by_signal: raises what a signal, of this number and author, ends a run with.
        asked_signal: called at boundaries; returns number and name of a signal that came, or None.
    """

    position: Position
    take_run_id: Callable[[str], object]
    wake: Callable[[], object]
    adopt: Callable[[str, str, Boundary], object]
    end_by_signal: Callable[[int, str], object]
    asked_signal: Callable[[], tuple[int, str] | None]


class Stops:
    """What this rank wishes, and where all stop.

    Attributes:
        is_ended_by_signal: whether all ranks end because of a signal, so that none fails by ending.
    """

    def __init__(self, size: int, together: Together, around: Surroundings) -> None:
        """Begin without a wish.

        Args:
            size: how many there are.
            together: what the ranks do at once.
            around: the run.
        """
        self.is_ended_by_signal = False
        self._size = size
        self._together = together
        self._around = around
        self._wishes: list[Wish] = []
        self._has_wished_signal = False
        self._least = (0, 0)
        self._is_asked = False
        self._held_at: tuple[int, int] | None = None
        self._decision: Message | None = None

    def go_on_from(self, epoch: int, minibatches: int) -> None:
        """Note that so many minibatches of an epoch are done when the run begins."""
        self._least = (epoch, minibatches)

    def wish(self, reason: str, author: str, at: Boundary, signal: int | None = None) -> None:
        """Have all ranks stop, at the next moment at which they can agree on it."""
        wish = Wish(reason[:LONGEST_TEXT], author[:LONGEST_TEXT], at, signal)
        self._wishes.append(wish)
        if at == "minibatch" and self._together.watch is not None:
            self._together.watch.send({"wish": wish.as_dict()})

    def at_boundary(self) -> None:
        """Look what has come: a failure, a signal of the operating system, a moment at which all stop.

        Raises:
            RankFailedError: another rank failed.
            BaseException: what a signal ends the run with.
        """
        self._look()
        if self._is_asked and self._around.position.epoch >= self._least[0]:
            self._stop_where_agreed()

    def after_last_minibatch(self) -> None:
        """Stop with an epoch of this rank that ends before the minibatch at which others stop in theirs.

        To be called before anything that all ranks do together at the end of an epoch.

        Raises:
            RankFailedError: another rank failed.
            BaseException: what a signal ends the run with.
        """
        epoch = self._around.position.epoch
        self._least = (epoch + 1, 0)  # who is asked from now on says so, and all stop at the epoch's end
        if self._is_asked:
            decision = self._wait_for_decision()
            if decision["epoch"] == epoch:
                self._stop(decision)

    def agree(self) -> None:
        """Heed, at the end of an epoch, what any rank wishes.

        Raises:
            RankFailedError: another rank failed.
            CommunicatorError: the ranks no longer reach each other.
            BaseException: what a signal ends the run with.
        """
        self._look()
        mine = list(self._wishes)
        if self._together.sum(np.array([len(mine)], np.float64))[0]:
            self._heed(decode(self._together.gather(encode(mine))))

    def hear(self, message: Message) -> None:
        """Answer the moderator, or take its decision; called in the watch's thread."""
        if "where" in message:
            self._is_asked = True
            self._around.wake()  # before looking where the run is: from now on it does not get far unseen
            self._held_at = epoch, done = self._next_minibatch()
            assert self._together.watch is not None
            self._together.watch.send({"epoch": epoch, "done": done})
        else:
            self._decision = message

    def _look(self) -> None:
        self._together.check()
        asked = self._around.asked_signal()
        if asked is not None and not self._has_wished_signal:
            self._has_wished_signal = True
            number, name = asked
            self.wish(name, name, "minibatch", number)

    def _stop_where_agreed(self) -> None:
        """Stop here if it was agreed that all stop after this minibatch."""
        position = self._around.position
        here = (position.epoch, position.epoch_minibatches)
        if self._may_pass(here):
            self._around.wake()  # looks again after the next minibatch
            return
        decision = self._wait_for_decision()
        agreed = (decision["epoch"], decision["done"])
        if here < agreed:
            self._around.wake()
        elif here == agreed:
            self._stop(decision)
        else:  # all have ended that epoch before, and with it the run
            self._is_asked = False

    def _may_pass(self, here: tuple[int, int]) -> bool:
        """Return whether this rank may go on without the decision."""
        check = self._together.waiting()
        while self._held_at is None:  # for a moment, while the watch's thread answers
            check()
            sleep(WAITING_S)
        epoch, done = self._held_at
        return self._decision is None and here < (here[0], (done if epoch == here[0] else 0) + MARGIN)

    def _wait_for_decision(self) -> Message:
        check = self._together.waiting()
        while self._decision is None:
            check()
            sleep(WAITING_S)
        return self._decision

    def _stop(self, decision: Message) -> None:
        self._is_asked = False
        self._heed({Wish(**wish): ranks for wish, ranks in decision["wishes"]})

    def _next_minibatch(self) -> tuple[int, int]:
        """Return the epoch of the next minibatch, and how many of it are done."""
        position = self._around.position
        return max(self._least, (position.epoch, position.epoch_minibatches))

    def _heed(self, wishes: Wishes) -> None:
        """Do what all ranks do now because of the same wishes; those of this rank that are alike are done."""
        self._wishes = [one for one in self._wishes if one not in wishes]
        found = signal_among(wishes)
        if found is not None:
            wish, rank = found
            self.is_ended_by_signal = True
            self._around.end_by_signal(wish.signal or 0, f"{wish.author} on rank {rank}")
        for wish, ranks in wishes.items():
            if wish.signal is None:
                self._around.adopt(wish.reason, author_of(wish, ranks, self._size), wish.at)
