"""How far the loop is in its data: which iterables it took minibatches from in this epoch, and how many.

Puts them back to there in a resumed run. Publishes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, cast

from trainsignal import random_state
from trainsignal.abilities import HasPosition

_logger = logging.getLogger(__name__)

_Batch = TypeVar("_Batch")

EMPTY_FEED: Final[Mapping[str, Any]] = MappingProxyType({"begun": 0, "sources": ()})
"""State of a feed of which the next epoch begins with the first minibatch."""


@dataclass(slots=True)
class Source:
    """One iterable of minibatches, in one epoch.

    Attributes:
        batches: the iterable.
        random_before: the random generators before it was iterated, which may decide on its order.
        served: minibatches of this epoch that were taken from it.
        is_exhausted: whether it had no more.
        is_left: whether the loop let go of it before that.
        left_at: position at which the loop let go of it; an iterable may forget it then.
    """

    batches: Iterable[Any]
    random_before: dict[str, Any]
    served: int = 0
    is_exhausted: bool = False
    is_left: bool = False
    left_at: Any = None

    def position(self) -> Any:
        """Return where the iterable itself says that it is; None where it cannot."""
        return self.batches.state_dict() if isinstance(self.batches, HasPosition) else None

    def state(self, *, is_cut: bool = False) -> dict[str, Any]:
        """Return the position as plain values.

        Args:
            is_cut: if the loop let go of it, then because of an error or a vote to stop: there is more to do.
        """
        return {
            "position": self.left_at if is_cut and self.left_at is not None else self.position(),
            "random_before": self.random_before,
            "served": self.served,
            "is_done": self.is_exhausted or (self.is_left and not is_cut),
        }


class Feed:
    """What a loop takes its minibatches through, so that their position is known and can be put back.

    An iterable with `state_dict()` and `load_state_dict()` is put back by these; any other is iterated anew,
    with the random numbers that it had, up to where it was.

    Args:
        model: whose framework's random generators count too.

    Attributes:
        is_used: whether the loop has asked for minibatches through this in the current epoch.
        is_refused: whether it was given none, because of a vote to stop.
    """

    def __init__(self, model: object) -> None:
        self.is_used = self.is_refused = False
        self._model = model
        self._sources: list[Source] = []  # of this epoch, in the order in which they are used
        self._earlier: list[Source] = []  # of the epochs before
        self._saved: list[dict[str, Any]] = []  # what sources are to be put back to, in the same order
        self._restored = 0  # how many have been
        self._begun = 0  # how many had been begun in the epoch that was cut short
        self._random: dict[str, Any] = {}
        self._has_warned = False

    def state_dict(self, *, is_within: bool, is_cut: bool = False) -> dict[str, Any]:
        """Return the positions of all sources, those included that this epoch has not come to yet.

        Args:
            is_within: whether the epoch goes on.
            is_cut: whether an error or a vote to stop has ended the loop, and not the loop itself by `break`.
        """
        begun = len(self._sources)
        states = [source.state() for source in self._sources[:-1]]
        states += [source.state(is_cut=is_within and is_cut) for source in self._sources[-1:]]
        states += [source.state() for source in self._earlier[begun:]]
        states += self._saved[max(len(states), self._restored) :]
        return {"begun": begun if is_within else 0, "sources": states}

    def load_state_dict(self, state: Mapping[str, Any], random: dict[str, Any]) -> None:
        """Have the next epoch begin where `state`, from `state_dict`, says.

        Args:
            state: the positions.
            random: the random generators at that moment.
        """
        self._saved, self._restored = list(state["sources"]), 0
        self._begun, self._random = state["begun"], random

    def begin_anew(self) -> None:
        """Forget where `load_state_dict` said that the next epoch begins."""
        self.load_state_dict(EMPTY_FEED, {})

    @property
    def is_exhausted(self) -> bool:
        """Whether the iterable that was used last in this epoch had no more."""
        return bool(self._sources) and self._sources[-1].is_exhausted

    def new_epoch(self) -> None:
        """Begin an epoch: its sources are counted anew."""
        self._earlier = [*self._sources, *self._earlier[len(self._sources) :]]
        self._sources, self.is_used, self.is_refused = [], False, False

    def warn_of_empty_epoch(self, epoch: int) -> None:
        """Log, once in a run, that the loop got no minibatch in an epoch (0-based)."""
        if not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "epoch %d had no minibatch: what run.minibatches(...) was given is empty, or can be iterated "
                "only once, as a generator. Make the iterable anew in each epoch.",
                epoch,
            )

    def warn_of_unheard_minibatches(self, epoch: int) -> None:
        """Log, once in a run, that the loop set costs and told of no minibatch in an epoch (0-based)."""
        if not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "run.cost was set in epoch %d, which had no minibatch that anybody heard of: take them "
                "through run.minibatches(loader), as `for x, y in run.minibatches(loader):`.",
                epoch,
            )

    def place(self, batches: Iterable[Any]) -> int:
        """Put the iterable that will be served next back to where it was, so that it tells its length.

        Returns:
            How many of its minibatches of this epoch are done.
        """
        self.is_used = True
        saved = self._next_saved()
        if saved is None:
            return 0
        if saved["position"] is not None and isinstance(batches, HasPosition):
            batches.load_state_dict(saved["position"])
        return int(saved["served"]) if len(self._sources) < self._begun else 0

    def serve(self, batches: Iterable[_Batch]) -> Generator[_Batch]:
        """Yield the minibatches of an iterable that are still to be done in this epoch."""
        done, saved = self.place(batches), self._next_saved()
        source = Source(batches, random_state.capture(self._model), done)
        self._sources.append(source)
        remaining = iter(batches) if saved is None else self._resumed(source, saved)
        for batch in remaining:
            source.served += 1
            try:
                yield batch
            except GeneratorExit:  # the loop was left, also by an error: the iterable still knows where it is
                source.is_left, source.left_at = True, source.position()
                raise
        source.is_exhausted = True

    def _next_saved(self) -> dict[str, Any] | None:
        index = len(self._sources)
        return self._saved[index] if self._restored <= index < len(self._saved) else None

    def _resumed(self, source: Source, saved: dict[str, Any]) -> Iterator[Any]:
        """Return what is left of an iterable that was used before the run was cut short."""
        self._restored = len(self._sources)
        if self._restored > self._begun:  # not in the epoch that was cut short
            return iter(source.batches)
        is_done = saved["is_done"]
        source.random_before = saved["random_before"]
        random_state.restore(source.random_before, self._model)
        has_position = saved["position"] is not None and isinstance(source.batches, HasPosition)
        remaining = iter(()) if has_position and is_done else iter(source.batches)
        for _ in range(0 if has_position else source.served):
            next(remaining, None)
        if self._restored == self._begun:
            random_state.restore(self._random, self._model)
        return iter(()) if is_done else remaining


class Served(Generic[_Batch]):
    """An iterable of minibatches, each iteration of which goes through a feed.

    Args:
        feed: of the run.
        batches: the iterable itself.
    """

    def __init__(self, feed: Feed, batches: Iterable[_Batch]) -> None:
        self._feed = feed
        self._batches = batches

    def __len__(self) -> int:
        """Return how many minibatches an epoch has.

        Raises:
            TypeError: the iterable does not tell.
        """
        return len(cast("Sized", self._batches))

    def __iter__(self) -> Generator[_Batch]:
        """Yield the minibatches of one epoch that are still to be done."""
        return self._feed.serve(self._batches)


def length_of(batches: Iterable[object]) -> int | None:
    """Return how many minibatches an iterable has; None where nobody knows."""
    if not isinstance(batches, Sized):
        return None
    try:
        return len(batches)
    except (TypeError, NotImplementedError):  # as PyTorch's DataLoader over an IterableDataset
        return None
