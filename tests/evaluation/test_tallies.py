from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tests.support import neon_reference
from tests.support.evaluating import Absolute, Batches, Mean, Scaling, Tensor
from tests.support.runs import FakeClock
from trainsignal.evaluation import (
    CostTally,
    LabelTally,
    LabelValues,
    MetricTally,
    Minibatch,
    minibatches,
    tallies,
)
from trainsignal.models.numpy_net import PrecisionRecall


def minibatch(
    columns: list[float], counting: Any = None, *, steps: int = 1, kind: Any = np.array
) -> Minibatch:
    """Return one whose outputs and targets are these columns."""
    counted = slice(0, len(columns)) if counting is None else counting
    samples = len(np.arange(len(columns))[counted]) // steps
    return Minibatch(kind([columns]), kind([columns]), counted, samples, steps)


def mean_cost(*given: Minibatch, cost: Any = None) -> float:
    tally = CostTally(Scaling(cost), FakeClock())
    for one in given:
        tally.add(one)
    return tally.value()[0]


def test_mean_cost_is_over_the_samples_and_not_over_the_minibatches() -> None:
    assert mean_cost(minibatch([1, 2]), minibatch([6])) == 3


def test_costs_may_come_in_a_tensor() -> None:
    assert mean_cost(minibatch([1, 2], kind=Tensor), minibatch([6], kind=Tensor)) == 3


def test_columns_that_are_wrapped_around_cost_nothing() -> None:
    assert mean_cost(minibatch([1, 2]), minibatch([6, 100], slice(0, 1))) == 3


def test_cost_of_a_sequence_is_the_mean_over_its_steps() -> None:
    whole = minibatch([1, 2, 3, 4], steps=2)  # samples cost 1 and 3, 2 and 4
    ragged = minibatch([10, 0, 20, 0], np.array([0, 2]), steps=2)
    assert mean_cost(whole, ragged) == pytest.approx((2 + 3 + 15) / 3)


def test_loss_of_neons_scenario_is_neons() -> None:
    reference = neon_reference.arrays("mlp")
    model = neon_reference.initialized_mlp(reference)
    neon_reference.set_params(model, reference, "w_epoch00")
    tally = CostTally(model, FakeClock())
    for one in minibatches(
        lambda x: model.fprop(x, inference=True), neon_reference.data_set(reference, "valid")
    ):
        tally.add(one)
    assert tally.value()[0] == pytest.approx(float(reference["h5_cost_loss"][0]), abs=1e-5)


def test_seconds_are_those_from_begin_to_value() -> None:
    clock = FakeClock()
    tally = CostTally(Scaling(), clock)
    clock.now += 3
    tally.add(minibatch([1]))
    clock.now += 4
    assert tally.value() == (1, 7)


def test_metric_is_the_mean_weighted_by_samples() -> None:
    tally = MetricTally(None, Mean())
    tally.add(minibatch([1, 2]))
    tally.add(minibatch([6, 100], slice(0, 1)))
    assert tally.value().tolist() == [3]
    assert tally.value().dtype == np.float32


def test_metric_of_ragged_sequences_gets_the_indices_of_the_columns_that_count() -> None:
    tally = MetricTally(None, Mean())
    tally.add(minibatch([1, 2, 3, 4], steps=2))
    tally.add(minibatch([10, 0, 20, 0], np.array([0, 2]), steps=2))
    assert tally.value()[0] == pytest.approx((1 + 2 + 3 + 4 + 10 + 20) / 6)


@pytest.mark.parametrize("values", [0.5, [0.5], np.array([[0.5]]), Tensor([[0.5]])], ids=repr)
def test_metric_may_give_its_values_in_any_form(values: Any) -> None:
    tally = MetricTally(None, lambda outputs, targets, calcrange: values)
    tally.add(minibatch([1]))
    assert tally.value().tolist() == [0.5]


def per_label(metric: Any, *given: Minibatch) -> LabelValues:
    tally = LabelTally(None, metric)
    for one in given:
        tally.add(one)
    return tally.value()


class Ratio:
    """A metric of one label: the sum of the outputs by the sum of the targets, as a precision is a ratio.

    Its mean over minibatches is not that of the set. Remembers how many columns it was called with.
    """

    metric_names = ("Ratio",)

    def __init__(self, kind: Any = np.array) -> None:
        self.kind = kind
        self.outputs: Any = None
        self.columns: list[int] = []

    def __call__(self, y: Any, t: Any) -> None:
        y, t = ((one.get() if hasattr(one, "get") else one) for one in (y, t))
        self.columns.append(y.shape[1])
        self.outputs = self.kind([[y.sum() / t.sum()]])


def ratios(outputs: list[float], targets: list[float], counting: slice, kind: Any = np.array) -> Minibatch:
    return Minibatch(kind([outputs]), kind([targets]), counting, counting.stop, 1)


@pytest.mark.parametrize("kind", [np.array, Tensor])
def test_values_of_labels_are_those_of_all_samples_at_once(kind: Any) -> None:
    metric = Ratio(kind)
    values = per_label(metric, ratios([1, 2], [1, 1], slice(0, 2)), ratios([6, 99], [4, 99], slice(0, 1)))
    assert values.table.tolist() == [[1.5]]  # (1 + 2 + 6) / (1 + 1 + 4)
    assert (values.parts, metric.columns) == (1, [3])


def test_set_that_is_too_large_is_cut_into_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_GATHERED_BYTES", 64)  # outputs and targets of four columns of 8 bytes
    metric = Ratio()
    batches = [
        ratios([1, 2], [1, 1], slice(0, 2)),
        ratios([3, 4], [1, 1], slice(0, 2)),
        ratios([8], [2], slice(0, 1)),
    ]
    values = per_label(metric, *batches)
    assert metric.columns == [4, 1]
    assert values.table.tolist() == [[pytest.approx((4 * 2.5 + 1 * 4) / 5)]]
    assert values.parts == 2


def test_minibatch_that_is_too_large_by_itself_is_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST_GATHERED_BYTES", 1)
    assert per_label(Ratio(), ratios([1, 2], [1, 1], slice(0, 2))).parts == 1


def test_tensors_are_not_gathered() -> None:
    metric = Ratio()
    values = per_label(
        metric,
        ratios([1, 2], [1, 1], slice(0, 2), Tensor),
        ratios([6, 2], [1, 1], slice(0, 1), Tensor),
    )
    assert values.table.tolist() == [[pytest.approx((2 * 1.5 + 1 * 4) / 3)]]
    assert values.parts == 2


def test_outputs_of_a_model_that_uses_its_array_again_are_copied() -> None:
    metric, tally = Ratio(), LabelTally(None, None)
    tally = LabelTally(None, metric)
    buffer = np.array([[1.0, 2.0]])
    for values in ([1, 2], [3, 4]):
        buffer[:] = [values]
        tally.add(Minibatch(buffer, np.ones((1, 2)), slice(0, 2), 2, 1))
    assert tally.value().table.tolist() == [[2.5]]


def test_branches_are_gathered_each_for_itself() -> None:
    class SecondBranch(Ratio):
        def __call__(self, y: Any, t: Any) -> None:
            super().__call__(y[1], t)

    branches = [np.array([[0.0, 0.0]]), np.array([[1.0, 2.0]])]
    both = [Minibatch(branches, np.array([[1.0, 1.0]]), slice(0, 2), 2, 1)] * 2
    metric = SecondBranch()
    values = per_label(metric, *both)
    assert (values.table.tolist(), metric.columns) == ([[1.5]], [4])


def test_precision_and_recall_are_scikit_learns() -> None:
    generator = np.random.default_rng(0)
    scores, truth = generator.random((4, 50)), generator.integers(0, 4, 50)
    tally = LabelTally(None, PrecisionRecall(4, binarize=True))
    for first in range(0, 50, 16):
        outputs, targets = (one[:, first : first + 16] for one in (scores, np.eye(4)[:, truth]))
        tally.add(Minibatch(outputs, targets, slice(0, outputs.shape[1]), outputs.shape[1], 1))
    precision, recall, *_ = precision_recall_fscore_support(truth, scores.argmax(axis=0))
    np.testing.assert_allclose(tally.value().table, np.stack([precision, recall], axis=1), atol=1e-6)


def test_cost_is_that_of_the_model() -> None:
    cost = Absolute()
    assert mean_cost(minibatch([5]), cost=cost) == 5
    assert cost.outputs.tolist() == [[5]]


def test_batches_that_the_fakes_make_are_those_that_are_counted() -> None:
    tally = MetricTally(None, Mean())
    for one in minibatches(lambda x: x, Batches(3, [1, 2], [6, 1])):
        tally.add(one)
    assert tally.value().tolist() == [3]
