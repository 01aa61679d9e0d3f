"""Evaluating models of frameworks: their data sets yield pairs (inputs, targets), samples in the first axis.

What stands here for them stands in `minibatches` and `tallies` for models with neon's layout. Values stay on
their device until the end of the pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, cast

import numpy as np

from trainsignal.abilities import Array, EvaluatesPairs, HasLoss, to_float
from trainsignal.errors import CostError, DataError, MissingAbilityError
from trainsignal.evaluation.contents import is_nested
from trainsignal.evaluation.minibatches import Minibatch


def pairs(dataset: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the minibatches (inputs, targets) of a data set.

    Raises:
        DataError: it yields something else.
    """
    for item in dataset:
        if not is_nested(item) or len(item) != 2:
            size = f" of {len(item)}" if hasattr(item, "__len__") else ""
            raise DataError(
                f"{type(dataset).__name__} yielded a {type(item).__name__}{size}: an evaluation set yields "
                "pairs (inputs, targets). Wrap it in an iterable that does."
            )
        inputs, targets = item
        yield inputs, targets


def pair_minibatches(
    model: EvaluatesPairs, dataset: Iterable[Any], *, own: int | None = None, may_be_empty: bool = False
) -> Iterator[Minibatch]:
    """Yield outputs and targets of a data set, minibatch for minibatch.

    Args:
        model: in evaluation mode.
        dataset: yields pairs (inputs, targets).
        own: so many samples count, the first ones; None: all. The model is shown the others too, for one that
            is spread over ranks computes with all of them.
        may_be_empty: whether it is one rank's part of a set, of which others have samples.

    Raises:
        DataError: it yields something else, or nothing and may not be empty.
    """
    seen = 0
    for inputs, targets in pairs(dataset):
        samples = _samples(targets)
        if not samples:  # a mean over nothing is NaN
            continue
        outputs = model.predict(inputs)
        counted = samples if own is None else min(samples, own - seen)
        if counted < samples:
            outputs, targets = (_first(value, counted, samples) for value in (outputs, targets))
        if counted > 0:
            seen += counted
            yield Minibatch(outputs, targets, slice(0, counted), counted, 1)
    if not (seen or may_be_empty):
        raise DataError(
            f"{type(dataset).__name__} yielded no minibatch to evaluate on: it is empty, or can be iterated "
            "only once"
        )


class PairCostTally:
    """The mean loss of a sample, and the seconds that the pass took."""

    takes_many = False

    def __init__(self, model: HasLoss, clock: Callable[[], float]) -> None:
        """Begin now; `clock`: seconds."""
        self._loss = model.loss
        self._clock = clock
        self._began = clock()
        self._elapsed_s = 0.0
        self._losses: list[tuple[Any, int]] = []  # not added up there: in half precision a sum ends at 65504

    @staticmethod
    def width(subject: Any) -> int:
        """Return 2: loss and samples."""
        return 2

    def add(self, minibatch: Minibatch) -> None:
        """Take the loss of a minibatch.

        Raises:
            CostError: the loss is not one number.
        """
        loss = self._loss(minibatch.outputs, minibatch.targets)
        shape = tuple(getattr(loss, "shape", ()))
        if np.prod(shape, dtype=int) != 1:
            raise CostError(
                f"the loss of a minibatch has the shape {shape}: expected one number, the mean over the "
                'samples. Many losses give it with reduction="mean".'
            )
        self._losses.append((loss, minibatch.samples))

    def sums(self) -> Array:
        """Return the loss of all samples and their number; the pass ends here.

        Raises:
            CostError: the loss is no number.
        """
        try:
            total = sum(to_float(loss) * samples for loss, samples in self._losses)
        except TypeError as error:
            raise CostError(f"the loss of a minibatch is no number: {error}") from error
        self._elapsed_s = self._clock() - self._began
        return np.array([total, sum(samples for _, samples in self._losses)], np.float64)

    def value_of(self, sums: Array) -> tuple[float, float]:
        """Return the mean loss, and the seconds of this pass."""
        return float(sums[0]) / float(sums[1]), self._elapsed_s

    def value(self) -> tuple[float, float]:
        """Return the mean loss, and seconds.

        Raises:
            CostError: the loss is no number.
        """
        return self.value_of(self.sums())


def check_pair_model(model: EvaluatesPairs, *, needs_loss: bool) -> None:
    """Refuse a model that was not told its loss.

    Raises:
        MissingAbilityError: it computes none.
    """
    if needs_loss and not isinstance(model, HasLoss):
        name = type(model).__name__
        raise MissingAbilityError(
            f"LossCallback needs the loss that the model is trained with, which was not given: {name}(..., "
            "loss=...), or leave eval_freq and LossCallback out"
        )


def _samples(targets: Any) -> int:
    """Return the length of the first axis; of several arrays, that of the first.

    Raises:
        DataError: there is none.
    """
    if isinstance(targets, Mapping):
        arrays = list(cast("Mapping[str, Any]", targets).values())
        if not arrays:
            raise _no_samples("an empty dict")
        return _samples(arrays[0])
    # a list of numbers, also NumPy's or those in tensors, has a sample in each
    if is_nested(targets) and targets and getattr(targets[0], "shape", ()):
        return _samples(targets[0])
    if not getattr(targets, "shape", (1,)):  # of a sample alone
        return 1
    if not hasattr(targets, "__len__"):
        raise _no_samples(f"a {type(targets).__name__}")
    return len(targets)


def _no_samples(what: str) -> DataError:
    return DataError(
        f"the targets of a minibatch are {what}: expected an array, or several, with the samples in the "
        "first axis"
    )


def _first(value: Any, counted: int, samples: int) -> Any:
    """Return the first samples of arrays, alone or in lists, tuples and dicts.

    Args:
        value: outputs or targets; what has another length than `samples` is left alone.
        counted: how many to return.
        samples: how many there are.
    """
    if isinstance(value, MutableMapping):
        mapping = copy.copy(cast("MutableMapping[str, Any]", value))  # outputs may have a class of their own
        for name in mapping:
            mapping[name] = _first(mapping[name], counted, samples)
        return mapping
    if is_nested(value) and any(isinstance(one, Mapping) or getattr(one, "shape", ()) for one in value):
        kind = cast("Any", type(value))
        parts = [_first(one, counted, samples) for one in value]
        return kind(*parts) if hasattr(kind, "_fields") else kind(parts)  # _fields: a named tuple
    if getattr(value, "shape", (1,)) and hasattr(value, "__len__") and len(value) == samples:
        return value[:counted]
    return value
