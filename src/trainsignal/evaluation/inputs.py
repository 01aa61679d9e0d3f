"""The inputs of a data set, for models of either layout; nobody is disturbed by their being read."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator
from typing import Any

from trainsignal.abilities import EvaluatesPairs
from trainsignal.errors import DataError
from trainsignal.evaluation.minibatches import from_first_sample
from trainsignal.evaluation.pairs import pairs
from trainsignal.feed import length_of


@contextlib.contextmanager
def reading(model: Any, dataset: Any) -> Generator[None]:
    """Begin with the first sample inside the `with` block; then put back the data set and what it changed.

    A loader that shuffles takes numbers from its framework's random generators at each iteration.
    """
    evaluating = model.evaluating() if isinstance(model, EvaluatesPairs) else contextlib.nullcontext()
    with evaluating, from_first_sample(dataset):
        yield


def first_inputs(model: Any, dataset: Any, name: str) -> Any:
    """Return the inputs of the first minibatch, as the data set has them; `name` is for the message.

    Raises:
        DataError: there is none, or it is no pair (inputs, targets).
    """
    with reading(model, dataset):
        first = next(pairs(dataset), None)
    if first is None:
        raise DataError(f"{name}: {type(dataset).__name__} yielded no minibatch to search")
    return first[0]


def as_columns(model: Any, inputs: Any) -> Any:
    """Return the inputs of a minibatch as (features, columns)."""
    if not isinstance(model, EvaluatesPairs):
        return inputs
    samples = model.to_host(inputs)
    return samples.reshape(len(samples), -1).T


def column_inputs(model: Any, dataset: Any) -> Iterator[tuple[Any, int, int]]:
    """Yield inputs as (features, columns), how many columns are samples, and how many minibatches there are.

    Called inside `reading`. A data set with neon's layout tells its size in samples; of another all columns
    are samples, and minibatches are counted where it does not tell how many it has.

    Raises:
        DataError: it yields something else than pairs (inputs, targets).
    """
    is_of_pairs = isinstance(model, EvaluatesPairs)
    in_all = _length(dataset) if is_of_pairs else 0
    for minibatch, (inputs, _) in enumerate(pairs(dataset)):
        x = as_columns(model, inputs)
        width = int(x.shape[1])
        if is_of_pairs:
            yield x, width, in_all
        else:
            samples = min(width, dataset.ndata - minibatch * width)
            yield x, samples, math.ceil(dataset.ndata / width)


def _length(dataset: Any) -> int:
    told = length_of(dataset)
    return sum(1 for _ in dataset) if told is None else told
