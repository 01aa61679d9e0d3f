"""What a tally is: it computes one thing in one pass.

It is made when the pass begins, is given each minibatch, and is asked for its value at the end; or for what
it has of it, where the data set is a part of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from trainsignal.abilities import Array
from trainsignal.evaluation.minibatches import Minibatch


class Tally(Protocol):
    """Computes one thing in one pass."""

    @property
    def takes_many(self) -> bool:
        """Whether it may be given several minibatches as one; it then changes nothing in them."""
        ...

    def add(self, minibatch: Minibatch) -> None:
        """Count the samples of a minibatch."""
        ...

    def value(self) -> Any:
        """Return the result, once all minibatches were added."""
        ...


class TallyKind(Protocol):
    """Makes tallies: a class such as `MetricTally`."""

    def __call__(self, model: Any, subject: Any, /) -> Tally:
        """Begin a tally."""
        ...

    def width(self, subject: Any, /) -> int | None:
        """Return how many sums it is made of; None: it gathers states instead."""
        ...


class Summing(Tally, Protocol):
    """A tally whose result is made of sums over the samples, and so of those of several parts of a set."""

    @staticmethod
    def width(subject: Any) -> int:
        """Return how many sums there are, which `subject` alone decides."""
        ...

    def sums(self) -> Array:
        """Return (width,) float64, the weight of the samples last; zeros where there was none."""
        ...

    def value_of(self, sums: Array) -> Any:
        """Return the result of sums, of this part of the set or of all."""
        ...


class Merging(Tally, Protocol):
    """A tally whose result is that of all samples, and of no sums."""

    @staticmethod
    def width(subject: Any) -> None:
        """Return None."""
        ...

    def states(self) -> Mapping[str, Array]:
        """Return what was gathered; empty where there was no sample."""
        ...

    def value_of(self, states: Sequence[Mapping[str, Array]]) -> Any:
        """Return the result of the states of all parts of the set that have a sample, one or more."""
        ...
