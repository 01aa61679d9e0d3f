"""The thread between a callback and the run that it takes part in.

Knows neither: a callback is an object with a `__dict__`, a run is what `RunLink` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from trainsignal.errors import RunStateError

RUN = "trainsignal run"
"""Key in a callback's `__dict__`; with its space it is no attribute name that a subclass could use."""

ExitReason: TypeAlias = Literal["completed", "stopped", "interrupted", "preempted", "failed"]
Boundary: TypeAlias = Literal["minibatch", "epoch"]


class SharedEvaluations(Protocol):
    """What a callback may ask of the evaluations of its run: see `trainsignal.evaluation.Evaluations`."""

    @property
    def is_alone(self) -> bool:
        """Whether this process alone has the data sets, so that none of them may be empty."""
        ...

    def register(self, callback: Any, request: Any) -> None:
        """Evaluate `request` for the callback along with others."""
        ...

    def result(self, callback: Any, model: Any, request: Any, epoch: int) -> Any:
        """Return the value of `request` at the end of the 0-based `epoch`."""
        ...


class MinibatchCost(Protocol):
    """The cost of the current minibatch: see `trainsignal.cost.MinibatchCost`."""

    @property
    def is_late(self) -> bool:
        """Whether it is on a device, so that reading it would wait."""
        ...

    def told(self) -> float | None:
        """Return what the loop set for this minibatch; None where it has set nothing."""
        ...

    def when_known(self, tell: Callable[..., object], /, *arguments: Any) -> None:
        """Call `tell(*arguments, cost)` once a cost that is late has come."""
        ...

    def settle(self) -> None:
        """Wait for the costs that are on a device, and tell who waits for them."""
        ...


class RunLink(Protocol):
    """What a callback may ask of the run that it takes part in.

    Attributes:
        model: the object that was given to `Callbacks`.
        epoch: the current epoch, 0-based.
        minibatches_per_epoch: minibatches of the current epoch; None where unknown.
        minibatches_complete: minibatches done before the current epoch.
        is_in_epoch: whether an epoch has begun and not ended.
        rank: 0-based number of this process among those that train together; 0 where it is alone.
        resumed_from: absolute path of the checkpoint that the run goes on from, or None.
        is_forced: whether a signal ended the run at once, amid anything, so that its state may not be whole.
        is_being_restored: whether a resumed run is not yet as its checkpoint says, and is not to be saved.
    """

    model: Any
    epoch: int
    minibatches_per_epoch: int | None
    minibatches_complete: int
    rank: int
    resumed_from: Path | None
    is_forced: bool
    is_being_restored: bool
    is_in_epoch: bool

    @property
    def evaluations(self) -> SharedEvaluations:
        """What the callbacks of this run evaluate, so that one pass serves all that are due."""
        ...

    @property
    def cost(self) -> float | None:
        """Cost of the current minibatch; None where the loop set none."""
        ...

    @property
    def minibatch_cost(self) -> MinibatchCost:
        """What the loop told of the current minibatch, which may be on a device still."""
        ...

    @property
    def epoch_cost(self) -> float | None:
        """Mean cost of the current epoch's minibatches so far; None where nobody told."""
        ...

    @property
    def epoch_minibatches(self) -> int:
        """Minibatches done in the current epoch."""
        ...

    @property
    def open_minibatch(self) -> int | None:
        """The minibatch that has begun and not ended, or None."""
        ...

    @property
    def is_resumed(self) -> bool:
        """Whether the run goes on from a checkpoint, so that files which it writes are continued."""
        ...

    @property
    def minibatches_done(self) -> int:
        """Minibatches done over all epochs."""
        ...

    def request_stop(self, reason: str, author: str, at: Boundary = "minibatch") -> None:
        """Vote to stop at the next boundary."""
        ...

    def claim_file(self, path: str | Path, owner: str, claimant: object) -> None:
        """Make sure that nobody else in this run writes `path`.

        Args:
            path: the file or folder.
            owner: how messages call who writes it.
            claimant: who that is.

        Raises:
            ConfigurationError: somebody else does.
        """
        ...

    def share_costs(self, window: Callable[[], deque[float]]) -> None:
        """Have the last costs that a smoothing goes on with become the means over the ranks at epochs' ends.

        Args:
            window: returns them, with a `maxlen`; of a process that trains alone it stays as it is.
        """
        ...

    def report(self, problem: str) -> None:
        """Tell the user of a problem at once, and again when the run ends."""
        ...

    def checkpoint_saved(self, path: str) -> None:
        """Publish that a checkpoint is on the disk."""
        ...

    def snapshot(self, minibatches: int | None, /) -> dict[str, Any]:
        """Return what a checkpoint holds: the model's own state, and all else that a resumed run needs.

        Args:
            minibatches: of the current epoch that are done; None: the epoch has ended.
        """
        ...

    def wiring_changed(self) -> None:
        """Look anew at who fires when."""
        ...


def joined_run(callback: object) -> RunLink | None:
    """Return the run that the callback takes part in, or None."""
    run: RunLink | None = vars(callback).get(RUN)
    return run


def run_of(callback: object) -> RunLink:
    """Return the run that the callback takes part in.

    Raises:
        RunStateError: it takes part in none.
    """
    run: RunLink | None = vars(callback).get(RUN)
    if run is None:
        raise RunStateError(
            f"{type(callback).__name__} takes part in no run now: add it to a Callbacks object and train"
        )
    return run


def is_first_rank(callback: object) -> bool:
    """Return whether the callback is on the first rank of its run, which tells the user what all know."""
    run = joined_run(callback)
    return run is None or run.rank == 0


def join(callback: object, run: RunLink | None) -> None:
    """Make the callback take part in `run`; None: in none."""
    if run is None:
        vars(callback).pop(RUN, None)
    else:
        vars(callback)[RUN] = run


def without_run(callback: object) -> dict[str, Any]:
    """Return the attributes of a callback, for a copy in no run; our own keys are no names."""
    return {key: value for key, value in vars(callback).items() if key.isidentifier()}
