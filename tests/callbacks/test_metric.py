from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import MetricCallback
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.numpy_net import Accuracy, Misclassification, TopKMisclassification


class Evaluated:
    """A model whose evaluation gives the values of the metric, whatever the set."""

    finished = False

    def eval(self, dataset: Any, metric: Any) -> Any:
        return metric.values


class Fixed:
    """A metric with given values; without directions, as neon's."""

    def __init__(self, names: Any, values: Any) -> None:
        self.metric_names = names
        self.values = values


def evaluated(*metrics: Any, epochs: int = 1) -> Any:
    callbacks = quiet(Evaluated())
    for metric in metrics:
        callbacks.add_callback(MetricCallback(tiny_set(), metric))
    with callbacks.training(epochs) as run:
        list(run.epochs())
    return callbacks.callback_data


class Tensor:
    def get(self) -> Any:
        return np.array([[0.25], [4.0]])


@pytest.mark.parametrize(
    "values", [[0.25, 4.0], np.array([[0.25], [4.0]]), Tensor()], ids=["list", "column", "tensor"]
)
def test_each_value_has_a_series_under_its_name(values: Any) -> None:
    data = evaluated(Fixed(["Half", "Whole"], values))
    assert (data["metrics/Half"][0], data["metrics/Whole"][0]) == (0.25, 4)
    assert data["metrics/Half"].dtype == np.float32


def test_one_value_may_be_a_bare_number() -> None:
    assert evaluated(Fixed(["Half"], 0.5))["metrics/Half"][0] == 0.5


def test_two_metrics_of_one_name_are_numbered() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    for metric in (Misclassification(), TopKMisclassification(2)):  # both have a Top1Misclass
        callbacks.add_callback(MetricCallback(tiny_set(), metric))
    fit(model, callbacks, 1)
    data = callbacks.callback_data
    assert set(data["metrics"]) == {"Top1Misclass", "Top1Misclass_2", "LogLoss", "Top2Misclass"}
    assert data["metrics/Top1Misclass_2"][0] == data["metrics/Top1Misclass"][0]


def test_direction_is_told_where_the_metric_knows_it() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(MetricCallback(tiny_set(), Accuracy()))
    fit(model, callbacks, 1)
    assert callbacks.callback_data["metrics/Accuracy"].attrs["direction"] == "max"
    assert "direction" not in evaluated(Fixed(["Half"], [0.5]))["metrics/Half"].attrs


def test_values_are_logged_in_neons_words(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="trainsignal.callbacks.metric"):
        evaluated(Fixed(["Half", "Whole"], [0.5, 1.0]))
    assert [one.getMessage() for one in caplog.records if one.name.endswith("metric")] == [
        "Half, Whole: 0.5, 1"
    ]


def test_wrong_number_of_values_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Fixed gave 1 values for its metric_names"):
        evaluated(Fixed(["Half", "Whole"], [0.5]))


@pytest.mark.parametrize("metric, message", [
    (Accuracy, r"metric=Accuracy: that is a class; pass Accuracy\(\)"),
    (Fixed([], []), "has no metric_names"), (Fixed("Half", []), "has no metric_names"),
    (object(), "has no metric_names"),
])  # fmt: skip
def test_what_is_no_metric_is_refused(metric: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        MetricCallback(tiny_set(), metric)


def test_missing_set_is_refused() -> None:
    with pytest.raises(DataError, match="eval_set=None"):
        MetricCallback(None, Accuracy())


def test_model_that_can_infer_is_not_asked_for_an_evaluation_of_its_own() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(MetricCallback(tiny_set(), Accuracy()))
    vars(model)["eval"] = lambda dataset, metric: pytest.fail("a second pass")
    fit(model, callbacks, 1)
    assert 0 <= callbacks.callback_data["metrics/Accuracy"][0] <= 1
