from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.torch_training import assert_equal, trained
from trainsignal.errors import CheckpointError
from trainsignal.models.torch import TorchModel


def states_of(model: TorchModel) -> list[Any]:
    """Return the state dicts of all members."""
    members = (model.module, *model.optimizers, *model.schedulers)
    return [dict(one.state_dict()) for one in members]


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature:UserWarning")  # PyTorch, of a lazy module
def test_a_lazy_module_takes_its_shapes_from_the_checkpoint() -> None:
    lazy, linear = torch.nn.LazyLinear(1), torch.nn.Linear(3, 1)

    TorchModel(lazy).deserialize(TorchModel(linear).serialize())

    assert torch.equal(lazy.weight, linear.weight)


def test_optimizers_and_schedulers_can_be_left_out() -> None:
    model, other = trained(seed=1), trained(seed=2)
    before = other.optimizers[0].state_dict()

    assert list(model.serialize(keep_states=False)) == ["module"]
    other.deserialize(model.serialize(), load_states=False)

    assert_equal(other.module.state_dict(), model.module.state_dict())
    assert_equal(other.optimizers[0].state_dict(), before)


def test_what_differs_of_another_architecture_is_named_and_nothing_changes() -> None:
    model = TorchModel(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(5, 1)))
    before = {name: tensor.clone() for name, tensor in model.module.state_dict().items()}

    with pytest.raises(CheckpointError) as caught:
        model.deserialize(trained(seed=1).serialize())

    assert str(caught.value) == (
        "the checkpoint is of another architecture than the Sequential: only in the checkpoint: 1.weight, "
        "1.bias, 1.running_mean, 1.running_var, 1.num_batches_tracked; of other shapes: 2.weight ((1, 4) in "
        "the checkpoint, (1, 5) in the module)"
    )
    assert_equal(dict(model.module.state_dict()), before)


def test_a_long_list_of_differences_is_cut() -> None:
    wide = torch.nn.ModuleDict({str(number): torch.nn.Linear(1, 1) for number in range(4)})

    with pytest.raises(CheckpointError, match=r"only in the module: 0\.weight, .*, 2\.weight and 3 more$"):
        TorchModel(wide).deserialize({"module": {}})


@pytest.mark.parametrize(("change", "message"), [
    ({"module": 3}, "its entry 'module' is no state dict"),
    ({"optimizers": []}, "the state of 0 optimizers, and the model has 2"),
    ({"schedulers": [{}]}, "the state of 1 schedulers, and the model has 2"),
    ({"optimizers": [{"param_groups": [{"params": [0]}]}, {}]}, r"groups of \[1\] param.*AdamW of \[2\]"),
    ({"optimizers": [3, 3]}, "optimizers/0 is no optimizer's state"),
    ({"optimizers": 3}, "its entry 'optimizers' is no list of states"),
    ({"optimizers": [{"bits of": "bfloat17", "bits": np.ones(2, "i2")}, {}]}, "optimizers/0 in .*bfloat17"),
    ({"schedulers": [{}, {"trainsignal kind": "no such"}]}, "schedulers/1 in the checkpoint cannot be read"),
    ({"schedulers": [{}, {"trainsignal kind": "no such", "state": {}}]}, "schedulers/1 in the checkpoint ca"),
    ({"schedulers": [{}, 3]}, r"the ReduceLROnPlateau does not take 'schedulers/1' of the checkpoint \(Type"),
], ids=[
    "module", "optimizers", "schedulers", "groups", "no state", "no list", "unknown type", "damaged kind",
    "unknown kind", "refused",
])  # fmt: skip
def test_a_checkpoint_of_other_parts_is_refused_and_nothing_changes(
    change: dict[str, Any], message: str
) -> None:
    model = trained(seed=2)
    before = copy.deepcopy(states_of(model))

    with pytest.raises(CheckpointError, match=message):
        model.deserialize(trained(seed=1).serialize() | change)

    assert_equal(states_of(model), before)


class Refusing:
    """Something with a state that it does not take back."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise self.error


@pytest.mark.parametrize(
    "error", [ValueError("no"), CheckpointError("no"), KeyboardInterrupt("no")], ids=repr
)
def test_nothing_changes_where_the_last_of_all_refuses(error: BaseException) -> None:
    model, refusing = trained(seed=2), Refusing(error)
    model.schedulers = (*model.schedulers, refusing)
    before = copy.deepcopy(states_of(model))
    state = trained(seed=1).serialize()
    state["schedulers"].append({})
    expected = CheckpointError if isinstance(error, Exception) else KeyboardInterrupt

    with pytest.raises(expected, match="no"):
        model.deserialize(state)

    assert_equal(states_of(model), before)


def test_a_member_that_does_not_take_its_own_state_back_is_told_of() -> None:
    error = ValueError("never")
    model = TorchModel(torch.nn.Linear(1, 1), scheduler=Refusing(error))

    with pytest.raises(CheckpointError, match=r"'schedulers/0' of the checkpoint \(ValueError: never\)"):
        model.deserialize(model.serialize())

    assert error.__notes__ == ["and the Refusing does not take its own state back: never"]


def test_the_state_of_an_optimizer_with_its_parameters_in_another_order_is_refused() -> None:
    def model(*names: str) -> TorchModel:
        module = torch.nn.Linear(3, 2)
        adam = torch.optim.Adam([getattr(module, name) for name in names])
        module(torch.ones(1, 3)).sum().backward()
        adam.step()
        return TorchModel(module, optimizer=adam)

    other = model("bias", "weight")
    before = copy.deepcopy(states_of(other))

    with pytest.raises(CheckpointError) as caught:
        other.deserialize(model("weight", "bias").serialize())

    assert str(caught.value) == (
        "optimizers/0 of Adam: 'exp_avg' of parameter 0 has the shape (2, 3) in the checkpoint, and the "
        "parameter (2,). Make the optimizer with its parameters in their order of then. Load the checkpoint "
        "with load_states=False to take the module alone."
    )
    assert_equal(states_of(other), before)


@pytest.mark.parametrize("kind", [
    one for one in vars(torch.optim).values()
    if isinstance(one, type) and one not in (torch.optim.Optimizer, torch.optim.SparseAdam)
], ids=lambda kind: str(kind.__name__))  # fmt: skip
def test_each_optimizer_of_pytorchs_takes_its_own_state(kind: Any) -> None:
    def model() -> TorchModel:
        module = torch.nn.Linear(3, 2, bias=False)
        return TorchModel(module, optimizer=kind(module.parameters(), lr=0.1))

    trained_one, fresh = model(), model()
    (optimizer,) = trained_one.optimizers

    def loss() -> Any:
        optimizer.zero_grad()
        value = trained_one.module(torch.ones(1, 3)).square().sum()
        value.backward()
        return value

    for _ in range(2):
        optimizer.step(loss)
    fresh.deserialize(trained_one.serialize())

    assert_equal(states_of(fresh), states_of(trained_one))


def test_a_learning_rate_that_is_a_tensor_stays_on_its_device() -> None:
    model = TorchModel(
        module := torch.nn.Linear(1, 1), optimizer=torch.optim.SGD(module.parameters(), lr=0.1)
    )
    (group,) = model.optimizers[0].param_groups
    group["lr"] = torch.tensor(0.1)
    state = model.serialize()
    group["lr"] = torch.tensor(0.1, device="meta")

    model.deserialize(state)

    assert model.optimizers[0].param_groups[0]["lr"].device.type == "meta"


class Picky(torch.nn.Linear):  # type: ignore[misc]  # untyped framework
    """A module that refuses every state."""

    def _load_from_state_dict(self, *arguments: Any) -> None:
        arguments[-1].append("I do not want to")


def test_what_the_module_itself_refuses_is_a_checkpoint_error() -> None:
    with pytest.raises(
        CheckpointError, match=r"(?s)the Picky does not take 'module' of the checkpoint .*I do not want to"
    ):
        TorchModel(Picky(1, 1)).deserialize(TorchModel(torch.nn.Linear(1, 1)).serialize())


@pytest.mark.parametrize("saved, own", [("SGD", "Adam"), ("Adam", "SGD"), ("RMSprop", "Adagrad")])
def test_state_of_an_optimizer_of_another_kind_is_refused(saved: str, own: str) -> None:
    def trained(kind: str) -> TorchModel:
        module = torch.nn.Linear(2, 1)
        optimizer = getattr(torch.optim, kind)(module.parameters(), lr=0.1)
        module(torch.ones(4, 2)).sum().backward()
        optimizer.step()
        return TorchModel(module, optimizer=optimizer)

    model = trained(own)
    before = model.module.weight.detach().clone()

    with pytest.raises(CheckpointError, match=rf"is of another kind than the model's {own}"):
        model.deserialize(trained(saved).serialize())

    assert torch.equal(model.module.weight, before)
    model.optimizers[0].step()
