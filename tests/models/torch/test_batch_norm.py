from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.support.runs import quiet
from trainsignal import BatchNormTuneCallback
from trainsignal.errors import ConfigurationError, DataError, MissingAbilityError
from trainsignal.models.torch import TorchModel
from trainsignal.models.torch.state import states_of

IMAGES = torch.randn(7, 2, 3, 3, generator=torch.Generator().manual_seed(1)) * 2 + 3


def normalized() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.BatchNorm2d(2), torch.nn.Conv2d(2, 3, 2), torch.nn.BatchNorm2d(3), torch.nn.Dropout(0.5),
        torch.nn.Flatten(), torch.nn.LazyBatchNorm1d(),
    )  # fmt: skip


def ready() -> Any:
    module = normalized()
    module(IMAGES)
    return module


def pairs(batch_size: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(part, torch.zeros(len(part))) for part in IMAGES.split(batch_size)]


def tune(module: Any, tune_set: Any) -> None:
    """Run a loop that does not train."""
    callbacks = quiet(TorchModel(module))
    callbacks.add_callback(BatchNormTuneCallback(tune_set))
    with callbacks.training(1) as run:
        list(run.epochs())


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7], ids=lambda size: f"batches of {size}")
def test_statistics_of_the_inputs_are_exact_and_unbiased_for_any_minibatches(batch_size: int) -> None:
    module = torch.nn.BatchNorm2d(2)

    tune(module, pairs(batch_size))

    values = IMAGES.double().numpy().transpose(1, 0, 2, 3).reshape(2, -1)
    assert module.running_mean is not None and module.running_var is not None
    np.testing.assert_allclose(module.running_mean.numpy(), values.mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(module.running_var.numpy(), values.var(axis=1, ddof=1), rtol=1e-6)


def test_inner_layers_see_what_training_on_the_whole_set_shows_them() -> None:
    module = ready()
    for one in module.modules():
        if isinstance(one, torch.nn.BatchNorm2d):
            one.momentum = None  # PyTorch then keeps the plain mean, of one minibatch here
            one.reset_running_stats()
    expected = states_of(module.train(), (), ())["module"]
    module(IMAGES)
    expected = states_of(module, (), ())["module"]
    module[0].reset_running_stats()
    module[2].reset_running_stats()

    tune(module, pairs(7))

    for name in ("0.running_mean", "0.running_var", "2.running_mean", "2.running_var"):
        tuned = states_of(module, (), ())["module"][name]
        np.testing.assert_allclose(tuned, expected[name], rtol=1e-5)


def test_all_else_is_as_before() -> None:
    module = ready().eval()
    module[3].train()
    before = states_of(module, (), ())["module"]
    random = torch.get_rng_state()

    tune(module, DataLoader(TensorDataset(IMAGES, torch.zeros(7)), batch_size=4, shuffle=True))

    after = states_of(module, (), ())["module"]
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed == {f"{place}.running_{what}" for place in (0, 2, 5) for what in ("mean", "var")}
    assert torch.equal(torch.get_rng_state(), random)
    assert [one.training for one in module] == [False, False, False, True, False, False]
    assert not any(one._forward_pre_hooks for one in module.modules())


class Failing:
    """A data set that fails after its first minibatch."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, None]]:
        yield IMAGES, None
        raise ZeroDivisionError


def test_nothing_changes_where_the_data_set_fails() -> None:
    module = ready()
    before = states_of(module, (), ())["module"]

    with pytest.raises(ZeroDivisionError):
        tune(module, Failing())

    np.testing.assert_equal(states_of(module, (), ())["module"], before)


class Frozen(torch.nn.BatchNorm2d):  # type: ignore[misc]  # untyped framework
    """A normalization that keeps its averages."""

    def train(self, mode: bool = True) -> Frozen:
        super().train(False)
        return self


def test_layers_that_are_kept_from_training_are_left_alone() -> None:
    module = torch.nn.Sequential(Frozen(2), torch.nn.BatchNorm2d(2))

    tune(module, pairs(7))

    frozen, free = list(module)
    assert frozen.running_mean.tolist() == [0, 0]
    assert free.running_mean.tolist() != [0, 0]


def test_a_model_without_batch_normalization_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigurationError, match="no batch normalization to tune"):
        tune(torch.nn.Linear(1, 1), pairs(7))


def test_a_set_without_minibatches_is_refused() -> None:
    with pytest.raises(DataError, match="list yielded no minibatch to tune on"):
        tune(ready(), [])


def test_a_raw_module_is_refused_with_its_wrapper() -> None:
    callbacks = quiet(ready())
    callbacks.add_callback(BatchNormTuneCallback(pairs(7)))

    with pytest.raises(
        MissingAbilityError, match=r"TorchModel\(module, loss=\.\.\., optimizer=\.\.\.\) from"
    ):
        callbacks.on_train_begin(1)
