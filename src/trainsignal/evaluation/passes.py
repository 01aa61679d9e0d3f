"""One pass over a data set, for one request or several.

An error of a request is that request's alone; one of the model or of the data set ends the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from trainsignal.abilities import EvaluatesPairs
from trainsignal.evaluation.contents import as_before, keep
from trainsignal.evaluation.minibatches import Minibatch, from_first_sample, is_on_host, minibatches
from trainsignal.evaluation.pairs import PairCostTally, PairMetricTally, pair_minibatches
from trainsignal.evaluation.tallies import CostTally, MetricTally, Tally

COLUMNS_AT_ONCE: Final = 4096
"""So many columns or a few more are shown together; their numbers stay in the processor's cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """What a callback wants to know of a data set.

    Attributes:
        dataset: an `EvaluationSet`.
        tally: what is computed, such as `MetricTally`.
        subject: what the tally needs beside the model, such as the metric.
    """

    dataset: Any
    tally: Callable[[Any, Any], Tally]
    subject: Any

    def is_same(self, other: Request) -> bool:
        """Return whether `other` asks for the same of the same objects."""
        return self.dataset is other.dataset and self.tally is other.tally and self.subject is other.subject


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a request: a value, or an error."""

    value: Any = None
    error: Exception | None = None

    def result(self) -> Any:
        """Return the value.

        Raises:
            Exception: what the request failed with.
        """
        if self.error is not None:
            raise self.error
        return self.value


def evaluate(model: Any, requests: Sequence[Request]) -> list[Outcome]:
    """Return what became of each request, after one pass over the data set that they share.

    The model and the data set are afterwards as they were: see `as_before` and `from_first_sample`.

    Args:
        model: satisfies `CanInfer`.
        requests: one or more, all on the same data set.

    Raises:
        DataError: the data set yields no minibatch.
        Exception: what the model or the data set raises.
    """
    dataset = requests[0].dataset
    if isinstance(model, EvaluatesPairs):
        return _evaluate_pairs(model, requests)
    trials = [_Trial(model, request.tally, request.subject) for request in requests]
    batch_size = getattr(getattr(model, "be", None), "bsz", None)

    def infer(inputs: Any) -> Any:
        return model.fprop(inputs, inference=True)

    with as_before(model), from_first_sample(dataset):
        coming = minibatches(infer, dataset, batch_size)
        gathered = _Gathered()
        while (going_on := [one for one in trials if one.error is None]) and (given := next(coming, None)):
            on_host = is_on_host([given.outputs, given.targets])
            gathered.add(given, [one for one in going_on if one.takes_many and on_host])
            _show(given, [one for one in going_on if not (one.takes_many and on_host)])
        gathered.show()
    return [trial.outcome() for trial in trials]


def _evaluate_pairs(model: EvaluatesPairs, requests: Sequence[Request]) -> list[Outcome]:
    """Do the same for a model of a framework."""
    dataset = requests[0].dataset
    with model.evaluating(), from_first_sample(dataset):
        trials = [_Trial(model, _OF_PAIRS.get(one.tally, one.tally), one.subject) for one in requests]
        for given in pair_minibatches(model, dataset):
            going_on = [one for one in trials if one.error is None]
            if not going_on:
                break
            _show(given, going_on)
        return [trial.outcome() for trial in trials]


_OF_PAIRS: Mapping[Any, Callable[[Any, Any], Tally]] = MappingProxyType(
    {CostTally: PairCostTally, MetricTally: PairMetricTally}
)
"""What computes the same from pairs."""


class _Gathered:
    """Minibatches that are shown together, to those that take many: a call costs more than its numbers."""

    def __init__(self) -> None:
        self._parts: list[Minibatch] = []
        self._columns = 0
        self._trials: list[_Trial] = []

    def add(self, minibatch: Minibatch, trials: list[_Trial]) -> None:
        """Keep the columns of a minibatch that count, for these; show what there is once it is enough."""
        if not trials:
            return
        self._trials = trials
        self._parts.append(minibatch.cut())
        self._columns += minibatch.samples * minibatch.steps
        if self._columns >= COLUMNS_AT_ONCE:
            self.show()

    def show(self) -> None:
        """Show what there is."""
        if not self._parts:
            return
        together = Minibatch.joined(self._parts)
        for trial in self._trials:
            trial.add(together)
        self._parts, self._columns = [], 0


class _Trial:
    """A request in a pass; its first error is kept, and ends it."""

    def __init__(self, model: Any, tally: Callable[[Any, Any], Tally], subject: Any) -> None:
        self.error: Exception | None = None
        self._tally: Any = self._attempt(lambda: tally(model, subject))
        self.takes_many = self.error is None and self._tally.takes_many

    def add(self, minibatch: Minibatch) -> None:
        self._attempt(lambda: self._tally.add(minibatch))

    def outcome(self) -> Outcome:
        value = self._attempt(self._tally.value) if self.error is None else None
        return Outcome(value, self.error)

    def _attempt(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except Exception as error:  # noqa: BLE001  # raised to who asked: `Outcome.result`
            self.error = error
            return None


def _show(minibatch: Minibatch, trials: Sequence[_Trial]) -> None:
    """Give each the minibatch as the model made it: a metric may write into it, as some of neon's do."""
    if len(trials) > 1:
        put_back = keep([minibatch.outputs, minibatch.targets])
        for trial in trials[:-1]:
            trial.add(minibatch)
            put_back()
    for trial in trials[-1:]:
        trial.add(minibatch)
