"""What the model's loops ask of the objects that a user hands them: data set, callbacks, metric."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Protocol, runtime_checkable

import numpy.typing as npt

from trainsignal.models.numpy_net.arrays import Floats, Shape

Minibatch = tuple[Floats, Floats]
"""Inputs and targets, (features, columns) float32 each."""


class DataSet(Protocol):
    """Minibatches of (inputs, targets), (features, columns) float32 each."""

    @property
    def ndata(self) -> int:
        """Number of samples; columns beyond it in the last minibatch are not counted in an evaluation."""
        ...

    @property
    def nbatches(self) -> int:
        """Number of minibatches that the next iteration yields."""
        ...

    @property
    def shape(self) -> Shape:
        """Shape of one sample."""
        ...

    def reset(self) -> None:
        """Have the next iteration begin with the first sample."""
        ...

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield the minibatches of one epoch."""
        ...


class FitCallbacks(Protocol):
    """neon's six calls: all that `Model.fit` uses of its `callbacks`. Indices are 0-based."""

    def on_train_begin(self, epochs: int, /) -> None:
        """Training begins; `epochs` is the total over all fits."""
        ...

    def on_epoch_begin(self, epoch: int, /) -> None:
        """An epoch begins."""
        ...

    def on_minibatch_begin(self, epoch: int, minibatch: int, /) -> None:
        """A minibatch, counted within its epoch, begins."""
        ...

    def on_minibatch_end(self, epoch: int, minibatch: int, /) -> None:
        """The parameters are updated."""
        ...

    def on_epoch_end(self, epoch: int, /) -> None:
        """An epoch ends; `model.total_cost` is its mean cost."""
        ...

    def on_train_end(self) -> None:
        """Training ends without an error."""
        ...


@runtime_checkable
class CanStop(Protocol):
    """Callbacks that may end training before the next minibatch."""

    def should_stop(self) -> bool:
        """Whether training is to end now."""
        ...


@runtime_checkable
class CanServe(Protocol):
    """Callbacks through which the minibatches are taken, so that training can be resumed within an epoch."""

    def serve(self, dataset: DataSet, /) -> Iterable[Minibatch]:
        """Return what yields the minibatches that are still to be done, one epoch an iteration."""
        ...


@runtime_checkable
class CanClose(Protocol):
    """Callbacks that are a context manager, and so are closed when training raises."""

    def __enter__(self) -> object:
        """Open."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Close."""
        ...


class ColumnMetric(Protocol):
    """A metric as `Model.eval` calls it: those of `metrics`, or a neon user's own."""

    def __call__(self, outputs: Floats, targets: Floats, /, *, calcrange: slice) -> npt.ArrayLike:
        """Return the mean of each value over the columns in `calcrange`."""
        ...
