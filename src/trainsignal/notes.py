"""What a run notes on its way: the votes to stop it, and the checkpoints that were saved."""

from __future__ import annotations

from dataclasses import dataclass

from trainsignal.run_link import Boundary


@dataclass(frozen=True, slots=True)
class StopVote:
    """Somebody's wish that the run stop.

    Attributes:
        reason: in words.
        author: who voted: a callback's class, "user", ...
        at: the boundary at which to stop.
        epoch: 0-based, when the vote was cast.
        minibatch: 0-based within the epoch.
    """

    reason: str
    author: str
    at: Boundary
    epoch: int
    minibatch: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that was saved: where, and at which position of the run."""

    path: str
    epoch: int
    minibatch: int
