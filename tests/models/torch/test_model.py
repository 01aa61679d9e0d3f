from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torchmetrics
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.support.runs import Bare, hand_loop, quiet
from trainsignal import Callbacks, LearningRateScheduleCallback, LossCallback, MetricCallback, keys
from trainsignal.abilities import EvaluatesPairs, HasLearningRate, HasLoss
from trainsignal.errors import ConfigurationError, MissingAbilityError
from trainsignal.models.torch import TorchModel, wrapper_hint

X = torch.randn(10, 3, generator=torch.Generator().manual_seed(2))
Y = torch.tensor([0, 1, 0, 1, 1, 0, 1, 0, 0, 1])


def classifier() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 2)
    )


def loader(batch_size: int = 4) -> Any:
    return DataLoader(TensorDataset(X, Y), batch_size=batch_size)


def accuracy(outputs: Any, targets: Any) -> Any:
    return (outputs.argmax(dim=1) == targets).float().mean()


def test_loss_and_metrics_are_those_of_the_whole_set_in_evaluation_mode() -> None:
    module = classifier()
    model = TorchModel(module, loss=F.cross_entropy)
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(loader()))
    callbacks.add_callback(MetricCallback(loader(), accuracy))
    callbacks.add_callback(MetricCallback(loader(), torchmetrics.Accuracy(task="multiclass", num_classes=2)))

    hand_loop(callbacks, epochs=1)

    data = callbacks.callback_data
    module.eval()
    with torch.no_grad():
        outputs = module(X)
    share = (outputs.argmax(dim=1) == Y).float().mean().item()
    assert data[keys.LOSS][0] == pytest.approx(F.cross_entropy(outputs, Y).item(), rel=1e-6)
    assert data["metrics/accuracy"][0] == pytest.approx(share)
    assert data["metrics/MulticlassAccuracy"][0] == pytest.approx(share)


def test_an_evaluation_leaves_modes_gradients_and_random_numbers_as_they_were() -> None:
    module = classifier()
    module[1].eval()
    module(X).sum().backward()
    gradients = [parameter.grad.clone() for parameter in module.parameters()]
    random = torch.get_rng_state()
    callbacks = quiet(TorchModel(module, loss=F.cross_entropy))
    shuffled = DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)
    callbacks.add_callback(LossCallback(shuffled))

    hand_loop(callbacks, epochs=1)

    assert [one.training for one in module.modules()] == [True, True, False, True, True]
    assert torch.equal(torch.get_rng_state(), random)
    pairs = zip(module.parameters(), gradients, strict=True)
    assert all(torch.equal(parameter.grad, before) for parameter, before in pairs)


def test_neons_ways_to_ask_for_outputs_and_metrics() -> None:
    module = classifier()
    model = TorchModel(module)
    assert isinstance(model, EvaluatesPairs)

    with torch.no_grad():
        expected = module.eval()(X).numpy()
    module.train()

    np.testing.assert_allclose(model.fprop(X, inference=True), expected)
    np.testing.assert_allclose(model.get_outputs(loader()), expected, atol=1e-6)
    np.testing.assert_allclose(model.eval(loader(), accuracy), [(expected.argmax(1) == Y.numpy()).mean()])
    assert model.fprop(X).requires_grad
    assert module.training


class TakesDict(torch.nn.Module):  # type: ignore[misc]  # untyped framework
    """A module whose inputs are several."""

    def forward(self, inputs: dict[str, Any]) -> Any:
        return inputs["a"] + inputs["b"]


def test_a_module_is_called_with_the_inputs_as_its_one_argument() -> None:
    outputs = TorchModel(TakesDict()).predict({"a": X, "b": np.ones((10, 3), np.float32)})

    assert torch.equal(outputs, X + 1)


def test_outputs_and_plain_numbers_become_arrays() -> None:
    model = TorchModel(classifier())

    np.testing.assert_array_equal(model.to_host(X), X.numpy())
    np.testing.assert_array_equal(model.to_host([1.0]), [1.0])


def test_what_was_not_given_is_not_there_and_is_missed_before_the_run() -> None:
    model = TorchModel(classifier())
    assert not isinstance(model, HasLoss)
    for callback, message in (
        (LossCallback(loader()), r"TorchModel\(\.\.\., loss=\.\.\.\)"),
        (LearningRateScheduleCallback(lambda epoch: 0.1), "needs a model with optimizer"),
    ):
        callbacks = quiet(model)
        callbacks.add_callback(callback)
        with pytest.raises(MissingAbilityError, match=message):
            callbacks.on_train_begin(1)


def test_a_raw_module_is_refused_with_the_wrapper_that_it_needs() -> None:
    with pytest.raises(MissingAbilityError, match=r"TorchModel\(module, loss=\.\.\., optimizer=\.\.\.\)"):
        Callbacks(classifier(), save_path="model.pt", progress_bar=False).on_train_begin(1)


def test_hints_are_for_modules_alone() -> None:
    assert wrapper_hint(classifier()) is not None
    assert wrapper_hint(Bare()) is None


def test_one_or_several_optimizers_and_schedulers_are_kept() -> None:
    module = classifier()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)

    one = TorchModel(module, optimizer=optimizer, scheduler=scheduler)
    several = TorchModel(module, optimizer=[optimizer, optimizer], scheduler=(scheduler,))

    assert (one.optimizers, one.schedulers) == ((optimizer,), (scheduler,))
    assert (several.optimizers, several.schedulers) == ((optimizer, optimizer), (scheduler,))
    assert several.optimizer.learning_rate == 0.1


MODULE = torch.nn.Linear(1, 1)


@pytest.mark.parametrize(("arguments", "message"), [
    ({"module": Bare()}, "TorchModel wraps a torch.nn.Module, not Bare"),
    ({"module": torch.nn.Linear}, "wraps a torch.nn.Module, not type"),
    ({"loss": "mse"}, "loss='mse': expected a function of"),
    ({"loss": torch.nn.MSELoss}, r"loss=<class .*MSELoss'>: expected a function of"),
    ({"loss": [F.mse_loss, 3]}, "loss=3: expected a function of"),
    ({"optimizer": torch.optim.SGD}, "optimizer=<class .* expected an object with state_dict"),
    ({"optimizer": MODULE}, r"optimizer=Linear\(.*: expected an optimizer of PyTorch's"),
    ({"optimizer": torch.optim.SGD(torch.nn.Linear(1, 1).parameters())}, "SGD holds no parameter of the L"),
    ({"scheduler": 3}, "scheduler=3: expected an object with state_dict"),
], ids=[
    "model", "class of module", "name of loss", "class of loss", "part of loss", "class of optimizer",
    "no optimizer", "foreign optimizer", "no scheduler",
])  # fmt: skip
def test_what_cannot_be_what_it_is_given_as_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        TorchModel(**{"module": MODULE, **arguments})


def test_optimizers_that_a_framework_makes_are_known_from_then_on_with_their_learning_rate() -> None:
    module = torch.nn.Linear(2, 1)
    model = TorchModel(module)
    assert not isinstance(model, HasLearningRate)
    for rate in (0.5, 0.25):  # a second fit has others
        optimizer = torch.optim.SGD(module.parameters(), lr=rate)
        scheduler = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)

        model.take_optimizers([optimizer], [scheduler])

        assert isinstance(model, HasLearningRate)
        assert model.optimizer.learning_rate == rate
        assert (model.optimizers, model.schedulers) == ((optimizer,), (scheduler,))


def test_optimizers_that_the_user_gave_stay() -> None:
    module = torch.nn.Linear(2, 1)
    mine, others = (torch.optim.SGD(module.parameters(), lr=0.1) for _ in range(2))
    model = TorchModel(module, optimizer=mine)

    model.take_optimizers([others], [])

    assert model.optimizers == (mine,)
