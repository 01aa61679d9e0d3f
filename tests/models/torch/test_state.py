from __future__ import annotations

from collections import Counter, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.torch_training import assert_equal, trained
from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError
from trainsignal.models.torch import TorchModel

SUFFIXES = [".h5", ".npz", ".pt", ".safetensors"]


class Extra(torch.nn.Module):  # type: ignore[misc]  # untyped framework
    """A module with a state beside its parameters and buffers."""

    def __init__(self, extra: Any) -> None:
        super().__init__()
        self.extra = extra
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_module_optimizers_and_schedulers_come_back_through_each_format(suffix: str, tmp_path: Path) -> None:
    model, other = trained(seed=1), trained(seed=2)

    path = save_state(model.serialize(), tmp_path / f"model{suffix}")
    other.deserialize(load_state(path))

    assert_equal(dict(other.module.state_dict()), dict(model.module.state_dict()))
    for one, its in zip(
        model.optimizers + model.schedulers, other.optimizers + other.schedulers, strict=True
    ):
        assert_equal(its.state_dict(), one.state_dict())
    assert isinstance(other.schedulers[0].milestones, Counter)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.complex64], ids=str)
def test_parameters_of_each_type_come_back_through_each_format(
    dtype: torch.dtype, suffix: str, tmp_path: Path
) -> None:
    modules = [torch.nn.Linear(2, 2, dtype=dtype) for _ in range(2)]

    path = save_state(TorchModel(modules[0]).serialize(), tmp_path / f"model{suffix}")
    TorchModel(modules[1]).deserialize(load_state(path))

    assert_equal(*[dict(one.state_dict()) for one in modules])


def test_buffers_of_float8_come_back() -> None:
    modules = [torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)]
    for number, module in enumerate(modules):
        module.register_buffer("scale", torch.tensor([1.0 + number, 448]).to(torch.float8_e4m3fn))

    TorchModel(modules[1]).deserialize(TorchModel(modules[0]).serialize())

    assert modules[1].scale.float().tolist() == [1, 448]


def test_pytorch_alone_reads_the_file(tmp_path: Path) -> None:
    model, other = trained(seed=1), trained(seed=2)
    path = save_state(model.serialize(), tmp_path / "model.pt")

    content = torch.load(path, weights_only=True)
    other.module.load_state_dict(content["module"])
    for one, its in zip(other.optimizers, content["optimizers"], strict=True):
        one.load_state_dict(its)

    assert_equal(other.module.state_dict(), model.module.state_dict())
    assert_equal(other.optimizers[0].state_dict(), model.optimizers[0].state_dict())


def test_a_state_dict_of_pytorchs_own_is_loaded(tmp_path: Path) -> None:
    model, other = trained(seed=1), trained(seed=2)
    torch.save(model.module.state_dict(), tmp_path / "weights.pt")
    momentum = other.optimizers[1].state_dict()

    other.deserialize(load_state(tmp_path / "weights.pt"))

    assert_equal(other.module.state_dict(), model.module.state_dict())
    assert_equal(other.optimizers[1].state_dict(), momentum)


def test_a_state_is_a_copy() -> None:
    model = trained(seed=1)
    state = model.serialize()
    weight = state["module"]["0.weight"].copy()

    trained_on = trained(seed=2)
    trained_on.deserialize(state)
    with torch.no_grad():
        model.module[0].weight.zero_()
    for group in trained_on.optimizers[0].state.values():
        group["exp_avg"].zero_()

    np.testing.assert_array_equal(state["module"]["0.weight"], weight)
    assert state["optimizers"][0]["state"][0]["exp_avg"].any()


def test_parameters_that_are_shared_are_kept_once_and_stay_shared() -> None:
    modules = []
    for _ in range(2):
        encoder, decoder = torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False)
        decoder.weight = encoder.weight
        modules.append(torch.nn.Sequential(encoder, decoder))

    state = TorchModel(modules[0]).serialize()["module"]
    TorchModel(modules[1]).deserialize({"module": state})

    assert state["0.weight"] is state["1.weight"]
    assert modules[1][0].weight is modules[1][1].weight
    assert torch.equal(modules[1][0].weight, modules[0][0].weight)


class Fresh:
    """Something with a state that is made anew whenever it is asked for, and not kept."""

    def __init__(self, value: float) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": torch.full((1000,), self.value)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"][0].item()


def test_states_that_lie_in_the_same_memory_one_after_another_are_told_apart() -> None:
    model = TorchModel(torch.nn.Linear(1, 1), scheduler=[Fresh(value) for value in (1.0, 2.0, 3.0)])

    states = model.serialize()["schedulers"]

    assert [state["value"][0] for state in states] == [1, 2, 3]


Point = namedtuple("Point", ["x"])  # an untyped one, as modules have them


@pytest.mark.parametrize("extra", [
    {"steps": 3, "mean": torch.ones(2), "table": np.ones(2), "seen": {1, 2}, "size": (1, None)},
    Counter("abca"), torch.ones(2, dtype=torch.bfloat16),
    {"numpy array, no tensor": 1}, {1.5: "a"}, b"bytes", np.float32(2),
], ids=["dict", "counter", "tensor", "name", "key", "bytes", "scalar"])  # fmt: skip
def test_a_plain_extra_state_comes_back_as_it_was(extra: Any, tmp_path: Path) -> None:
    module = Extra(None)

    path = save_state(TorchModel(Extra(extra)).serialize(), tmp_path / "model.h5")
    TorchModel(module).deserialize(load_state(path))

    assert type(module.extra) is type(extra)
    if isinstance(extra, dict) and "table" in extra:
        assert isinstance(module.extra.pop("table"), np.ndarray)
        extra = {key: value for key, value in extra.items() if key != "table"}
    assert_equal(module.extra, extra)


@pytest.mark.parametrize(("extra", "message"), [
    ({"a": [print]}, "module/_extra_state/a/0: builtin_function_or_method is not plain"),
    (Point(1), "module/_extra_state: Point is not plain"),
    ({"a": torch.eye(2).to_sparse()}, "module/_extra_state/a: no checkpoint can hold a tensor of layout"),
], ids=["function", "named tuple", "sparse"])  # fmt: skip
def test_an_extra_state_that_no_checkpoint_holds_is_named(extra: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        TorchModel(Extra(extra)).serialize()


def test_a_module_that_is_not_initialized_has_no_state_yet() -> None:
    with pytest.raises(
        CheckpointError, match="module/weight: no checkpoint can hold a parameter that is not initialized"
    ):
        TorchModel(torch.nn.LazyLinear(1)).serialize()
