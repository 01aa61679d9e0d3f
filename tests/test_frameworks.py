from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trainsignal import Callbacks, SaveBestStateCallback, TrainCostCallback
from trainsignal.errors import MissingAbilityError, MissingPackageError
from trainsignal.frameworks import device_costs_of, wrapper_hint

Install = Callable[[Mapping[str, Any], Mapping[str, Any]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Return what installs other files in `models/`, and says which packages are loaded."""

    def install(models: Mapping[str, Any], loaded: Mapping[str, Any]) -> None:
        for name in models:
            (tmp_path / f"{name}.py").touch()

        def import_module(name: str) -> Any:
            if name == "trainsignal.models":
                return SimpleNamespace(__path__=[str(tmp_path)])
            found = models[name.removeprefix("trainsignal.models.")]
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr("trainsignal.frameworks.importlib", SimpleNamespace(import_module=import_module))
        monkeypatch.setattr("trainsignal.frameworks.sys", SimpleNamespace(modules=loaded))

    return install


def knowing(kind: type) -> Any:
    """Return what a file in `models/` may offer for objects of this type."""
    return SimpleNamespace(
        device_costs=SimpleNamespace(holds=lambda value: isinstance(value, kind)),
        wrapper_hint=lambda model: f"Wrapper({kind.__name__})" if isinstance(model, kind) else None,
    )


def test_file_that_is_named_after_a_loaded_package_is_asked(install: Install) -> None:
    alpha, beta = knowing(int), knowing(str)
    install({"alpha": alpha, "beta": beta}, {"alpha": object(), "beta": object()})
    assert device_costs_of(1) is alpha.device_costs
    assert device_costs_of("1") is beta.device_costs
    assert device_costs_of(1.0) is None
    assert wrapper_hint(1) == " Wrap the int: Wrapper(int)"
    assert wrapper_hint("1") == " Wrap the str: Wrapper(str)"
    assert wrapper_hint(1.0) == ""


@pytest.mark.parametrize("loaded", [{}, {"alpha": None}], ids=["not loaded", "kept from being imported"])
def test_file_of_a_package_that_is_not_loaded_is_not_imported(
    loaded: dict[str, Any], install: Install
) -> None:
    install({"alpha": AssertionError("imported")}, loaded)
    assert device_costs_of(1) is None
    assert wrapper_hint(1) == ""


def test_file_may_offer_nothing_of_this(install: Install) -> None:
    install({"alpha": SimpleNamespace()}, {"alpha": object()})
    assert device_costs_of(1) is None
    assert wrapper_hint(1) == ""


def test_package_that_is_too_old_for_us_is_left_alone(install: Install) -> None:
    beta = knowing(int)
    install({"alpha": MissingPackageError("too old"), "beta": beta}, {"alpha": object(), "beta": object()})
    assert device_costs_of(1) is beta.device_costs
    assert wrapper_hint(1) == " Wrap the int: Wrapper(int)"


def test_file_that_is_broken_is_not_passed_over(install: Install) -> None:
    install({"alpha": SyntaxError("broken")}, {"alpha": object()})
    with pytest.raises(SyntaxError, match="broken"):
        wrapper_hint(1)


# -- PyTorch -------------------------------------------------------------------------------------------


def test_tensor_is_known_by_the_file_for_pytorch() -> None:
    assert (
        device_costs_of(torch.tensor(1.0)) is importlib.import_module("trainsignal.models.torch").device_costs
    )
    assert device_costs_of(1.0) is None
    assert device_costs_of("text") is None


def test_nobody_asks_for_tensors_where_pytorch_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: module for name, module in sys.modules.items() if name != "torch"}
    monkeypatch.setattr("trainsignal.frameworks.sys", SimpleNamespace(modules=others))
    assert device_costs_of(torch.tensor(1.0)) is None


def test_message_about_a_raw_module_names_its_wrapper(tmp_path: Path) -> None:
    callbacks = Callbacks(torch.nn.Linear(2, 1), eval_set=[1], eval_freq=1, progress_bar=False)
    callbacks.add_callback(SaveBestStateCallback(tmp_path / "best.npz"))
    with pytest.raises(
        MissingAbilityError, match=r"Wrap the Linear: TorchModel\(module.*trainsignal\.models\.torch"
    ):
        callbacks.on_train_begin(1)


def test_cost_that_is_a_tensor_is_kept_as_one() -> None:
    callbacks = Callbacks(object(), progress_bar=False)
    callbacks.callbacks = [TrainCostCallback(1)]
    late: list[bool] = []
    callbacks.bus.subscribe("minibatch_end", lambda run: late.append(run.minibatch_cost.is_late))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for cost in run.minibatches([1.0, 2.0, 3.0]):
                run.cost = torch.tensor(cost, requires_grad=True)
    assert late == [True] * 3
    assert callbacks.callback_data["cost/train"][:].tolist() == [1.0, 2.0, 3.0]
