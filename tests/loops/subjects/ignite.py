"""An engine of Ignite."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from tests.support.linear_problem import FEATURES, LEARNING_RATE
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.models.torch import TorchModel

with warnings.catch_warnings():
    # Ignite imports torch.distributed.optim, which compiles scripts when it is imported
    warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
    from ignite.engine import Engine

    from trainsignal.loops.ignite import IgniteLoop


def new_model() -> TorchModel:
    module = torch.nn.Linear(FEATURES, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
    return TorchModel(module, loss=torch.nn.functional.mse_loss, optimizer=optimizer)


def train(callbacks: Callbacks, plan: Plan) -> None:
    model = callbacks.model()
    (optimizer,) = model.optimizers

    def step(engine: Engine, batch: Any) -> Any:
        inputs, targets = (torch.as_tensor(one) for one in batch)
        optimizer.zero_grad()
        loss: Any = torch.nn.functional.mse_loss(model.module(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss

    trainer = Engine(step)
    IgniteLoop(callbacks).attach(trainer)
    trainer.run(callbacks.serve(plan.loader()), max_epochs=plan.epochs)


SUBJECT = Subject("Ignite", new_model, train, refuses_empty=ValueError, heard_of_empty="")
