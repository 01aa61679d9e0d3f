"""`TrainingRun`: where one run stands, who wants it to stop, and what was said of it on the way.

What callbacks, handlers and loops ask for is here; how a run begins and ends, `life` knows.
"""

from __future__ import annotations

import logging
import os
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Any, TypeVar, get_args

from trainsignal import hand_loop, keys
from trainsignal.abilities import CanFinish
from trainsignal.bus import Bus
from trainsignal.cost import MinibatchCost
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.ranks import Ranks
from trainsignal.distributed.train_costs import TrainCosts
from trainsignal.errors import ConfigurationError, RunStateError
from trainsignal.evaluation import Evaluations
from trainsignal.feed import Feed
from trainsignal.files import expand
from trainsignal.hot_path import HotPath
from trainsignal.notes import Checkpoint, StopVote
from trainsignal.run_link import Boundary, ExitReason
from trainsignal.shared_data import SharedData, Stamp

_logger = logging.getLogger(__name__)
_Batch = TypeVar("_Batch")


class TrainingRun:
    """One run: begun once, closed once.

    Attributes:
        model: the sender of all signals.
        bus: on which they are published.
        data: the shared data.
        total_epochs: how many were asked for; None: unknown, or the run has not begun.
        epoch: the current epoch, 0-based.
        epochs_complete: epochs that have ended in this run.
        votes: the stop votes so far.
        checkpoints: those saved so far.
        problems: what was reported so far.
        minibatches_complete: minibatches of the epochs that have ended.
        has_begun: whether `train_begin` was published, or is being.
        is_in_epoch: whether an epoch has begun and not ended.
        is_ending_epoch: whether `epoch_end` is being published, so that the epoch is not counted yet.
        exit_reason: why the run ended; None while it has not.
        error: the exception that ended it, or None.
        minibatches_per_epoch: minibatches of the current epoch; None where unknown.
        minibatch_cost: what the loop told of the current minibatch.
        resumed_from: absolute path of the checkpoint that the run goes on from, or None.
        is_forced: whether a signal ended the run at once, amid anything, so that its state may not be whole.
        is_being_restored: whether a resumed run is not yet as the checkpoint says.
        run_id: tells this run from all others; a resumed run keeps it.
        feed: where the loop is in its data.
        evaluations: what the callbacks evaluate at the ends of epochs.
        snapshot: see `run_link.RunLink.snapshot`.
        on_checkpoint: is given each checkpoint before `checkpoint_saved` is published.
        rank: 0-based number of this process among those that train together.
        ranks: those of the run; None where this process trains alone.
        train_costs: the costs of all ranks; None where this process trains alone.
        rank_failure: which rank's failure ended a run of several, and why; None where none did.
    """

    def __init__(self, model: object, bus: Bus, data: SharedData, driver: hand_loop.Driver) -> None:
        """Prepare a run that has not begun.

        Args:
            model: the sender of all signals.
            bus: on which they are published.
            data: the shared data.
            driver: takes the six calls that `epochs()` and `minibatches()` make.
        """
        self.model: Any = model
        self.bus = bus
        self.data = data
        self.total_epochs: int | None = None
        self.epoch = 0
        self.epochs_complete = 0
        self.minibatches_complete = 0
        self.minibatches_per_epoch: int | None = None
        self.votes: list[StopVote] = []
        self.checkpoints: list[Checkpoint] = []
        self.problems: list[str] = []
        self.exit_reason: ExitReason | None = None
        self.error: BaseException | None = None
        self.has_begun = False
        self.is_in_epoch = False
        self.is_ending_epoch = False
        self.resumed_from: Path | None = None
        self.is_being_restored = self.is_forced = False
        self.run_id = uuid.uuid4().hex
        self.feed = Feed(model)
        self.evaluations = Evaluations(lambda: self.epoch if self.is_ending_epoch else None)
        self.snapshot: Callable[[int | None], dict[str, Any]]  # set by the run's `life`
        self.on_checkpoint: Callable[[Checkpoint], object] = lambda checkpoint: None
        self.minibatch_begin = HotPath(bus, bus.minibatch_begin)
        self.minibatch_cost = cost = MinibatchCost(model)
        self.minibatch_end = HotPath(
            bus,
            bus.minibatch_end,
            on_look=lambda: data.publish_if_due(before=lambda: cost.settle(wait=False)),
        )
        self.rank = 0
        self.ranks: Ranks | None = None
        self.rank_failure: RankFailure | None = None
        self.train_costs: TrainCosts | None = None
        self._files: dict[Path, tuple[str, object]] = {}
        self._driver = driver
        self._process = os.getpid()
        bus.common.update(callback_data=data, run=self)
        bus.on_change = self.wiring_changed

    # What callbacks and loops ask for (`run_link.RunLink`).

    @property
    def cost(self) -> float | None:
        """Cost of the current minibatch: what the loop set, or else `model.cost.cost`.

        None where the loop sets costs, but none for this minibatch, as when it skips a bad batch.

        Raises:
            CostError: nobody ever set one, or it is not one number.
        """
        return self.minibatch_cost.get()

    @cost.setter
    def cost(self, value: object) -> None:
        self.minibatch_cost.set(value)

    def expect_minibatches(self, minibatches: int) -> None:
        """Note how many minibatches the current epoch is to have; those of the first tell of all."""
        self.minibatches_per_epoch = minibatches
        config = self.data[keys.CONFIG].attrs
        is_first = not self.epochs_complete
        if self.total_epochs is not None and (is_first or keys.TOTAL_MINIBATCHES not in config):
            config[keys.TOTAL_MINIBATCHES] = self.total_epochs * minibatches

    @property
    def epoch_cost(self) -> float | None:
        """Mean of the costs that the loop set in this epoch; None where it set none."""
        return self.minibatch_cost.epoch_mean

    @property
    def epoch_minibatches(self) -> int:
        """Minibatches done in the current epoch."""
        return self.minibatch_end.latest + 1

    @property
    def is_resumed(self) -> bool:
        """Whether the run goes on from a checkpoint."""
        return self.resumed_from is not None

    @property
    def minibatches_done(self) -> int:
        """Minibatches done over all epochs, those of the current one included."""
        is_counted = not (self.is_in_epoch or self.is_ending_epoch)
        return self.minibatches_complete + (0 if is_counted else self.epoch_minibatches)

    @property
    def open_minibatch(self) -> int | None:
        """The minibatch that has begun and not ended, or None."""
        begun = self.minibatch_begin.latest
        return begun if begun > self.minibatch_end.latest else None

    @property
    def is_in_its_process(self) -> bool:
        """Whether this is the process that began, and no forked worker, which closes and saves nothing."""
        return os.getpid() == self._process

    @property
    def is_open(self) -> bool:
        """Whether the run has begun and has not been closed; False in a forked child, which runs nothing."""
        return self.has_begun and self.exit_reason is None and self.is_in_its_process

    def position(self) -> Stamp:
        """Return the current (epoch, minibatch), 0-based; at an epoch's end, its last minibatch."""
        done = self.epoch_minibatches
        return Stamp(self.epoch, done if self.is_in_epoch else max(0, done - 1))

    def request_stop(self, reason: str, author: str = "user", at: Boundary = "minibatch") -> None:
        """Vote to stop the run at the next boundary; it then ends with the reason "stopped".

        Loops that ask only `model.finished`, as neon's fit, stop at the end of the epoch. Of a run of several
        ranks all stop, at a boundary that they agree on.

        Raises:
            RunStateError: the run has not begun, or has ended.
            ConfigurationError: `at` is no boundary.
        """
        if not self.is_open:
            raise RunStateError("request_stop: no run is in progress")
        if at not in get_args(Boundary):
            raise ConfigurationError(f"at={at!r}: expected one of {', '.join(get_args(Boundary))}")
        if self.ranks is None:
            self.adopt(reason, author, at)
        else:
            self.ranks.stops.wish(reason, author, at)

    def adopt(self, reason: str, author: str, at: Boundary) -> None:
        """Vote, and tell loops that ask only `model.finished`."""
        if isinstance(self.model, CanFinish):
            self.model.finished = True
        self.vote(reason, author, at)

    def vote(self, reason: str, author: str, at: Boundary) -> None:
        """Note and publish a vote."""
        self.votes.append(StopVote(reason, author, at, *self.position()))
        self.bus.publish(self.bus.stop_requested, self.model, reason=reason, author=author)

    def should_stop(self, at: Boundary = "minibatch") -> bool:
        """Return whether somebody voted to stop at this boundary; an epoch's end serves every vote."""
        return bool(self.votes) and (at == "epoch" or any(vote.at == "minibatch" for vote in self.votes))

    def claim_file(self, path: str | Path, owner: str, claimant: object) -> None:
        """Make sure that nobody else in this run writes `path`; see `run_link.RunLink.claim_file`."""
        other, holder = self._files.setdefault(expand(path).resolve(), (owner, claimant))
        if holder is not claimant:
            raise ConfigurationError(
                f"{other} and {owner} would both write {str(expand(path))!r}, each over the other: "
                "give one of them another path"
            )

    def share_costs(self, window: Callable[[], deque[float]]) -> None:
        """Have the last costs that a smoothing goes on with be those of all ranks; see `run_link.RunLink`."""
        if self.train_costs is not None:
            self.train_costs.share(window)

    def report(self, problem: str) -> None:
        """Log a problem as an error the first time it occurs, and once more when the run ends."""
        if problem not in self.problems:
            self.problems.append(problem)
            _logger.error("%s", problem)

    def checkpoint_saved(self, path: str) -> None:
        """Note and publish that a checkpoint is on the disk, whole."""
        checkpoint = Checkpoint(path, *self.position())
        self.checkpoints.append(checkpoint)
        self.on_checkpoint(checkpoint)
        self.bus.publish(
            self.bus.checkpoint_saved,
            self.model,
            path=path,
            epoch=checkpoint.epoch,
            minibatch=checkpoint.minibatch,
        )

    def wiring_changed(self) -> None:
        """Have the minibatch signals look anew at who fires when."""
        self.minibatch_begin.invalidate()
        self.minibatch_end.invalidate()

    def force(self) -> None:
        """Note that a signal ends the run at once; may be called amid anything."""
        self.is_forced = True

    # For hand-written loops.

    def epochs(self) -> Generator[int]:
        """Yield each epoch's 0-based index, until all are done or somebody voted to stop."""
        return hand_loop.epochs(self, self._driver)

    def minibatches(self, batches: Iterable[_Batch]) -> Generator[_Batch]:
        """Yield each batch of any iterable, until there are no more or somebody voted to stop."""
        return hand_loop.minibatches(self, self._driver, batches)
