"""The Trainer of Hugging Face transformers."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.support.linear_problem import BATCH_SIZE, FEATURES, LEARNING_RATE, problem
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.loops.transformers import TransformersLoop
from trainsignal.models.torch import TorchModel

Module: Any = torch.nn.Module
IterableDataset: Any = torch.utils.data.IterableDataset
Trainer: Any = transformers.Trainer
TrainingArguments: Any = transformers.TrainingArguments


class LinearModule(Module):  # type: ignore[misc]  # untyped framework
    """Weights, (1, 3) float32; returns the loss beside the outputs, as models of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(FEATURES, 1, bias=False)
        torch.nn.init.zeros_(self.linear.weight)

    def forward(self, inputs: Any, labels: Any = None) -> dict[str, Any]:
        outputs = self.linear(inputs)
        if labels is None:
            return {"logits": outputs}
        return {"loss": torch.nn.functional.mse_loss(outputs, labels), "logits": outputs}


class Samples:
    """The samples of a plan, by their index."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.inputs, self.targets = (torch.from_numpy(one) for one in problem(plan.minibatches))

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"inputs": self.inputs[index], "labels": self.targets[index]}

    def __len__(self) -> int:
        return len(self.inputs)


class SampleStream(IterableDataset):  # type: ignore[misc]  # untyped framework
    """The samples of a plan, one after another."""

    def __init__(self, plan: Plan) -> None:
        self.samples = Samples(plan)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.samples[index] for index in range(len(self.samples)))


class FailingTrainer(Trainer):  # type: ignore[misc]  # untyped framework
    """Goes through the samples in order, and raises where the plan says so."""

    plan: Plan

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        done = self.state.global_step
        self.plan.fail_if_due(done // self.plan.minibatches, done % self.plan.minibatches)
        return super().compute_loss(model, inputs, *args, **kwargs)


def trainer(plan: Plan, callbacks: list[Any], module: Any, folder: str | Path, **options: Any) -> Any:
    """Return a quiet Trainer for the linear problem.

    Args:
        plan: what to train.
        callbacks: of the Trainer.
        module: to train.
        folder: for the Trainer's files.
        options: of `TrainingArguments`; `data` and `eval_dataset` are the Trainer's.
    """
    data = options.pop("data", None) or Samples(plan)
    evaluated = options.pop("eval_dataset", None)
    arguments = {
        "output_dir": str(folder), "per_device_train_batch_size": BATCH_SIZE, "learning_rate": LEARNING_RATE,
        "optim": "sgd", "lr_scheduler_type": "constant", "max_grad_norm": 0.0, "save_strategy": "no",
        "train_sampling_strategy": "sequential", "report_to": "none", "disable_tqdm": True, "use_cpu": True,
        "dataloader_pin_memory": False, "num_train_epochs": plan.epochs,
    }  # fmt: skip
    made = FailingTrainer(
        module, TrainingArguments(**(arguments | options)),
        train_dataset=data, eval_dataset=evaluated, callbacks=callbacks,
    )  # fmt: skip
    made.remove_callback(transformers.PrinterCallback)
    made.plan = plan
    return made


def new_model() -> TorchModel:
    def loss(outputs: Any, targets: Any) -> Any:
        return torch.nn.functional.mse_loss(outputs["logits"], targets)

    return TorchModel(LinearModule(), loss=loss)


def train(callbacks: Callbacks, plan: Plan) -> None:
    options: dict[str, Any] = {}
    if not plan.is_length_known or not plan.minibatches:
        options = {"data": SampleStream(plan), "max_steps": max(1, plan.epochs * plan.minibatches)}
    with tempfile.TemporaryDirectory() as folder:
        trainer(plan, [TransformersLoop(callbacks)], callbacks.model().module, folder, **options).train()


SUBJECT = Subject(
    "transformers", new_model, train, needs_guard=True, refuses_empty=ValueError, heard_of_empty="TEC"
)
