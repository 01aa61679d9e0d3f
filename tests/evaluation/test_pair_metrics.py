from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.exchanging import ExchangingRank, on_ranks, trained_on
from tests.support.pairs import Collection, Gathering, PairModel, StateMetric, mean_output
from trainsignal import MetricCallback
from trainsignal.errors import MissingAbilityError
from trainsignal.evaluation import check_mergeable, is_mean_of_ranks
from trainsignal.evaluation.pair_metrics import FunctionTally, StatesTally, VariablesTally, pair_metric_tally

# NumPy, of how Keras converts PyTorch's tensors.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


class Merging(PairModel):
    """A model that merges states, as it says."""

    def metric_states(self, metric: Any) -> Any: ...

    def set_metric_states(self, metric: Any, states: Any) -> None: ...


@pytest.mark.parametrize("metric, kind, width", [
    (mean_output, FunctionTally, 2), (StateMetric(), VariablesTally, 2), (Gathering(), StatesTally, None),
    (Collection(a=Gathering()), StatesTally, None),
], ids=["function", "variables", "states", "collection"])  # fmt: skip
def test_metrics_are_computed_by_how_they_gather(metric: Any, kind: Any, width: int | None) -> None:
    assert pair_metric_tally(metric) is kind
    assert kind.width(metric) == width


def test_only_metrics_that_gather_states_need_a_model_that_merges_them() -> None:
    for metric in (mean_output, StateMetric()):
        check_mergeable(PairModel(), metric)
    check_mergeable(Merging(), Gathering())
    check_mergeable(object(), Gathering())  # neon's layout: it is called as a function
    with pytest.raises(MissingAbilityError, match="Gathering gathers by itself, and PairModel cannot merge"):
        check_mergeable(PairModel(), Gathering())


@pytest.mark.parametrize("metric, is_mean", [
    (keras.metrics.Mean(), False), (keras.metrics.BinaryAccuracy(), False),
    (keras.metrics.MeanSquaredError(), False), (keras.metrics.RootMeanSquaredError(), True),
    (keras.metrics.AUC(), True), (StateMetric(), True), (mean_output, False), (Gathering(), False),
], ids=["mean", "accuracy", "squares", "root", "AUC", "own", "function", "states"])  # fmt: skip
def test_mean_of_ranks_is_told_of_what_is_no_mean_of_samples(metric: Any, is_mean: bool) -> None:
    assert is_mean_of_ranks(metric) is is_mean


class Mean(StateMetric):
    """A class called as Keras's means, which is none of theirs."""

    def result(self) -> Any:
        return super().result()


def test_class_that_is_only_called_as_keras_mean_is_not_taken_for_it() -> None:
    assert is_mean_of_ranks(Mean())


class Given(PairModel):
    """A model of NumPy arrays that gives what it is given."""

    def predict(self, inputs: Any) -> Any:
        return inputs

    def fprop(self, x: Any, inference: bool = False) -> Any:
        raise AssertionError("a model of pairs predicts")

    def eval(self, dataset: Any, metric: Any) -> Any:
        raise AssertionError("what can infer is evaluated in a shared pass")

    def to_host(self, value: Any) -> Any:
        return keras.ops.convert_to_numpy(value)


def test_mean_of_keras_over_ranks_is_that_of_the_whole_and_others_say_what_they_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    generator = np.random.default_rng(0)
    outputs, targets = generator.random((2, 9, 1)).astype("f4")
    parts = [slice(0, 5), slice(5, 9)]

    def work(rank: ExchangingRank) -> Any:
        part = [(outputs[parts[rank.rank]], targets[parts[rank.rank]])]
        squared = keras.metrics.MeanSquaredError(name="squares")
        rooted = keras.metrics.RootMeanSquaredError(name="root")
        callbacks = [MetricCallback(part, metric) for metric in (squared, rooted)]
        made, _ = trained_on(rank, Given(), callbacks, epochs=2)
        return [made.callback_data[f"metrics/{name}"][1] for name in ("squares", "root")]

    squares = (outputs - targets) ** 2
    roots = sum(np.sqrt(squares[part].mean()) * (part.stop - part.start) for part in parts) / 9
    for got in on_ranks(2, work):
        np.testing.assert_allclose(got, [squares.mean(), roots], rtol=1e-5)
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert [one for one in told if "mean of theirs" in one] == [
        "RootMeanSquaredError: its value over several ranks is the mean of theirs, weighted by samples, and "
        "not that of the whole evaluation set"
    ]
