from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.support.runs import quiet
from trainsignal import Callbacks, LossCallback, TrainMulticostCallback, keys
from trainsignal.errors import CostError, MissingAbilityError
from trainsignal.models.torch import TorchModel


class Branches(torch.nn.Module):  # type: ignore[misc]  # untyped framework
    """Two outputs from one input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.first(x), self.second(x)


X = torch.tensor([[1.0, 2], [3, 4], [5, 6]])
Y = [torch.tensor([[1.0], [2], [3]]), torch.tensor([[0.0], [1], [0]])]


def branches() -> TorchModel:
    torch.manual_seed(0)
    module = Branches()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    return TorchModel(module, loss=[F.mse_loss, F.l1_loss], optimizer=optimizer)


def train(callbacks: Callbacks, minibatches: int = 3) -> list[tuple[float, float]]:
    """Train for an epoch; return the two costs of each minibatch."""
    model = callbacks.model()
    (optimizer,) = model.optimizers
    costs = []
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(minibatches)):
                optimizer.zero_grad()
                outputs = model.module(X)
                costs.append((F.mse_loss(outputs[0], Y[0]).item(), F.l1_loss(outputs[1], Y[1]).item()))
                loss = model.loss(outputs, Y)
                loss.backward()
                optimizer.step()
                run.cost = loss
    return costs


def test_a_loss_of_parts_is_their_sum() -> None:
    model = branches()
    outputs = model.module(X)

    loss = model.loss(outputs, Y)

    expected = F.mse_loss(outputs[0], Y[0]) + F.l1_loss(outputs[1], Y[1])
    assert loss.item() == pytest.approx(expected.item())
    assert loss.requires_grad


def test_the_cost_of_each_part_is_recorded_for_each_minibatch() -> None:
    callbacks = Callbacks(branches(), multicost=True, progress_bar=False)

    costs = train(callbacks)

    np.testing.assert_allclose(callbacks.callback_data["multicost/train_allbranches"][:], costs, rtol=1e-6)
    means = np.cumsum(costs, axis=0) / np.arange(1, 4)[:, np.newaxis]
    np.testing.assert_allclose(callbacks.callback_data["multicost/train"][:], means, rtol=1e-6)


def test_an_evaluation_gives_the_sum_and_leaves_the_parts_of_the_last_minibatch() -> None:
    model = branches()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback([(X[:2], [Y[0][:2], Y[1][:2]]), (X[2:], [Y[0][2:], Y[1][2:]])]))

    costs = train(callbacks)

    cost: Any = model.cost
    assert [part.cost.item() for part in cost.costs] == pytest.approx(costs[-1])
    with torch.no_grad():
        outputs = model.module(X)
    expected = F.mse_loss(outputs[0], Y[0]) + F.l1_loss(outputs[1], Y[1])
    assert callbacks.callback_data[keys.LOSS][0] == pytest.approx(expected.item(), rel=1e-5)


def test_a_loop_that_does_not_ask_the_model_for_its_loss_is_told() -> None:
    callbacks = quiet(branches())
    callbacks.add_callback(TrainMulticostCallback())

    with pytest.raises(CostError, match=r"a branch of model\.cost\.costs.*None is not one number"):
        callbacks.on_train_begin(1)
        callbacks.on_epoch_begin(0)
        callbacks.on_minibatch_begin(0, 0)
        callbacks.run.cost = 1.0
        callbacks.on_minibatch_end(0, 0)


def test_a_model_with_one_loss_has_no_parts() -> None:
    callbacks = quiet(TorchModel(torch.nn.Linear(1, 1), loss=F.mse_loss))
    callbacks.add_callback(TrainMulticostCallback())

    with pytest.raises(MissingAbilityError, match="needs a model with several costs"):
        callbacks.on_train_begin(1)


@pytest.mark.parametrize(("outputs", "targets", "message"), [
    (X, Y, r"has 2 parts, and outputs is a tensor of shape \(3, 2\): have the module return one"),
    ([X, X, X], Y, "outputs is a list of 3"),
    ((X, X), {"a": 1}, "targets is a dict: have the data set yield one"),
], ids=["a tensor", "too many", "a dict"])  # fmt: skip
def test_parts_need_as_many_outputs_and_targets(outputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(CostError, match=message):
        branches().loss(outputs, targets)


@pytest.mark.parametrize(("loss", "message"), [
    (torch.nn.MSELoss(reduction="none"), r'a tensor of shape \(3, 1\).*reduction="mean"'),
    (lambda outputs, targets: 1.0, "the loss is a float: expected one number"),
], ids=["one a sample", "a float"])  # fmt: skip
def test_a_loss_that_is_not_one_number_is_refused(loss: Any, message: str) -> None:
    with pytest.raises(CostError, match=message):
        TorchModel(torch.nn.Linear(1, 1), loss=loss).loss(Y[0], Y[1])
