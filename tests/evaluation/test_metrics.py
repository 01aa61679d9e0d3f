from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.support.evaluating import Mean
from tests.support.pairs import Collection, Gathering
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import check_metric, directions_of, names_of
from trainsignal.models.numpy_net import Accuracy, PrecisionRecall, TopKMisclassification


class Named:
    """Something with these `metric_names`."""

    def __init__(self, names: Any) -> None:
        self.metric_names = names


@pytest.mark.parametrize("metric, message", [
    (Accuracy, r"metric=Accuracy: that is a class; pass Accuracy\(\)"),
    (Named([]), "has no metric_names"), (Named("Half"), "has no metric_names"),
    (object(), "has no metric_names"),
])  # fmt: skip
def test_what_is_no_metric_is_refused(metric: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check_metric(metric)


@pytest.mark.parametrize("metric, directions", [
    (PrecisionRecall(2), ["max", "max"]), (TopKMisclassification(2), ["min", "min", "min"]), (Mean(), [None]),
])  # fmt: skip
def test_directions_are_those_that_the_metric_tells(metric: Any, directions: list[str | None]) -> None:
    check_metric(metric)
    assert directions_of(metric) == directions


def accuracy(outputs: object, targets: object) -> float:
    return 0.0


class OfKeras:
    """A metric that is told by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def update_state(self, targets: object, outputs: object) -> None: ...


class Called:
    """A function object."""

    def __call__(self, outputs: object, targets: object) -> float:
        return 0.0


class Undecided(Gathering):
    """A metric of which no value is better."""

    higher_is_better = None


class Errors(Gathering):
    """A metric of which lower values are better."""

    higher_is_better = False


@pytest.mark.parametrize("metric, names, directions", [
    (accuracy, ["accuracy"], [None]),
    (functools.partial(accuracy, targets=1), ["accuracy"], [None]),
    (Called(), ["Called"], [None]),
    (Gathering(), ["Gathering"], ["max"]),
    (Errors(), ["Errors"], ["min"]),
    (Undecided(), ["Undecided"], [None]),
    (Collection(a=Gathering(), b=Errors(), c=Undecided()), ["a", "b", "c"], ["max", "min", None]),
    (OfKeras("top 5"), ["top 5"], [None]),
    (Named(["a", "b"]), ["a", "b"], [None, None]),
], ids=[
    "function", "partial", "function object", "torchmetrics", "lower", "undecided", "collection", "Keras",
    "neon",
])  # fmt: skip
def test_metrics_of_frameworks_are_named(metric: Any, names: list[str], directions: list[str | None]) -> None:
    check_metric(metric)
    assert names_of(metric) == names
    assert directions_of(metric) == directions


@pytest.mark.parametrize("metric", [lambda outputs, targets: 0.0, "accuracy", None, 3], ids=repr)
def test_function_without_a_name_and_what_is_none_are_refused(metric: Any) -> None:
    with pytest.raises(
        ConfigurationError, match="nor is it a metric of torchmetrics or Keras, or a function"
    ):
        check_metric(metric)
