from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support import neon_reference
from tests.support.runs import tiny_model
from trainsignal.errors import DataError
from trainsignal.evaluation import check_evaluation_set, host_array, mean_cost
from trainsignal.models.numpy_net import ArrayIterator


class Tensor:
    """An array with neon's `get()` that is assigned in place."""

    def __init__(self, values: Any) -> None:
        self.values = np.array(values, np.float32)

    def get(self) -> Any:
        return self.values

    def __setitem__(self, index: Any, value: Any) -> None:
        self.values[index] = value


class Absolute:
    """A cost whose columns cost what the inputs are."""

    def __init__(self, cost: Any = 42.0, *, in_tensors: bool = False) -> None:
        self.cost = cost
        self.in_tensors = in_tensors
        self.outputs: Any = None

    def get_cost(self, inputs: Any, targets: Any) -> None:
        self.outputs = Tensor(inputs) if self.in_tensors else inputs
        if hasattr(self.cost, "__setitem__"):
            self.cost[:] = inputs.mean()
        else:
            self.cost = float(inputs.mean())


class Identity:
    """A model whose outputs are its inputs, and that must not be trained."""

    def __init__(self, cost: Absolute) -> None:
        self.cost = cost

    def fprop(self, x: Any, inference: bool = False) -> Any:
        assert inference
        return x


class Batches:
    """A data set of given columns."""

    def __init__(self, ndata: int, *batches: list[float]) -> None:
        self.ndata = ndata
        self.resets = 0
        self._batches = batches

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for columns in self._batches:
            yield np.array([columns], np.float32), None

    def reset(self) -> None:
        self.resets += 1


@pytest.mark.parametrize("in_tensors", [False, True])
def test_mean_is_over_the_samples_and_not_over_the_minibatches(in_tensors: bool) -> None:
    model = Identity(Absolute(in_tensors=in_tensors))
    assert mean_cost(model, Batches(3, [1, 2], [6])) == 3


def test_columns_that_are_wrapped_around_do_not_count() -> None:
    assert mean_cost(Identity(Absolute()), Batches(3, [1, 2], [6, 1])) == 3


def test_loss_of_neons_scenario_is_neons() -> None:
    reference = neon_reference.arrays("mlp")
    model = neon_reference.initialized_mlp(reference)
    neon_reference.set_params(model, reference, "w_epoch00")
    loss = mean_cost(model, neon_reference.data_set(reference, "valid"))
    assert loss == pytest.approx(float(reference["h5_cost_loss"][0]), abs=1e-5)


def test_data_set_begins_with_its_first_sample() -> None:
    batches = Batches(1, [1])
    mean_cost(Identity(Absolute()), batches)
    assert batches.resets == 1


def test_data_set_without_reset_will_do() -> None:
    class Plain:
        ndata = 1

        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            return iter([(np.array([[5.0]]), None)])

    assert mean_cost(Identity(Absolute()), Plain()) == 5


@pytest.mark.parametrize(
    "before", [42.0, np.array([[42.0]]), Tensor([[42.0]])], ids=["float", "array", "tensor"]
)
def test_training_cost_is_put_back(before: Any) -> None:
    model = Identity(Absolute(before))
    mean_cost(model, Batches(2, [1, 2]))
    assert type(model.cost.cost) is type(before)
    assert host_array(model.cost.cost) == 42


def test_training_cost_is_put_back_also_when_evaluating_fails() -> None:
    class Breaking(Batches):
        def __iter__(self) -> Iterator[tuple[Any, Any]]:
            yield np.array([[1.0]]), None
            raise ZeroDivisionError

    model = Identity(Absolute())
    with pytest.raises(ZeroDivisionError):
        mean_cost(model, Breaking(2))
    assert model.cost.cost == 42


def test_data_set_that_yields_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="yielded no minibatch"):
        mean_cost(Identity(Absolute()), Batches(3))


@pytest.mark.parametrize("data_set, message", [
    (None, "eval_set=None: expected a data set"),
    (3, "eval_set=3: expected a data set"),
    ([], "list does not tell its size; give it an attribute `ndata`"),
    (iter(()), "tuple_iterator does not tell its size"),
    (Batches(0), "Batches is empty"),
])  # fmt: skip
def test_what_cannot_be_evaluated_on_is_refused(data_set: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_evaluation_set(data_set, "eval_set")


def test_evaluating_on_the_training_set_leaves_its_position_alone() -> None:
    train_set = ArrayIterator(np.eye(3, 2, dtype=np.float32), [0, 1, 0], nclass=2, batch_size=2)
    list(train_set)  # ragged: the next epoch starts after one sample of this one
    before = train_set.state_dict()

    mean_cost(tiny_model(), train_set)

    assert train_set.start == 1
    assert train_set.state_dict() == before
