from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import fbeta_score, precision_score

from trainsignal.models.sklearn import SklearnMetric

TRUE = np.array([1, 0, 1, 1, 0, 1])
PREDICTED = np.array([1, 1, 1, 0, 1, 1])


def identity(outputs: Any) -> Any:
    return outputs


def test_the_metric_is_of_the_whole_set_and_no_mean_of_its_parts() -> None:
    metric = SklearnMetric(precision_score, identity)

    metric.update(PREDICTED[:2], TRUE[:2])
    metric.update(PREDICTED[2:], list(TRUE[2:]))

    assert metric.compute() == precision_score(TRUE, PREDICTED) == pytest.approx(3 / 5)


def test_outputs_are_made_predictions_first() -> None:
    metric = SklearnMetric(precision_score, lambda outputs: outputs > 0.5)

    metric.update(np.array([0.9, 0.2, 0.7, 0.8, 0.1, 0.6]), TRUE)

    assert metric.compute() == 1.0


def test_a_reset_forgets() -> None:
    metric = SklearnMetric(precision_score, identity)
    metric.update(1 - TRUE, TRUE)

    metric.reset()
    metric.update(TRUE, TRUE)

    assert metric.compute() == 1.0


def test_a_copy_gathers_for_itself_and_knows_the_same_model() -> None:
    model: Any = object()
    metric = SklearnMetric(precision_score, lambda outputs: (model, outputs)[1], "max")
    metric.update(1 - TRUE, TRUE)

    copied = copy.deepcopy(metric)
    copied.update(TRUE, TRUE)

    assert (copied.compute(), metric.compute()) == (1.0, 0.0)
    assert (copied.metric_names, copied.directions) == (["precision_score"], {"precision_score": "max"})


def test_a_metric_is_named_as_its_function() -> None:
    class Scorer:
        def __call__(self, y_true: Any, y_pred: Any) -> float:
            return 1.0

    assert SklearnMetric(partial(fbeta_score, beta=2), identity).metric_names == ["fbeta_score"]
    assert SklearnMetric(Scorer(), identity).metric_names == ["Scorer"]
    assert SklearnMetric(precision_score, identity).directions == {}
