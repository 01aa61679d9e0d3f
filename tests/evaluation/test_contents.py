from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.evaluating import Absolute, Tensor
from trainsignal.evaluation import as_before, host_array
from trainsignal.evaluation.contents import keep


class Layer:
    """Has the attributes that it is given."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


def recurrent() -> Layer:
    """Return a layer that keeps its state from one minibatch to the next, as neon's do when told."""
    return Layer(reset_cells=False, h=np.array([1.0, 2.0]), cells=[Tensor([3]), (Tensor([4]),)], steps=5)


class Net:
    """A model of such layers, nested as neon nests them."""

    def __init__(self, *layers: Any) -> None:
        self.layers = Layer(layers=list(layers))


class Branching:
    """A model that knows its state itself, and whose layers are its own affair."""

    def __init__(self) -> None:
        self.state = [1.0]
        self.layers = Layer(layers=[recurrent()])

    def hidden_state(self) -> Any:
        return list(self.state)

    def set_hidden_state(self, state: Any) -> None:
        self.state = state


@pytest.mark.parametrize("value", [
    np.array([[1.0, 2.0]]), np.array(1.0), Tensor([[1, 2]]), [np.array([1.0])], (Tensor([1]), [Tensor([2])]),
], ids=["array", "number in an array", "tensor", "list", "nested"])  # fmt: skip
def test_contents_are_put_back_in_place(value: Any) -> None:
    before = flat(value)
    put_back = keep(value)
    overwrite(value)
    assert flat(value) != before
    put_back()
    assert flat(value) == before


def flat(value: Any) -> list[float]:
    if isinstance(value, (list, tuple)):
        return [number for item in value for number in flat(item)]
    return [float(number) for number in host_array(value).reshape(-1)]


def overwrite(value: Any) -> None:
    if isinstance(value, (list, tuple)):
        for item in value:
            overwrite(item)
    elif isinstance(value, np.ndarray):
        value[...] = -1
    else:
        value[:] = -1


def test_list_gets_back_the_items_that_it_had() -> None:
    first, second = np.array([1.0]), np.array([2.0])
    items = [first, second]
    put_back = keep(items)
    items[:] = [np.array([9.0])]
    put_back()
    assert items[0] is first
    assert items[1] is second


def test_array_that_nobody_can_write_to_is_left_alone() -> None:
    frozen = np.array([1.0])
    frozen.flags.writeable = False
    keep(frozen)()
    assert frozen == 1


@pytest.mark.parametrize("value", [None, 3, "text", {"get": 1}])
def test_other_values_are_left_alone(value: Any) -> None:
    keep(value)()


@pytest.mark.parametrize(
    "before", [42.0, None, np.array([[42.0]]), Tensor([[42.0]])], ids=["float", "none", "array", "tensor"]
)
def test_training_cost_is_put_back(before: Any) -> None:
    model = Layer(cost=Absolute(before))
    with as_before(model):
        model.cost.get_cost(np.array([[1.0, 2.0]]), None)  # type: ignore[attr-defined]  # see above
        assert host_array(model.cost.cost) == 1.5  # type: ignore[attr-defined]
    assert model.cost.cost is before  # type: ignore[attr-defined]
    assert before is None or host_array(before) == 42


@pytest.mark.parametrize("cost", [None, object()])
def test_model_that_has_no_cost_yet_is_left_alone(cost: Any) -> None:
    with as_before(Layer(cost=cost)):
        pass


@pytest.mark.parametrize("place", [
    lambda layer: Net(layer),
    lambda layer: Net(Layer(layers=[Layer(), layer])),
    lambda layer: Net([Layer(), [layer]]),
], ids=["flat", "in a container", "in lists"])  # fmt: skip
def test_state_of_recurrent_layers_is_put_back_however_nested(place: Any) -> None:
    layer: Any = recurrent()
    state, cell = layer.h, layer.cells[0]
    with as_before(place(layer)):
        layer.h[:] = -1
        layer.h = np.zeros(2)
        cell[:] = -1
        layer.cells[0] = Tensor([-1])
        layer.cells[1][0][:] = -1
        layer.steps = 6
    assert layer.h is state
    assert layer.h.tolist() == [1, 2]
    assert layer.cells[0] is cell
    assert flat(layer.cells) == [3, 4]
    assert layer.steps == 5


def test_state_is_put_back_also_when_the_pass_raises() -> None:
    model = Net(recurrent())
    model.cost = Absolute()  # type: ignore[attr-defined]
    with pytest.raises(ZeroDivisionError), as_before(model):
        model.layers.layers[0].h[:] = -1  # type: ignore[attr-defined]
        model.cost.cost = 1.0  # type: ignore[attr-defined]
        raise ZeroDivisionError
    assert model.layers.layers[0].h.tolist() == [1, 2]  # type: ignore[attr-defined]
    assert model.cost.cost == 42  # type: ignore[attr-defined]


def test_layers_that_begin_each_minibatch_anew_are_not_copied() -> None:
    layer: Any = recurrent()
    layer.reset_cells = True
    with as_before(Net(layer)):
        layer.h[:] = -1
    assert layer.h.tolist() == [-1, -1]


def test_model_that_knows_its_state_puts_it_back_itself() -> None:
    model = Branching()
    with as_before(model):
        model.state[0] = 2.0
        model.layers.layers[0].h[:] = -1  # type: ignore[attr-defined]
    assert model.state == [1]
    assert model.layers.layers[0].h.tolist() == [-1, -1]  # type: ignore[attr-defined]


def test_model_without_layers_will_do() -> None:
    with as_before(object()):
        pass
