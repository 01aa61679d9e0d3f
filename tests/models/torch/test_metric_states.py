from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
from torchmetrics import classification, regression, retrieval

from tests.support.exchanging import ExchangingRank, on_ranks, trained_on
from trainsignal import Callbacks, LossCallback, MetricCallback
from trainsignal.abilities import MergesMetrics
from trainsignal.errors import ConfigurationError
from trainsignal.models.torch import TorchModel
from trainsignal.models.torch.metric_states import set_states, states_of_metric

SAMPLES = 24
GENERATOR = torch.Generator().manual_seed(3)
SCORES = torch.rand(SAMPLES, 3, generator=GENERATOR)
CLASSES = torch.randint(0, 3, (SAMPLES,), generator=GENERATOR)
NUMBERS = torch.rand(SAMPLES, generator=GENERATOR)
TRUTH = (NUMBERS + torch.rand(SAMPLES, generator=GENERATOR)) / 2


class Spread(torchmetrics.Metric):  # type: ignore[misc]  # untyped framework
    """A metric of one's own: the difference of the largest and the smallest output, and a mean of ranks."""

    full_state_update = False

    def __init__(self) -> None:
        super().__init__()
        self.largest: Any
        self.smallest: Any
        self.add_state("largest", torch.tensor(-torch.inf), dist_reduce_fx="max")
        self.add_state("smallest", torch.tensor(torch.inf), dist_reduce_fx="min")
        self.add_state("seldom", [], dist_reduce_fx="cat")

    def update(self, outputs: Any, targets: Any) -> None:
        self.largest = torch.maximum(self.largest, outputs.max())
        self.smallest = torch.minimum(self.smallest, outputs.min())

    def compute(self) -> Any:
        assert not len(self.seldom)
        return self.largest - self.smallest


class ByQuery(retrieval.RetrievalMAP):  # type: ignore[misc]  # untyped framework
    """Its states are lists that are not joined: of the samples, those with a score above 0.5 are relevant."""

    def update(self, outputs: Any, targets: Any) -> None:
        super().update(outputs, targets > 0.5, indexes=(targets * 1000).long() % 3)


def collection() -> Any:
    return torchmetrics.MetricCollection(
        [
            classification.MulticlassPrecision(3),
            classification.MulticlassRecall(3),
            classification.MulticlassAUROC(3),
        ],
        prefix="valid_",
    )


OF_CLASSES: dict[str, Callable[[], Any]] = {
    "accuracy": lambda: classification.MulticlassAccuracy(3, average="micro"),
    "AUROC": lambda: classification.MulticlassAUROC(3),
    "AUROC in bins": lambda: classification.MulticlassAUROC(3, thresholds=10),
    "F1": lambda: classification.MulticlassF1Score(3),
    "collection": collection,
    "collection without groups": lambda: torchmetrics.MetricCollection(
        [classification.MulticlassPrecision(3), classification.MulticlassF1Score(3)], compute_groups=False
    ),
    "nested": lambda: torchmetrics.MetricCollection(
        {
            "a": classification.MulticlassAccuracy(3),
            "b": torchmetrics.MetricCollection({"c": classification.MulticlassF1Score(3)}),
        }
    ),
}
OF_NUMBERS: dict[str, Callable[[], Any]] = {
    "correlation": regression.PearsonCorrCoef,
    "rank correlation": regression.SpearmanCorrCoef,
    "R2": regression.R2Score,
    "own": Spread,
    "sum of two": lambda: regression.MeanSquaredError() + regression.MeanAbsoluteError(),
    "retrieval": ByQuery,
}


def batches(outputs: Any, targets: Any, first: int, count: int) -> list[Any]:
    """Return so many samples in minibatches of three."""
    last = first + count
    return [
        (outputs[at : min(at + 3, last)], targets[at : min(at + 3, last)]) for at in range(first, last, 3)
    ]


def rows(callbacks: Callbacks) -> dict[str, float]:
    metrics: Any = callbacks.callback_data["metrics"]
    return {name: float(metrics[name][0]) for name in metrics}


@pytest.mark.filterwarnings("ignore:Metric `.*` will save all:UserWarning")
@pytest.mark.parametrize("sizes", [(24,), (12, 12), (13, 0, 11), (0, 24), (1, 20, 3)], ids=str)
@pytest.mark.parametrize("kind", [*OF_CLASSES, *OF_NUMBERS])
def test_value_over_ranks_is_that_of_the_whole_set(kind: str, sizes: tuple[int, ...]) -> None:
    make = (OF_CLASSES | OF_NUMBERS)[kind]
    outputs, targets = (SCORES, CLASSES) if kind in OF_CLASSES else (NUMBERS, TRUTH)
    whole = make()
    whole.update(outputs, targets)
    value: Any = whole.compute()
    expected = [float(one) for one in (value.values() if isinstance(value, dict) else [value])]

    def work(rank: ExchangingRank) -> Any:
        part = batches(outputs, targets, sum(sizes[: rank.rank]), sizes[rank.rank])
        made, _ = trained_on(rank, TorchModel(torch.nn.Identity()), [MetricCallback(part, make())])
        return list(rows(made).values()), rank.calls

    for values, calls in on_ranks(len(sizes), work):
        assert sorted(values) == pytest.approx(sorted(expected), rel=1e-5)
        assert calls == [("gather", 1)]


def test_metric_itself_stays_as_it_was_and_is_computed_anew_at_each_epoch() -> None:
    metric = classification.MulticlassAccuracy(3, average="micro")
    metric.update(SCORES, CLASSES)
    before = metric.compute()

    def work(rank: ExchangingRank) -> Any:
        callback = MetricCallback(batches(SCORES, CLASSES, 12 * rank.rank, 12), metric)
        made, _ = trained_on(rank, TorchModel(torch.nn.Identity()), [callback], epochs=3)
        return made.callback_data["metrics/MulticlassAccuracy"][:].tolist()

    assert on_ranks(2, work) == [[pytest.approx(float(before))] * 3] * 2
    assert metric.compute() == before
    assert metric._to_sync


def test_copy_does_not_synchronise_by_itself() -> None:
    def gather(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was to ask nobody")

    metric = classification.MulticlassAccuracy(
        3, dist_sync_fn=gather, distributed_available_fn=lambda: True, average="micro"
    )

    def work(rank: ExchangingRank) -> Any:
        callback = MetricCallback(batches(SCORES, CLASSES, 12 * rank.rank, 12), metric)
        return rows(trained_on(rank, TorchModel(torch.nn.Identity()), [callback])[0])

    share = (SCORES.argmax(dim=1) == CLASSES).float().mean().item()
    assert on_ranks(2, work) == [{"MulticlassAccuracy": pytest.approx(share)}] * 2


def test_loss_functions_and_metrics_share_one_pass_one_sum_and_one_gather() -> None:
    def work(rank: ExchangingRank) -> Any:
        part = batches(SCORES, CLASSES, 12 * rank.rank, 12)
        model = TorchModel(torch.nn.Identity(), loss=torch.nn.functional.cross_entropy)
        callbacks = [
            LossCallback(part), MetricCallback(part, collection()),
            MetricCallback(part, classification.MulticlassF1Score(3)),
        ]  # fmt: skip
        return trained_on(rank, model, callbacks)[0].callback_data["cost/loss"][0], rank.calls

    loss = torch.nn.functional.cross_entropy(SCORES, CLASSES).item()
    assert on_ranks(2, work) == [(pytest.approx(loss, rel=1e-6), [("sum", 2), ("gather", 1)])] * 2


# -- states --------------------------------------------------------------------------------------------


def test_torch_model_merges_metrics() -> None:
    assert isinstance(TorchModel(torch.nn.Identity()), MergesMetrics)


def test_numbers_in_bfloat16_become_float32() -> None:
    metric = Spread()
    metric.set_dtype(torch.bfloat16)
    metric.update(torch.tensor([1.0, 3.0], dtype=torch.bfloat16), None)
    states = states_of_metric(metric)
    assert {array.dtype for array in states.values()} == {np.dtype(np.float32)}
    merged = Spread()
    set_states(merged, [states, states], torch.as_tensor)
    assert merged.compute() == 2


class Texts(torchmetrics.Metric):  # type: ignore[misc]  # untyped framework
    """A metric that gathers texts."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("texts", [], dist_reduce_fx=None)
        self.texts = ["a"]

    def update(self) -> None: ...

    def compute(self) -> None: ...


class Stateless:
    """A metric that torchmetrics does not know."""


@pytest.mark.parametrize("metric, message", [
    (Texts(), "Texts gathers a str in its state 'texts': over several ranks a metric has to gather tensors"),
    (Stateless(), "Stateless has no states that were made by torchmetrics' add_state"),
    (torch.nn.Identity(), "Identity has no states"),
], ids=["texts", "no module", "no metric"])  # fmt: skip
def test_what_cannot_be_gathered_is_refused(metric: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        states_of_metric(metric)
