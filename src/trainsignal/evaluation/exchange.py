"""Evaluating over the ranks of a run: each its own part of the data sets, and all get the whole's values.

Whatever goes wrong on a rank, it takes part in what the others wait for: it gives NaN, and keeps its error.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from trainsignal.abilities import Array, EvaluatesPairs
from trainsignal.errors import DataError
from trainsignal.evaluation.metrics import check_values, names_of
from trainsignal.evaluation.passes import Outcome, Request, Trial, one_pass, tally_kind


class Exchange(Protocol):
    """The ranks of a run; all call the same in the same order.

    Described here, and not in `distributed`, which lies above; its `Together` is one.
    """

    def sum(self, values: Array) -> Array:
        """Return the sums over all ranks of (n,) float64; n is at least 1 and the same on all."""
        ...

    def gather(self, content: bytes) -> list[bytes]:
        """Return the contents of all ranks, by rank; each rank holds the longest one's size for each rank."""
        ...


class Alone:
    """One rank for itself."""

    def sum(self, values: Array) -> Array:
        """Return the values."""
        return values

    def gather(self, content: bytes) -> list[bytes]:
        """Return the content."""
        return [content]


@dataclass(slots=True)
class _Share:
    """What this rank gives for a request.

    Attributes:
        request: the request.
        width: see `tallies.TallyKind`.
        trial: what will make the result; None where nothing was evaluated.
        error: what went wrong.
        sums: (width,) float64; NaN after an error.
        states: of a request without a width; None after an error.
    """

    request: Request
    width: int | None
    trial: Trial | None = None
    error: Exception | None = None
    sums: Array = field(default_factory=lambda: np.empty(0))
    states: Mapping[str, Array] | None = None

    def __post_init__(self) -> None:
        if self.width is not None:
            self.sums = np.full(self.width, np.nan)

    def fail(self, error: Exception) -> None:
        """Give nothing but NaN, because of this error."""
        self.error, self.states = error, None
        self.sums = np.full(len(self.sums), np.nan)

    def take(self, trial: Trial) -> None:
        """Take over what a pass has given."""
        self.trial = trial
        if self.width is None:
            self.states = trial.attempt(lambda tally: tally.states())
        else:
            sums = trial.attempt(lambda tally: _checked(tally.sums(), self.width, self.request.subject))
            self.sums = self.sums if sums is None else sums
        self.error = trial.error

    def outcome(self, given: Any, weight: float) -> Outcome:
        """Return what became of the request on all ranks.

        Args:
            given: sums or states of all ranks; None where a rank has no states to give.
            weight: of the samples of all ranks; NaN after an error of one.
        """
        if self.error is not None or self.trial is None:
            return Outcome(error=self.error)
        if weight == 0:
            name = type(self.request.dataset).__name__
            return Outcome(error=DataError(f"{name} yielded no minibatch to evaluate on, on any rank"))
        if given is None:
            return Outcome(np.full(len(names_of(self.request.subject)), np.nan, np.float32))
        value = self.trial.attempt(lambda tally: tally.value_of(given))
        return Outcome(value, self.trial.error)


def exchanged(
    exchange: Exchange, model: Any, requests: Sequence[Request], riders: Array
) -> tuple[list[Outcome], Array]:
    """Return what became of each request on the parts of all ranks, and the sums of the riders.

    Makes one pass for each data set, then at most one sum and one gather. No error but those of the exchange
    comes out of it.

    What has no width, as a metric of torchmetrics, is gathered: for a while each rank holds as many states as
    there are ranks, each as long as the longest. That is little for counts, but much for a metric that keeps
    all predictions: 8 ranks of 100,000 samples and 10 scores in float32 are 32 MB on each, 64 ranks 256 MB.

    Args:
        exchange: the ranks.
        model: satisfies `CanInfer`.
        requests: the same on all ranks, in the same order; on any data sets.
        riders: (k,) float64, summed along; k may be 0.
    """
    shares = _without_results(model, requests)
    for dataset in {id(one.request.dataset): one.request.dataset for one in shares}.values():
        _evaluate(model, [one for one in shares if one.request.dataset is dataset])
    return _exchange(exchange, model, shares, riders)


def pass_by(exchange: Exchange, model: Any, requests: Sequence[Request]) -> None:
    """Take part in what other ranks may ask for, and this one does not."""
    _exchange(exchange, model, _without_results(model, requests), np.empty(0))


def _without_results(model: Any, requests: Sequence[Request]) -> list[_Share]:
    return [_Share(one, tally_kind(model, one).width(one.subject)) for one in requests]


def _evaluate(model: Any, shares: Sequence[_Share]) -> None:
    """Pass over the data set of the shares; an error of it, or of the model, is that of each."""
    try:
        with one_pass(model, [one.request for one in shares], is_part=True) as trials:
            for share, trial in zip(shares, trials, strict=True):
                share.take(trial)
    except Exception as error:  # noqa: BLE001  # raised to who asked: `Outcome.result`
        for share in shares:
            share.fail(error)


def _exchange(
    exchange: Exchange, model: Any, shares: Sequence[_Share], riders: Array
) -> tuple[list[Outcome], Array]:
    """Exchange what this rank has, and make the results of it."""
    mine = np.concatenate([*(share.sums for share in shares), riders])
    total = exchange.sum(mine) if mine.size else mine
    gathered: list[Mapping[int, Mapping[str, Array]]] = []
    if any(share.width is None for share in shares):
        packed = _packed({place: one.states for place, one in enumerate(shares) if one.states is not None})
        gathered = [_unpacked(content) for content in exchange.gather(packed)]
    outcomes: list[Outcome] = []
    at = 0
    with model.evaluating() if isinstance(model, EvaluatesPairs) else nullcontext():
        for place, share in enumerate(shares):
            if share.width is None:
                outcomes.append(_merged(share, [of_rank.get(place) for of_rank in gathered]))
            else:
                sums = total[at : at + share.width]
                at += share.width
                outcomes.append(share.outcome(sums, sums[-1]))
    return outcomes, total[at:]


def _merged(share: _Share, states: Sequence[Mapping[str, Array] | None]) -> Outcome:
    """Return the outcome of the states of all ranks; an empty one has no samples, and None is an error."""
    given = [one for one in states if one]
    if None in states:
        return share.outcome(None, np.nan)
    return share.outcome(given, len(given))


def _checked(sums: Array, width: int | None, subject: Any) -> Array:
    """Refuse sums of another number than the other ranks expect.

    Raises:
        ConfigurationError: the metric has another number of values than names.
    """
    if len(sums) != width:
        check_values(subject, len(sums) - 1)
    return sums


def _packed(states: Mapping[int, Mapping[str, Array]]) -> bytes:
    """Return the states by the place of their request, as bytes for the other ranks; nothing is pickled."""
    arrays = {f"{place}/{name}": array for place, one in states.items() for name, array in one.items()}
    places = np.array(list(states), np.int64)
    buffer = io.BytesIO()
    save: Callable[..., None] = np.savez  # as declared, no array may have a name
    save(buffer, places=places, **arrays)
    return buffer.getvalue()


def _unpacked(content: bytes) -> dict[int, dict[str, Array]]:
    """Return what `_packed` made the bytes of."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        states: dict[int, dict[str, Array]] = {int(place): {} for place in arrays["places"]}
        for key in arrays.files:
            place, _, name = key.partition("/")
            if name:
                states[int(place)][name] = arrays[key]
    return states
