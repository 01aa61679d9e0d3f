from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from trainsignal import Callbacks, SaveBestStateCallback, TrainCostCallback
from trainsignal.errors import ConfigurationError, MissingAbilityError, MissingPackageError
from trainsignal.frameworks import check_wrapper, device_costs_of, wrapper_hint
from trainsignal.loop_driver import LoopDriver

Install = Callable[[Mapping[str, Any]], None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Install:
    """Return what installs other files in `models/`."""

    def install(models: Mapping[str, Any]) -> None:
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

    return install


def knowing(name: str) -> Any:
    """Return what a file in `models/` may offer."""
    return SimpleNamespace(
        device_costs=SimpleNamespace(holds=lambda value: True),
        wrapper_hint=lambda model: f"{name}Model(model)",
    )


def object_of(package: str, *bases: type) -> Any:
    """Return an object of a class that comes from a package, and derives from others."""
    return type("Thing", bases, {"__module__": f"{package}.deep.inside"})()


def test_file_that_is_named_after_the_package_of_the_class_is_asked(install: Install) -> None:
    alpha, beta = knowing("Alpha"), knowing("Beta")
    install({"alpha": alpha, "beta": beta})

    assert device_costs_of(object_of("alpha")) is alpha.device_costs
    assert device_costs_of(object_of("gamma")) is None
    assert wrapper_hint(object_of("beta")) == " Wrap the Thing: BetaModel(model)"
    assert wrapper_hint(object_of("gamma")) == ""


def test_nearest_class_decides(install: Install) -> None:
    install({"alpha": knowing("Alpha"), "beta": knowing("Beta")})
    base = type(object_of("alpha"))

    assert wrapper_hint(object_of("beta", base)) == " Wrap the Thing: BetaModel(model)"
    assert wrapper_hint(object_of("users_own", base)) == " Wrap the Thing: AlphaModel(model)"


def test_file_that_knows_nothing_of_an_object_leaves_it_to_those_of_its_other_classes(
    install: Install,
) -> None:
    nothing = SimpleNamespace(
        device_costs=SimpleNamespace(holds=lambda value: False), wrapper_hint=lambda model: None
    )
    alpha = knowing("Alpha")
    install({"alpha": alpha, "beta": nothing, "empty": SimpleNamespace()})
    thing = object_of("empty", type(object_of("beta", type(object_of("alpha")))))

    assert device_costs_of(thing) is alpha.device_costs
    assert wrapper_hint(thing) == " Wrap the Thing: AlphaModel(model)"


def test_files_of_other_packages_are_not_imported(install: Install) -> None:
    install({"alpha": AssertionError("imported"), "beta": knowing("Beta")})

    assert device_costs_of(object_of("beta")) is not None
    assert device_costs_of(np.float32(1)) is None


def test_package_that_is_too_old_is_named(install: Install) -> None:
    install({"alpha": MissingPackageError("alpha is too old")})

    with pytest.raises(MissingPackageError, match="too old"):
        device_costs_of(object_of("alpha"))
    with pytest.raises(MissingPackageError, match="too old"):
        wrapper_hint(object_of("alpha"))


@pytest.mark.parametrize("make, wrapper", [
    (lambda: torch.nn.Linear(1, 1), "TorchModel"),
    (lambda: pytest.importorskip("xgboost").XGBRegressor(), "XGBoostModel"),
    (lambda: pytest.importorskip("lightgbm").LGBMClassifier(), "LightGBMModel"),
    (lambda: pytest.importorskip("sklearn.linear_model").SGDClassifier(), "SklearnModel"),
    (lambda: pytest.importorskip("keras").Sequential(), "KerasModel"),
    (lambda: pytest.importorskip("flax.linen").Dense(1), "JaxModel"),
], ids=lambda one: one if isinstance(one, str) else "")  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # frameworks warn of each other when imported
def test_each_frameworks_own_model_gets_its_own_wrapper(make: Callable[[], Any], wrapper: str) -> None:
    assert wrapper in wrapper_hint(make())


# -- PyTorch -------------------------------------------------------------------------------------------


def test_tensor_is_known_by_the_file_for_pytorch() -> None:
    assert (
        device_costs_of(torch.tensor(1.0)) is importlib.import_module("trainsignal.models.torch").device_costs
    )
    assert device_costs_of(1.0) is None
    assert device_costs_of("text") is None


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


# -- wrappers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("framework, refused", [("torch", False), ("keras", True)])
def test_a_wrapper_for_another_framework_is_refused(framework: str, refused: bool) -> None:
    model = importlib.import_module("trainsignal.models.torch").TorchModel(torch.nn.Linear(1, 1))
    if not refused:
        check_wrapper(model, framework)
        return
    with pytest.raises(
        ConfigurationError,
        match=r"given a TorchModel, which stands for models of torch.*trainsignal\.models\.keras",
    ):
        check_wrapper(model, framework)


def test_what_is_no_wrapper_of_ours_passes() -> None:
    check_wrapper(object(), "torch")
    check_wrapper(torch.nn.Linear(1, 1), "keras")


def test_a_loop_refuses_the_wrapper_of_another_framework_before_anything_is_published() -> None:
    callbacks = Callbacks(
        importlib.import_module("trainsignal.models.torch").TorchModel(torch.nn.Linear(1, 1))
    )
    driver = LoopDriver(callbacks, "keras")

    with pytest.raises(ConfigurationError, match="stands for models of torch"):
        driver.begin(1)

    assert not callbacks.run.has_begun
