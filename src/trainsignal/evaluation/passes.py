"""One pass over a data set, for one request or several.

An error of a request is that request's alone; one of the model or of the data set ends the pass. Of ranks it
knows only that a data set may be the part of one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trainsignal.abilities import EvaluatesPairs, KnowsOwnSamples
from trainsignal.evaluation.contents import as_before, keep
from trainsignal.evaluation.kinds import TallyKind
from trainsignal.evaluation.minibatches import Minibatch, from_first_sample, is_on_host, minibatches
from trainsignal.evaluation.pair_metrics import pair_metric_tally
from trainsignal.evaluation.pairs import PairCostTally, pair_minibatches
from trainsignal.evaluation.tallies import CostTally, MetricTally

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
    tally: TallyKind
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
    with one_pass(model, requests) as trials:
        return [trial.outcome() for trial in trials]


def tally_kind(model: Any, request: Request) -> TallyKind:
    """Return what computes a request for this model: for one of a framework, it does so from pairs."""
    if isinstance(model, EvaluatesPairs):
        if request.tally is CostTally:
            return PairCostTally
        if request.tally is MetricTally:
            return pair_metric_tally(request.subject)
    return request.tally


@contextlib.contextmanager
def one_pass(model: Any, requests: Sequence[Request], *, is_part: bool = False) -> Generator[list[Trial]]:
    """Show the data set to tallies of all requests, and give these to the `with` block.

    Args:
        model: satisfies `CanInfer`.
        requests: one or more, all on the same data set.
        is_part: whether the data set is one rank's part of a set. It may be empty then, and ends with the
            samples that are its own; the pass does not end before, for other ranks' models may wait for this.

    Raises:
        DataError: the data set yields no minibatch, and is no part.
        Exception: what the model or the data set raises.
    """
    if isinstance(model, EvaluatesPairs):
        with model.evaluating():
            yield _pass_over_pairs(model, requests, is_part=is_part)
    else:
        yield _pass_over_columns(model, requests, is_part=is_part)


def _pass_over_columns(model: Any, requests: Sequence[Request], *, is_part: bool) -> list[Trial]:
    trials = [Trial(model, request) for request in requests]
    batch_size = getattr(getattr(model, "be", None), "bsz", None)
    dataset = requests[0].dataset

    def infer(inputs: Any) -> Any:
        return model.fprop(inputs, inference=True)

    with as_before(model), from_first_sample(dataset):
        coming = minibatches(infer, dataset, batch_size, may_be_empty=is_part)
        gathered = _Gathered()
        while (going_on := _going_on(trials)) or is_part:
            given = next(coming, None)
            if given is None:
                break
            on_host = is_on_host([given.outputs, given.targets])
            gathered.add(given, [one for one in going_on if one.takes_many and on_host])
            _show(given, [one for one in going_on if not (one.takes_many and on_host)])
        gathered.show()
    return trials


def _pass_over_pairs(model: EvaluatesPairs, requests: Sequence[Request], *, is_part: bool) -> list[Trial]:
    """Do the same for a model of a framework."""
    dataset = requests[0].dataset
    own = model.own_samples(dataset) if is_part and isinstance(model, KnowsOwnSamples) else None
    with from_first_sample(dataset):
        trials = [Trial(model, request) for request in requests]
        for given in pair_minibatches(model, dataset, own=own, may_be_empty=is_part):
            going_on = _going_on(trials)
            if not (going_on or is_part):
                break
            _show(given, going_on)
    return trials


def _going_on(trials: Sequence[Trial]) -> list[Trial]:
    return [one for one in trials if one.error is None]


class _Gathered:
    """Minibatches that are shown together, to those that take many: a call costs more than its numbers."""

    def __init__(self) -> None:
        self._parts: list[Minibatch] = []
        self._columns = 0
        self._trials: list[Trial] = []

    def add(self, minibatch: Minibatch, trials: list[Trial]) -> None:
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


class Trial:
    """A request in a pass; its first error is kept, and ends it.

    Attributes:
        error: what it raised; None where nothing.
        takes_many: see `Tally`.
    """

    def __init__(self, model: Any, request: Request) -> None:
        """Make the tally."""
        self.error: Exception | None = None
        self._tally: Any = None
        self._tally = self.attempt(lambda _: tally_kind(model, request)(model, request.subject))
        self.takes_many: bool = self.error is None and self._tally.takes_many

    def add(self, minibatch: Minibatch) -> None:
        """Show it a minibatch."""
        self.attempt(lambda tally: tally.add(minibatch))

    def outcome(self) -> Outcome:
        """Return what became of it."""
        value = self.attempt(lambda tally: tally.value())
        return Outcome(value, self.error)

    def attempt(self, step: Callable[[Any], Any]) -> Any:
        """Return what a step with the tally returns; None where that, or an earlier one, failed."""
        if self.error is not None:
            return None
        try:
            return step(self._tally)
        except Exception as error:  # noqa: BLE001  # raised to who asked: `Outcome.result`
            self.error = error
            return None


def _show(minibatch: Minibatch, trials: Sequence[Trial]) -> None:
    """Give each the minibatch as the model made it: a metric may write into it, as some of neon's do."""
    if len(trials) > 1:
        put_back = keep([minibatch.outputs, minibatch.targets])
        for trial in trials[:-1]:
            trial.add(minibatch)
            put_back()
    for trial in trials[-1:]:
        trial.add(minibatch)
