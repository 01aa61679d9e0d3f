from __future__ import annotations

from typing import Any

import pytest

from tests.support.evaluating import Mean
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import check_metric, directions_of
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
