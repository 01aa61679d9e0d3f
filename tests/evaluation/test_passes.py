from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.evaluating import Absolute, Batches, Mean, Overwriting, Raising, Scaling, Tensor
from tests.support.pairs import PairModel
from tests.support.runs import FakeClock, tiny_model
from trainsignal.errors import DataError
from trainsignal.evaluation import CostTally, LabelTally, MetricTally, Request, evaluate, host_array, passes
from trainsignal.evaluation.pairs import PairCostTally
from trainsignal.evaluation.passes import tally_kind
from trainsignal.models.numpy_net import ArrayIterator


class Breaking(Batches):
    """A data set that cannot be read to its end."""

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        yield from super().__iter__()
        raise OSError("the disk")


def loss(dataset: Any) -> Request:
    return Request(dataset, CostTally, FakeClock())


def test_one_pass_serves_all_requests() -> None:
    model, data = Scaling(), Batches(3, [1, 2], [6, 1])
    outcomes = evaluate(model, [loss(data), Request(data, MetricTally, Mean()), loss(data)])
    assert [one.result() for one in outcomes] == [(3, 0), [3], (3, 0)]
    assert (data.passes, data.resets, model.forwards) == (1, 1, 2)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0)], ids=str)
def test_metric_that_writes_into_the_outputs_disturbs_no_other(order: tuple[int, ...]) -> None:
    data = Batches(3, [1, 2], [6, 1])
    requests = [loss(data), Request(data, MetricTally, Overwriting()), Request(data, MetricTally, Mean())]
    outcomes = evaluate(Scaling(), [requests[place] for place in order])
    values = {place: one.result() for place, one in zip(order, outcomes, strict=True)}
    assert values == {0: (3, 0), 1: [3], 2: [3]}


def test_error_of_one_request_is_its_own_and_it_is_not_asked_again() -> None:
    data, broken = Batches(3, [1, 2], [6, 1]), Raising()
    bad, good = evaluate(Scaling(), [Request(data, MetricTally, broken), loss(data)])
    assert good.result() == (3, 0)
    with pytest.raises(ZeroDivisionError, match="this metric alone"):
        bad.result()
    assert broken.calls == 1


def test_error_at_the_begin_or_the_end_of_a_request_is_its_own_too() -> None:
    class Unfinished(MetricTally):
        def value(self) -> Any:
            raise LookupError

    data = Batches(2, [1, 2])
    model = Scaling()
    del model.cost
    begin, good, end = evaluate(
        model, [loss(data), Request(data, MetricTally, Mean()), Request(data, Unfinished, Mean())]
    )
    assert good.result() == [1.5]
    with pytest.raises(AttributeError):
        begin.result()
    with pytest.raises(LookupError):
        end.result()


def test_pass_ends_where_every_request_has_failed() -> None:
    model, data = Scaling(), Batches(4, [1, 2], [3, 4])
    evaluate(model, [Request(data, MetricTally, Raising())])
    assert model.forwards == 1


def test_wish_to_stop_amid_a_metric_is_no_error_of_the_metric() -> None:
    def interrupted(outputs: Any, targets: Any, calcrange: Any) -> Any:
        raise KeyboardInterrupt

    data = Batches(1, [1])
    with pytest.raises(KeyboardInterrupt):
        evaluate(Scaling(), [Request(data, MetricTally, interrupted)])


def test_error_of_the_data_set_ends_the_pass_and_the_cost_is_as_before() -> None:
    model = Scaling()
    with pytest.raises(OSError, match="the disk"):
        evaluate(model, [loss(Breaking(4, [1, 2]))])
    assert model.cost.cost == 42


@pytest.mark.parametrize(
    "before", [42.0, np.array([[42.0]]), Tensor([[42.0]])], ids=["float", "array", "tensor"]
)
def test_training_cost_is_as_before(before: Any) -> None:
    model = Scaling(Absolute(before))
    evaluate(model, [loss(Batches(2, [1, 2]))])
    assert model.cost.cost is before
    assert host_array(before) == 42


def test_state_of_a_recurrent_model_is_as_before() -> None:
    class Counting(Scaling):
        """Its outputs depend on how many minibatches it has seen."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = type("Container", (), {})()
            self.layers.layers = [type("Recurrent", (), {"reset_cells": False})()]
            self.layers.layers[0].h = np.array([5.0])

        def fprop(self, x: Any, inference: bool = False) -> Any:
            self.layers.layers[0].h += 1
            return super().fprop(x, inference) + self.layers.layers[0].h

    model, data = Counting(), Batches(2, [0], [0])
    first, again = (evaluate(model, [loss(data)])[0].result() for _ in range(2))
    assert first == again == (6.5, 0)
    assert model.layers.layers[0].h == 5


def test_data_set_that_yields_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="yielded no minibatch"):
        evaluate(Scaling(), [loss(Batches(3))])


def test_evaluating_on_the_training_set_leaves_its_position_alone() -> None:
    train_set = ArrayIterator(np.eye(3, 2, dtype=np.float32), [0, 1, 0], nclass=2, batch_size=2)
    list(train_set)  # ragged: the next epoch starts after one sample of this one
    evaluate(tiny_model(), [loss(train_set)])
    assert train_set.start == 1


def test_batch_size_is_that_of_the_models_backend() -> None:
    model = Scaling()
    model.be = type("Backend", (), {"bsz": 2})()  # type: ignore[attr-defined]
    (outcome,) = evaluate(model, [loss(Batches(3, [1, 2, 3, 4], [9, 0, 9, 0]))])
    assert outcome.result() == ((2 + 3 + 9) / 3, 0)


def test_requests_are_the_same_for_the_same_objects() -> None:
    data, metric = Batches(1, [1]), Mean()
    request = Request(data, MetricTally, metric)
    assert request.is_same(Request(data, MetricTally, metric))
    assert not request.is_same(Request(Batches(1, [1]), MetricTally, metric))
    assert not request.is_same(Request(data, LabelTally, metric))
    assert not request.is_same(Request(data, MetricTally, Mean()))


@pytest.mark.parametrize("model, kind, expected", [
    (Scaling(), CostTally, CostTally), (PairModel(), CostTally, PairCostTally),
    (PairModel(), LabelTally, LabelTally),
])  # fmt: skip
def test_what_computes_a_request_depends_on_the_model(model: Any, kind: Any, expected: Any) -> None:
    assert tally_kind(model, Request([], kind, None)) is expected


class Together(Mean):
    """A mean over columns, which says so, and notes how many columns it is given at once."""

    averages_columns = True

    def __init__(self) -> None:
        super().__init__()
        self.widths: list[int] = []

    def __call__(self, y: Any, t: Any, calcrange: Any = slice(0, None)) -> Any:
        self.widths.append(y.shape[1])
        return super().__call__(y, t, calcrange)


def test_metric_that_averages_columns_is_called_once_for_many_minibatches() -> None:
    data, metric = Batches(3, [1, 2], [6, 1]), Together()
    (outcome,) = evaluate(Scaling(), [Request(data, MetricTally, metric)])
    assert outcome.result() == [3]
    assert metric.widths == [3], "the wrapped column is cut off"


def test_so_many_columns_are_enough_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "COLUMNS_AT_ONCE", 4)
    data, metric = Batches(7, [1, 2], [3, 6], [1, 1], [2, 9]), Together()
    alone = evaluate(Scaling(), [Request(data, MetricTally, Mean())])[0].result()
    (outcome,) = evaluate(Scaling(), [Request(data, MetricTally, metric)])
    np.testing.assert_allclose(outcome.result(), alone)
    assert metric.widths == [4, 3]


def test_subclass_is_not_taken_for_an_average_because_its_parent_was() -> None:
    class Otherwise(Together):
        pass

    metric = Otherwise()
    evaluate(Scaling(), [Request(Batches(3, [1, 2], [6, 1]), MetricTally, metric)])
    assert metric.widths == [2, 2]


def test_model_that_uses_its_arrays_again_is_gathered_right() -> None:
    class Reusing(Scaling):
        buffer = np.zeros((1, 2), np.float32)

        def fprop(self, x: Any, inference: bool = False) -> Any:
            self.buffer[...] = super().fprop(x, inference)
            return self.buffer

    data = Batches(4, [1, 2], [6, 1])
    gathered, one_by_one = evaluate(
        Reusing(), [Request(data, MetricTally, Together()), Request(data, MetricTally, Mean())]
    )
    assert gathered.result() == one_by_one.result()


def test_gathering_disturbs_nobody_and_is_not_disturbed() -> None:
    data = Batches(3, [1, 2], [6, 1])
    requests = [Request(data, MetricTally, metric) for metric in (Overwriting(), Together(), Mean())]
    values = [one.result() for one in evaluate(Scaling(), [loss(data), *requests])]
    assert values == [(3, 0), [3], [3], [3]]


def test_error_of_a_gathering_metric_is_its_own() -> None:
    class Broken(Together):
        averages_columns = True

        def __call__(self, y: Any, t: Any, calcrange: Any = slice(0, None)) -> Any:
            raise ZeroDivisionError

    data = Batches(3, [1, 2], [6, 1])
    bad, good = evaluate(Scaling(), [Request(data, MetricTally, one) for one in (Broken(), Together())])
    assert good.result() == [3]
    with pytest.raises(ZeroDivisionError):
        bad.result()


def test_tensors_on_a_device_are_not_gathered() -> None:
    class OnDevice(Scaling):
        def fprop(self, x: Any, inference: bool = False) -> Any:
            return Tensor(super().fprop(x, inference))

    class Reading(Together):
        averages_columns = True

        def __call__(self, y: Any, t: Any, calcrange: Any = slice(0, None)) -> Any:
            return super().__call__(y.get(), t, calcrange)

    metric = Reading()
    (outcome,) = evaluate(OnDevice(), [Request(Batches(3, [1, 2], [6, 1]), MetricTally, metric)])
    assert outcome.result() == [3]
    assert metric.widths == [2, 2]
