"""Data sets in memory, served in minibatches as neon's `ArrayIterator` serves them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.numpy_net.arrays import Floats, Shape, feature_count
from trainsignal.tensor import HostTensor


class ArrayIterator:
    """Minibatches of `batch_size` columns from an array with one sample a row.

    Every minibatch is full: the last one of an epoch goes on with the first samples, and the next epoch
    begins after those, so that each sample is used equally often. For that reason `nbatches` varies from
    epoch to epoch (1,000 samples in batches of 32: 32, 31, 31, 31, 32, ...). `reset` makes the next epoch
    begin with the first sample.

    Unlike neon's, the next epoch also begins with the first sample after one that came out even; neon would
    leave out the samples before `start` from then on.

    Args:
        X: (samples, features) numbers; images flattened as (channels, height, width).
        y: labels, (samples,) or (samples, 1) integers from 0 to nclass - 1; with `make_onehot=False` numbers,
            (samples,) or (samples, targets). None makes the inputs the targets, as an autoencoder needs.
        nclass: number of classes; needed to make labels one-hot.
        lshape: shape of one sample, such as (1, 28, 28), where a layer needs to know; None means flat.
        make_onehot: turn labels into one-hot columns.
        name: what descriptions call the data set.
        batch_size: number of columns of each minibatch; may exceed the number of samples.

    Raises:
        ConfigurationError: labels without `nclass`.
        DataError: X is empty, no numbers or not 2-D; X and y differ in length; a label is no integer within
            range; `lshape` does not fit; `batch_size` is less than 1.
    """

    def __init__(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike | None = None,
        nclass: int | None = None,
        lshape: tuple[int, ...] | None = None,
        make_onehot: bool = True,
        name: str | None = None,
        *,
        batch_size: int = 32,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size={batch_size!r}: a minibatch holds at least one sample.")
        self._inputs = _inputs(X)
        self.ndata: int
        self.ndata, features = self._inputs.shape
        self.shape: Shape = features if lshape is None else tuple(lshape)
        if feature_count(self.shape) != features:
            raise DataError(
                f"lshape={lshape!r} holds {feature_count(self.shape)} features, each row of X {features}. "
                "Give the lshape of one sample, or None."
            )
        self._labels: npt.NDArray[np.intp] | None = None
        self._targets: Floats = self._inputs
        if y is not None and make_onehot:
            self._labels = _labels(y, nclass, self.ndata)
        elif y is not None:
            self._targets = _targets(y, self.ndata)
        self.nclass = nclass
        self.name = name
        self.batch_size = batch_size
        self.start = 0
        """0-based index of the sample that the next epoch begins with."""
        self._done = 0  # minibatches of the epoch in progress
        self._first = 0  # minibatch that the next iteration begins with

    @property
    def nbatches(self) -> int:
        """Number of minibatches of the epoch that begins at `start`."""
        return math.ceil((self.ndata - self.start) / self.batch_size)

    def reset(self) -> None:
        """Have the next epoch begin with the first sample."""
        self.start = self._done = self._first = 0

    def state_dict(self) -> dict[str, Any]:
        """Return the sample that the epoch begins with, and how many of its minibatches are done."""
        return {"start": self.start, "minibatch": self._done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where `state`, from `state_dict`, says: the next iteration goes on within that epoch.

        An iteration that is in progress goes on as if nothing had happened.
        """
        self.start = int(state["start"])
        self._done = self._first = int(state["minibatch"])

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield (inputs, targets) of one epoch, (features, batch_size) and (targets, batch_size) float32."""
        start, minibatches = self.start, self.nbatches
        begun_with, self._first = self._first, 0
        try:
            for minibatch in range(begun_with, minibatches):
                first = start + minibatch * self.batch_size
                rows = np.arange(first, first + self.batch_size) % self.ndata
                inputs, targets = np.ascontiguousarray(self._inputs[rows].T), self._target_columns(rows)
                self._done = minibatch + 1
                yield inputs.view(HostTensor), targets.view(HostTensor)
            self.start = (start + minibatches * self.batch_size) % self.ndata
        finally:  # an iteration that was abandoned is not gone on with
            self._done = self._first = 0

    def _target_columns(self, rows: npt.NDArray[np.intp]) -> Floats:
        if self._labels is None or self.nclass is None:
            return np.ascontiguousarray(self._targets[rows].T)
        onehot = np.zeros((self.nclass, len(rows)), np.float32)
        onehot[self._labels[rows], np.arange(len(rows))] = 1
        return onehot


def _array(values: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise DataError(
            f"{name} cannot be made an array: {error}. Give each sample equally many numbers."
        ) from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} has dtype {array.dtype}; convert it to numbers first.")
    return array


def _inputs(X: npt.ArrayLike) -> Floats:
    array = _array(X, "X")
    if array.ndim != 2:
        raise DataError(
            f"X has shape {array.shape}, expected (samples, features). "
            "Flatten each sample: X.reshape(len(X), -1); say its shape by lshape."
        )
    if array.size == 0:
        raise DataError(f"X has shape {array.shape}: there is nothing to train or evaluate on.")
    return array.astype(np.float32, copy=False)


def _labels(y: npt.ArrayLike, nclass: int | None, ndata: int) -> npt.NDArray[np.intp]:
    if nclass is None:
        raise ConfigurationError(
            "labels y without nclass: pass the number of classes, or make_onehot=False if y holds targets."
        )
    labels = _array(y, "y")
    if labels.shape not in ((ndata,), (ndata, 1)):
        raise DataError(f"y has shape {labels.shape}, expected one label a row of X: ({ndata},).")
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"y has dtype {labels.dtype}, expected integer labels. "
            "Convert them (y.astype(int)), or pass make_onehot=False if y holds targets."
        )
    labels = labels.reshape(-1)
    wrong = np.flatnonzero((labels < 0) | (labels >= nclass))
    if len(wrong):
        raise DataError(
            f"y[{wrong[0]}] is {labels[wrong[0]]}, expected labels from 0 to {nclass - 1}, "
            f"as nclass={nclass!r}. Raise nclass or renumber the labels."
        )
    return labels.astype(np.intp, copy=False)


def _targets(y: npt.ArrayLike, ndata: int) -> Floats:
    targets = _array(y, "y")
    if targets.ndim not in (1, 2) or len(targets) != ndata:
        raise DataError(
            f"y has shape {targets.shape}, expected one row of targets for each row of X: "
            f"({ndata},) or ({ndata}, targets)."
        )
    return targets.reshape(ndata, -1).astype(np.float32, copy=False)
