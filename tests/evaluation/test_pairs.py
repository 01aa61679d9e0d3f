from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from tests.support.pairs import (
    Collection,
    FrameworkTensor,
    Gathering,
    PairModel,
    PairModelWithLoss,
    StateMetric,
    batch,
    mean_output,
)
from trainsignal.errors import CostError, DataError, MissingAbilityError
from trainsignal.evaluation import CostTally, MetricTally, Outcome, Request, evaluate
from trainsignal.evaluation.pairs import check_pair_model, pair_minibatches

RAGGED = [batch(1.0, 2.0, 3.0), batch(5.0)]
"""Outputs are 2, 4, 6 and 10."""


def measured(dataset: Any, *metrics: Any, model: Any = None) -> list[Outcome]:
    """Return what became of each metric; None: of the loss."""
    requests = [
        Request(dataset, CostTally, Ticks()) if one is None else Request(dataset, MetricTally, one)
        for one in metrics
    ]
    return evaluate(PairModelWithLoss() if model is None else model, requests)


def value_of(dataset: Any, metric: Any) -> Any:
    return measured(dataset, metric)[0].result()


class Ticks:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


# -- values --------------------------------------------------------------------------------------------


def test_loss_is_the_mean_over_the_samples_of_a_ragged_set() -> None:
    assert value_of(RAGGED, None) == ((2 + 4 + 6 + 10) / 4, 1.0)


def test_function_is_averaged_over_the_samples() -> None:
    np.testing.assert_allclose(value_of(RAGGED, mean_output), [(2 + 4 + 6 + 10) / 4])
    assert value_of(RAGGED, mean_output).dtype == np.float32


def test_function_may_give_several_values() -> None:
    def extremes(outputs: Any, targets: Any) -> Any:
        return {"least": outputs.values.min(), "most": FrameworkTensor(outputs.values.max())}

    np.testing.assert_allclose(value_of(RAGGED, extremes), [(3 * 2 + 10) / 4, (3 * 6 + 10) / 4])


@pytest.mark.parametrize("metric", [None, mean_output], ids=["loss", "function"])
def test_values_stay_on_their_device_until_the_end_of_the_pass(metric: Any) -> None:
    journal: list[str] = []

    class OnDevice(FrameworkTensor):
        def item(self) -> float:
            journal.append("brought")
            return super().item()

    class Journalist(PairModelWithLoss):
        def predict(self, inputs: Any) -> Any:
            journal.append("shown")
            return super().predict(inputs)

        def loss(self, outputs: Any, targets: Any) -> Any:
            return OnDevice(super().loss(outputs, targets).values)

        def to_host(self, value: Any) -> Any:
            journal.append("brought")
            return super().to_host(value)

    measured(RAGGED, metric, model=Journalist())[0].result()
    assert journal == ["shown", "shown", "brought", "brought"]


def test_metric_that_gathers_is_asked_once_and_left_as_it_was() -> None:
    metric = Gathering()
    metric.largest = 99.0
    np.testing.assert_allclose(value_of(RAGGED, metric), [10.0])
    np.testing.assert_allclose(value_of(RAGGED, metric), [10.0])
    assert metric.largest == 99.0


def test_collection_gives_a_value_for_each_name() -> None:
    np.testing.assert_allclose(value_of(RAGGED, Collection(a=Gathering(), b=Gathering())), [10.0, 10.0])


def test_metric_with_a_state_is_reset_before_and_after() -> None:
    metric, dataset = StateMetric(), [batch(1.0, target=2.0), batch(1.0, 1.0, target=3.0)]
    np.testing.assert_allclose(value_of(dataset, metric), [8.0])
    assert metric.total == 0.0


def test_one_pass_serves_several_and_the_error_of_one_is_its_own() -> None:
    model = PairModelWithLoss()

    def wrong(outputs: Any, targets: Any) -> Any:
        raise ZeroDivisionError("this metric alone")

    loss, failed, mean = measured(RAGGED, None, wrong, mean_output, model=model)
    assert loss.result()[0] == mean.result()[0] == 5.5
    with pytest.raises(ZeroDivisionError, match="this metric alone"):
        failed.result()
    assert model.forwards == 2
    assert not model.is_evaluating


def test_pass_ends_where_nobody_wants_more() -> None:
    def wrong(outputs: Any, targets: Any) -> Any:
        raise ZeroDivisionError

    model = PairModel()
    measured([batch(1.0)] * 5, wrong, model=model)
    assert model.forwards == 2  # the second is there before anybody is asked
    assert not model.is_evaluating


def test_sum_of_losses_in_half_precision_does_not_overflow() -> None:
    class Half(PairModelWithLoss):
        def loss(self, outputs: Any, targets: Any) -> Any:
            return np.float16(1000.0)

    outcome = measured([batch(*[1.0] * 50)] * 50, None, model=Half())[0]
    assert outcome.result()[0] == 1000.0


def test_loss_may_be_a_float_or_an_array_of_one() -> None:
    for one in (3.0, np.array([3.0]), FrameworkTensor([[3.0]])):

        class Constant(PairModelWithLoss):
            def loss(self, outputs: Any, targets: Any, one: Any = one) -> Any:
                return one

        assert measured(RAGGED, None, model=Constant())[0].result()[0] == 3.0


@pytest.mark.parametrize("loss, message", [
    (FrameworkTensor([1.0, 2.0]), r"has the shape \(2,\): expected one number, the mean over the samples"),
    (FrameworkTensor([]), r"has the shape \(0,\)"),
    (None, "is no number: None is not one number"),
    ("low", "is no number: 'low' is not one number"),
], ids=["per sample", "empty", "none", "text"])  # fmt: skip
def test_loss_that_is_not_one_number_is_refused(loss: Any, message: str) -> None:
    class Wrong(PairModelWithLoss):
        def loss(self, outputs: Any, targets: Any) -> Any:
            return loss

    with pytest.raises(CostError, match=message):
        measured(RAGGED, None, model=Wrong())[0].result()


# -- samples -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets, samples", [
    (FrameworkTensor([1.0, 2.0]), 2),
    ([3, 1, 2], 3),
    ((FrameworkTensor([1.0, 2.0]), FrameworkTensor([[1.0]])), 2),
    ({"boxes": [FrameworkTensor([1.0]), FrameworkTensor([2.0])], "labels": [1]}, 1),
    ({"labels": [7, 8]}, 2),
    (np.zeros((4, 2)), 4),
    (np.float32(3.0), 1),
    (FrameworkTensor(3.0), 1),
    ([np.float32(3.0), np.float32(1.0), np.float32(2.0)], 3),
    ((FrameworkTensor(3.0), FrameworkTensor(1.0)), 2),
], ids=[
    "tensor", "list", "two tensors", "nested dict", "dict", "array", "number", "0-d tensor", "numbers",
    "0-d tensors",
])  # fmt: skip
def test_samples_are_counted_by_the_first_axis_of_the_targets(targets: Any, samples: int) -> None:
    model = PairModel()
    with model.evaluating():
        minibatch = next(pair_minibatches(model, [(FrameworkTensor([0.0]), targets)]))
    assert (minibatch.samples, minibatch.columns, minibatch.steps) == (samples, slice(0, samples), 1)
    assert minibatch.targets is targets


def test_minibatch_without_samples_is_passed_over() -> None:
    empty = (FrameworkTensor([]), FrameworkTensor([]))
    assert value_of([empty, *RAGGED, empty], None)[0] == 5.5


@pytest.mark.parametrize("targets", [None, 3.0, object()], ids=["none", "number", "object"])
def test_targets_without_a_length_are_refused(targets: Any) -> None:
    with pytest.raises(
        DataError, match=f"the targets of a minibatch are a {type(targets).__name__}: expected"
    ):
        value_of([(FrameworkTensor([1.0]), targets)], None)


def test_targets_in_an_empty_dict_are_refused() -> None:
    with pytest.raises(DataError, match="the targets of a minibatch are an empty dict: expected"):
        value_of([(FrameworkTensor([1.0]), {})], None)


@pytest.mark.parametrize("item, words", [
    (FrameworkTensor([1.0, 2.0, 3.0]), "a FrameworkTensor of 3"),
    ({"x": 1}, "a dict of 1"),
    ((1.0, 2.0, 3.0), "a tuple of 3"),
    (object(), "a object:"),
], ids=["tensor", "dict", "triple", "object"])  # fmt: skip
def test_set_that_yields_no_pairs_is_refused(item: Any, words: str) -> None:
    model = PairModelWithLoss()
    with pytest.raises(DataError, match=f"list yielded {words}"):
        measured([item], None, model=model)
    assert not model.is_evaluating


@pytest.mark.parametrize("dataset", [
    [], iter([]), [(FrameworkTensor([]), FrameworkTensor([]))],
], ids=["empty", "exhausted", "no samples"])  # fmt: skip
def test_set_that_yields_nothing_is_refused(dataset: Any) -> None:
    with pytest.raises(DataError, match="yielded no minibatch to evaluate on"):
        value_of(dataset, None)


def test_error_of_the_set_ends_the_evaluation_mode() -> None:
    model = PairModelWithLoss()

    class Broken:
        def __iter__(self) -> Iterator[Any]:
            yield RAGGED[0]
            raise OSError("unreadable")

    with pytest.raises(OSError, match="unreadable"):
        measured(Broken(), None, model=model)
    assert not model.is_evaluating


def test_set_with_a_position_is_put_back() -> None:
    class Placed:
        position = 3

        def __iter__(self) -> Iterator[Any]:
            self.position = 0
            return iter(RAGGED)

        def state_dict(self) -> dict[str, Any]:
            return {"position": self.position}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.position = state["position"]

    dataset = Placed()
    value_of(dataset, None)
    assert dataset.position == 3


# -- the model -----------------------------------------------------------------------------------------


def test_loss_of_a_model_that_was_told_none_is_refused() -> None:
    with pytest.raises(
        MissingAbilityError, match=r"LossCallback needs the loss .* PairModel\(\.\.\., loss=\.\.\.\)"
    ):
        check_pair_model(PairModel(), needs_loss=True)
    check_pair_model(PairModel(), needs_loss=False)
    check_pair_model(PairModelWithLoss(), needs_loss=True)


# -- samples that are not a rank's own -----------------------------------------------------------------


class Echo(PairModel):
    """A model that gives what it is given."""

    def predict(self, inputs: Any) -> Any:
        return inputs


class Named(NamedTuple):
    """Outputs by name."""

    logits: Any
    loss: Any


class Outputs(dict[str, Any]):
    """Outputs of a class of their own, as those of Hugging Face's models."""

    kept = "an attribute"


def first_of_three(value: Any) -> Any:
    """Return what is left of `value`, of three samples, where two are the rank's own."""

    (minibatch,) = pair_minibatches(Echo(), [(value, np.arange(3))], own=2)
    assert (minibatch.samples, minibatch.columns, minibatch.steps) == (2, slice(0, 2), 1)
    assert minibatch.targets.tolist() == [0, 1]
    return minibatch.outputs


THREE = np.arange(6).reshape(3, 2)
TWO = [[0, 1], [2, 3]]


def plain(value: Any) -> Any:
    """Return arrays as lists, in whatever they are."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(*map(plain, value)) if isinstance(value, Named) else type(value)(map(plain, value))
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


@pytest.mark.parametrize("value, left", [
    (THREE, TWO),
    ([THREE, THREE], [TWO, TWO]),
    ((THREE, (THREE, np.float32(7))), (TWO, (TWO, 7))),
    ({"a": THREE, "b": {"c": [THREE]}}, {"a": TWO, "b": {"c": [TWO]}}),
    ([{"a": THREE}], [{"a": TWO}]),
    (Named(THREE, np.float32(7)), Named(TWO, 7)),
    ([1, 2, 3], [1, 2]),
    ([np.float32(1), np.float32(2), np.float32(3)], [1, 2]),
    (["a", "b", "c"], ["a", "b"]),
    ([1, 2], [1, 2]),
    (np.zeros(4), [0] * 4),
    (7, 7),
    (np.float32(7), 7),
], ids=[
    "array", "list", "nested tuple", "nested dict", "list of dicts", "named tuple", "numbers",
    "NumPy's numbers", "texts", "of another length", "array of another length", "number", "0-d",
])  # fmt: skip
def test_what_a_rank_does_not_own_is_cut_off(value: Any, left: Any) -> None:
    got = first_of_three(value)
    assert type(got) is type(value)
    assert plain(got) == left


def test_outputs_of_a_class_of_their_own_are_cut_and_not_changed() -> None:
    outputs = Outputs(logits=THREE)
    got = first_of_three(outputs)
    assert isinstance(got, Outputs)
    assert (got["logits"].tolist(), got.kept) == (TWO, "an attribute")
    assert len(outputs["logits"]) == 3


def test_whole_minibatches_are_not_cut_nor_copied() -> None:
    minibatches = list(pair_minibatches(Echo(), [(THREE, THREE)] * 3, own=6))
    assert [one.samples for one in minibatches] == [3, 3]
    assert minibatches[0].outputs is THREE
