"""Lightning's `Trainer.fit`."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pytorch
import torch

from tests.support.linear_problem import FEATURES, LEARNING_RATE
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.loops.lightning import LightningLoop
from trainsignal.models.torch import TorchModel

LightningModule: Any = pytorch.LightningModule


class LinearModule(LightningModule):  # type: ignore[misc]  # untyped framework
    """Weights, (1, 3) float32, that are trained on NumPy arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(FEATURES, 1, bias=False)
        torch.nn.init.zeros_(self.linear.weight)

    def forward(self, inputs: Any) -> Any:
        return self.linear(inputs)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        inputs, targets = (torch.as_tensor(one) for one in batch)
        return torch.nn.functional.mse_loss(self.linear(inputs), targets)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)


def new_model() -> TorchModel:
    return TorchModel(LinearModule(), loss=torch.nn.functional.mse_loss)


def train(callbacks: Callbacks, plan: Plan) -> None:
    trainer = pytorch.Trainer(
        max_epochs=plan.epochs,
        callbacks=[LightningLoop(callbacks)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(callbacks.model().module, callbacks.serve(plan.loader()))


SUBJECT = Subject(
    "Lightning",
    new_model,
    train,
    heard_of_empty="TtC",  # it trains no epoch
    is_interrupted_by=SystemExit,
    warns=(
        "`isinstance.treespec, LeafSpec.` is deprecated",  # of PyTorch, at Lightning itself
        "Total length of .* is zero",
    ),
)
