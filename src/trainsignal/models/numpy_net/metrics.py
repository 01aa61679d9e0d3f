"""Metrics with neon's names: the mean of each value over the columns of a minibatch.

Each is called as `metric(outputs, targets, calcrange)` with arrays (classes, columns), targets one-hot, and
gives one number for each of `metric_names`; `calcrange` is the slice of columns that count. `directions` says
of each name whether lower ("min") or higher ("max") is better. No metric changes what it is given.

A network that diverged gets no class right: a column whose largest output is NaN or infinite predicts none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.arrays import Floats, check_same_shape, safe_log

Direction = Literal["min", "max"]
EVERY_COLUMN = slice(0, None)


class Metric(ABC):
    """One or more values computed from outputs and targets.

    Attributes:
        averages_columns: whether each value is the mean over the columns of something that each column has by
            itself, so that many minibatches may be looked at together. Each class says so for itself.

    Args:
        directions: "min" or "max" for each value's name, in the order of the values.
    """

    averages_columns: ClassVar[bool] = False

    def __init__(self, directions: dict[str, Direction]) -> None:
        self.metric_names = list(directions)
        self.directions = directions

    def __call__(self, outputs: Floats, targets: Floats, calcrange: slice = EVERY_COLUMN) -> Floats:
        """Return (values,) float32.

        Raises:
            DataError: the shapes of outputs and targets differ.
        """
        check_same_shape(outputs, targets)
        with np.errstate(invalid="ignore"):  # of infinite outputs: the value is NaN, which tells
            return self._values(np.asarray(outputs)[:, calcrange], np.asarray(targets)[:, calcrange])

    @abstractmethod
    def _values(self, outputs: Floats, targets: Floats) -> Floats:
        """Return the (values,) of columns that all count."""


class Misclassification(Metric):
    """Share of the columns whose largest output is not of the target's class."""

    averages_columns = True

    def __init__(self) -> None:
        super().__init__({"Top1Misclass": "min"})

    def _values(self, outputs: Floats, targets: Floats) -> Floats:
        return np.array([1 - _is_right(outputs, targets).mean()], np.float32)


class Accuracy(Metric):
    """Share of the columns whose largest output is of the target's class."""

    averages_columns = True

    def __init__(self) -> None:
        super().__init__({"Accuracy": "max"})

    def _values(self, outputs: Floats, targets: Floats) -> Floats:
        return np.array([_is_right(outputs, targets).mean()], np.float32)


class TopKMisclassification(Metric):
    """Logistic loss, and shares of the columns whose class is not the best and not one of the best `k`.

    Classes with equal outputs share the places that are left, as in neon: of three that tie for the first
    place, each has it with probability 1/3. The loss of a network that diverged is NaN.

    Args:
        k: number of classes, 1 or more.

    Raises:
        ConfigurationError: `k` is less than 2, which `Top1Misclass` is already.
    """

    averages_columns = True

    def __init__(self, k: int) -> None:
        if k < 2:
            raise ConfigurationError(f"k={k!r} must be 2 or more; Misclassification() is the metric for k=1.")
        super().__init__({"LogLoss": "min", "Top1Misclass": "min", f"Top{k}Misclass": "min"})
        self.k = k

    def _values(self, outputs: Floats, targets: Floats) -> Floats:
        classes = targets.argmax(axis=0)
        of_class = outputs[classes, np.arange(len(classes))]
        correct = np.where(_predicts(outputs), of_class, np.float32(np.nan))
        better = (outputs > correct).sum(axis=0)
        equal = (outputs == correct).sum(axis=0)  # at least 1, but 0 where there is no prediction
        shares = (np.clip((places - better) / np.maximum(equal, 1), 0, 1) for places in (1, self.k))
        top1, topk = (1 - np.where(equal > 0, share, 0) for share in shares)
        return np.array([-safe_log(correct).mean(), top1.mean(), topk.mean()], np.float32)


class PrecisionRecall(Metric):
    """Precision and recall of the minibatch, each the mean over the classes.

    `outputs`, (num_classes, 2) float32, holds precision and recall of each class at the last call.

    Args:
        num_classes: number of classes, 1 or more.
        binarize: take each column's largest output as 1 and the others as 0; without it, the outputs must
            be 0 and 1 already, or count in shares.
        epsilon: added to each denominator, so that a class that does not occur divides by no zero.

    Raises:
        ConfigurationError: `num_classes` is less than 1, or `epsilon` not greater than 0.
    """

    def __init__(self, num_classes: int, binarize: bool = False, epsilon: float = 1e-6) -> None:
        if num_classes < 1:
            raise ConfigurationError(f"num_classes={num_classes!r} must be 1 or more.")
        if not epsilon > 0:
            raise ConfigurationError(f"epsilon={epsilon!r} must be greater than 0: it keeps 0/0 out.")
        super().__init__({"Precision": "max", "Recall": "max"})
        self.num_classes = num_classes
        self.binarize = binarize
        self.epsilon = epsilon
        self.outputs = np.zeros((num_classes, 2), np.float32)

    def _values(self, outputs: Floats, targets: Floats) -> Floats:
        if len(outputs) != self.num_classes:
            raise ConfigurationError(
                f"PrecisionRecall(num_classes={self.num_classes!r}) was given {len(outputs)} classes. "
                f"Make it with num_classes={len(outputs)}."
            )
        predicted = outputs
        if self.binarize:
            predicted = np.zeros_like(outputs)
            predicted[outputs.argmax(axis=0), np.arange(outputs.shape[1])] = _predicts(outputs)
        true_positives = (predicted * targets).sum(axis=1)
        precision = true_positives / (predicted.sum(axis=1) + self.epsilon)
        recall = true_positives / (targets.sum(axis=1) + self.epsilon)
        self.outputs = np.stack([precision, recall], axis=1)
        means: Floats = self.outputs.mean(axis=0)
        return means


def _predicts(outputs: Floats) -> npt.NDArray[np.bool_]:
    """Return (columns,): whether the column's largest output is a finite number."""
    is_finite: npt.NDArray[np.bool_] = np.isfinite(outputs.max(axis=0))
    return is_finite


def _is_right(outputs: Floats, targets: Floats) -> npt.NDArray[np.bool_]:
    """Return (columns,): whether the column's largest output is of the target's class."""
    is_same: npt.NDArray[np.bool_] = outputs.argmax(axis=0) == targets.argmax(axis=0)
    return is_same & _predicts(outputs)
