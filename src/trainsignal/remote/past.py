"""`Past`: what a run has done before its replica takes part in it, so that the replica can begin amid it.

Absorbs messages whose signals are not published: those that an earlier listener of the same name has handled,
and those of before a listener that came too late. Publishes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from trainsignal import keys
from trainsignal.notes import Checkpoint
from trainsignal.remote.announced import Rows
from trainsignal.remote.contents import (
    CheckpointSaved,
    Content,
    EpochBegin,
    EpochEnd,
    Minibatches,
    RunClosed,
    StopRequested,
    TrainBegin,
    TrainEnd,
)


@dataclass(slots=True)
class Past:
    """How far a run has come.

    Attributes:
        begin: how it was begun, or resumed the last time; None: unknown.
        epochs_complete: epochs that have ended.
        minibatches_complete: minibatches of these.
        epoch: the one that is open; None: none is.
        epoch_minibatches: minibatches of that one.
        rows: what has been written, in order.
        votes: (reason, author) of each wish that the run stop.
        checkpoints: those saved.
        is_ending: whether the last epoch has ended.
        is_closed: whether the run has ended.
    """

    begin: TrainBegin | None = None
    epochs_complete: int = 0
    minibatches_complete: int = 0
    epoch: int | None = None
    epoch_minibatches: int = 0
    rows: list[Rows] = field(default_factory=list[Rows])
    votes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    checkpoints: list[Checkpoint] = field(default_factory=list[Checkpoint])
    is_ending: bool = False
    is_closed: bool = False

    def absorb(self, content: Content) -> None:
        """Note what a message says."""
        match content:
            case TrainBegin():
                self.begin_anew(content)
            case EpochBegin():
                self.begin_epoch(content.epoch)
            case Minibatches():
                if self.epoch != content.epoch:
                    self.begin_epoch(content.epoch)
                self.epoch_minibatches = content.last + 1
                self.rows += content.rows
                self._find_place(content)
            case EpochEnd():
                self.epoch, self.epochs_complete = None, self.epochs_complete + 1
                self.minibatches_complete += content.minibatches
                self.rows += content.rows
            case CheckpointSaved():
                self.checkpoints.append(Checkpoint(content.path, content.epoch, content.minibatch))
            case StopRequested():
                self.votes.append((content.reason, content.author))
            case TrainEnd():
                self.is_ending = True
            case RunClosed():
                self.is_closed = True
            case _:  # a signal of the user's own leaves no trace
                return

    def begin_anew(self, begin: TrainBegin) -> None:
        """Begin, or go on after an earlier process, of which the rows up to that moment stay."""
        self.begin = begin
        done = begin.epochs_complete, begin.minibatches_complete
        self.rows = [_before(one, *done) for one in self.rows] if begin.is_resumed else []
        self.epochs_complete, self.minibatches_complete = begin.epochs_complete, begin.minibatches_complete
        self.epoch, self.votes, self.is_ending, self.is_closed = None, [], False, False

    def begin_epoch(self, epoch: int) -> None:
        """Be at the begin of an epoch; the number of those before it tells how many are complete."""
        self.epoch, self.epoch_minibatches = epoch, 0
        if self.begin is None:
            self.epochs_complete = epoch

    def _find_place(self, block: Minibatches) -> None:
        """Conclude from the rows of a block how many minibatches were done before its epoch.

        So the position is right where the begin of the run was missed.
        """
        ends = [one.first + len(one.values) for one in block.rows if one.series.is_per_minibatch]
        if self.begin is None and ends:
            self.minibatches_complete = max(0, max(ends) - 1 - block.last)


def _before(rows: Rows, epochs: int, minibatches: int) -> Rows:
    """Return those of some rows that belong to the time before so many epochs and minibatches were done."""
    end = rows.first + len(rows.values)
    kept = keys.is_before(rows.series.attributes, end, epochs, minibatches)
    if kept is None:
        return rows
    return Rows(rows.series, rows.first, rows.values[: np.count_nonzero(kept[rows.first :])])
