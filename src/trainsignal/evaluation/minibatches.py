"""The minibatches of an evaluation: from the first sample on, each sample counted once.

Knows no loss and no metric.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trainsignal.abilities import HasPosition
from trainsignal.errors import DataError
from trainsignal.evaluation.contents import is_nested

Columns: TypeAlias = slice | npt.NDArray[np.intp]
"""Which columns of a minibatch count: a slice where they are adjacent, else their indices."""


@dataclass(frozen=True, slots=True)
class Minibatch:
    """What the model made of one minibatch, and which of its columns are samples not yet seen.

    Attributes:
        outputs: (features, steps * batch), column = step * batch + sample, as in neon; or a list of such,
            one a branch.
        targets: of the same columns.
        columns: of the samples not yet seen, at every step; the others are wrapped around.
        samples: how many those are.
        steps: of a sequence; 1 where there are none.
    """

    outputs: Any
    targets: Any
    columns: Columns
    samples: int
    steps: int

    def cut(self) -> Minibatch:
        """Return a copy of the columns that count; a model may use its arrays again for the next one."""
        outputs, targets = cut([self.outputs, self.targets], self.columns)
        return Minibatch(outputs, targets, slice(None), self.samples, self.steps)

    @classmethod
    def joined(cls, parts: Sequence[Minibatch]) -> Minibatch:
        """Return minibatches of which all columns count, side by side, as one without steps."""
        outputs, targets = joined([[part.outputs, part.targets] for part in parts])
        columns = sum(part.samples * part.steps for part in parts)
        return cls(outputs, targets, slice(0, columns), columns, 1)


def check_is_dataset(dataset: Any, name: str) -> None:
    """Refuse what yields no minibatches, or yields them once only; `check_not_empty` asks for samples.

    Args:
        dataset: what was given.
        name: of the argument, for the message.

    Raises:
        DataError: it is such a thing.
    """
    if dataset is None or not hasattr(dataset, "__iter__"):
        raise DataError(f"{name}={dataset!r}: expected a data set that yields (inputs, targets) minibatches")
    if hasattr(dataset, "__next__") and not hasattr(dataset, "ndata"):
        raise DataError(
            f"{name}: a {type(dataset).__name__} can be iterated only once, and is evaluated at many epochs: "
            "pass a list, a loader or another object that is iterated anew each time"
        )


def check_evaluation_set(dataset: Any, name: str) -> None:
    """Refuse what cannot be evaluated on by a model with neon's layout.

    Args:
        dataset: what was given.
        name: of the argument, for the message.

    Raises:
        DataError: it yields no minibatches, or does not tell its size.
    """
    if dataset is None or not hasattr(dataset, "__iter__"):
        raise DataError(f"{name}={dataset!r}: expected a data set that yields (inputs, targets) minibatches")
    if not hasattr(dataset, "ndata"):
        kind = type(dataset).__name__
        raise DataError(f"{name}: {kind} does not tell its size; give it an attribute `ndata` (samples)")


def check_not_empty(dataset: Any, name: str) -> None:
    """Refuse a data set that tells that it has no samples.

    Args:
        dataset: what was given.
        name: of the argument, for the message.

    Raises:
        DataError: its `ndata` is less than 1.
    """
    if getattr(dataset, "ndata", 1) < 1:
        raise DataError(f"{name}: {type(dataset).__name__} is empty; evaluating needs at least one sample")


@contextlib.contextmanager
def from_first_sample(dataset: Any) -> Generator[None]:
    """Have iterations inside the `with` block begin with the first sample; then put the data set back.

    So an evaluation on the training set leaves training where it was. A data set without `reset()` begins
    anew by itself, and one that cannot be put back stays where the evaluation left it.
    """
    placed: HasPosition | None = dataset if isinstance(dataset, HasPosition) else None
    position = None if placed is None else placed.state_dict()
    reset: Callable[[], object] | None = getattr(dataset, "reset", None)
    if reset is not None:
        reset()
    try:
        yield
    finally:
        if placed is not None and position is not None:
            placed.load_state_dict(position)


def minibatches(
    infer: Callable[[Any], Any], dataset: Any, batch_size: int | None = None, *, may_be_empty: bool = False
) -> Iterator[Minibatch]:
    """Yield outputs and targets of a data set, minibatch for minibatch, until each sample was seen.

    Args:
        infer: gives the outputs for inputs.
        dataset: an `EvaluationSet`, in the state in which `from_first_sample` puts it. Its `batch_size` is
            how many columns one step has; without one, the argument is; without either, all columns are
            one step.
        batch_size: that of the model, as neon's `model.be.bsz`; None where it has none.
        may_be_empty: whether it is one rank's part of a set, of which others have samples.

    Raises:
        DataError: the data set yields no minibatch and may not be empty, or yields one whose columns are not
            whole steps.
    """
    nominal: int | None = getattr(dataset, "batch_size", batch_size)
    seen = 0
    for inputs, targets in dataset:
        if seen >= dataset.ndata:
            break
        outputs = infer(inputs)
        minibatch = _counted(outputs, targets, nominal, dataset.ndata - seen)
        seen += minibatch.samples
        yield minibatch
    if not (seen or may_be_empty):
        raise DataError(f"{type(dataset).__name__} yielded no minibatch to evaluate on")


def _counted(outputs: Any, targets: Any, nominal: int | None, left: int) -> Minibatch:
    """Return the minibatch with the columns that count; `left`: samples of the data set not yet seen."""
    first = outputs
    while is_nested(first):
        first = first[0]
    total = int(first.shape[-1])
    batch = min(nominal or total, total)  # the last minibatch may be short instead of wrapped around
    steps, rest = divmod(total, batch)
    if rest:
        raise DataError(
            f"a minibatch gave {total} columns, which are no whole steps of {batch} samples. Give the data "
            "set the `batch_size` that it has."
        )
    samples = min(batch, left)
    columns: Columns = slice(0, steps * samples)
    if samples < batch and steps > 1:
        columns = (np.arange(steps)[:, np.newaxis] * batch + np.arange(samples)).reshape(-1)
    return Minibatch(outputs, targets, columns, samples, steps)


def is_on_host(value: Any) -> bool:
    """Return whether there are NumPy arrays only, in lists however nested."""
    if is_nested(value):
        return all(is_on_host(item) for item in value)
    return isinstance(value, np.ndarray)


def cut(value: Any, columns: Columns) -> Any:
    """Return a copy of the columns; a model may use its arrays again for the next minibatch."""
    if is_nested(value):
        return [cut(item, columns) for item in value]
    return value[..., columns].copy()


def joined(parts: list[Any]) -> Any:
    """Return the minibatches side by side."""
    if is_nested(parts[0]):
        return [joined([part[branch] for part in parts]) for branch in range(len(parts[0]))]
    return np.concatenate(parts, axis=-1)
