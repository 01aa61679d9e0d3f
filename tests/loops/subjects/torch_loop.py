"""A loop written by hand around `callbacks.training`, over PyTorch."""

from __future__ import annotations

import torch

from tests.support.linear_problem import FEATURES, LEARNING_RATE
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.models.torch import TorchModel


def new_model() -> TorchModel:
    module = torch.nn.Linear(FEATURES, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
    return TorchModel(module, loss=torch.nn.MSELoss(), optimizer=optimizer)


def train(callbacks: Callbacks, plan: Plan) -> None:
    model, loader = callbacks.model(), plan.loader()
    (optimizer,) = model.optimizers
    with callbacks.training(plan.epochs) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(loader):
                optimizer.zero_grad()
                loss = model.loss(model.module(torch.from_numpy(x)), torch.from_numpy(y))
                loss.backward()
                optimizer.step()
                run.cost = loss


SUBJECT = Subject("PyTorch, by hand", new_model, train)
