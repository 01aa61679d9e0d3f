"""A training of several ranks by a framework: `framework_program.py FRAMEWORK FOLDER FATE`.

FRAMEWORK is "lightning", "transformers" or "ignite". FATE is as for `rank_program`, and has "size", the
number of ranks. Each rank trains as many minibatches as the others, together those of `trained_alone`.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import ConcatDataset, DataLoader, DistributedSampler, TensorDataset

from tests.support.rank_program import BATCH, SAMPLES, absolute_error, add_fate, data, leave_word, options
from trainsignal import Callbacks
from trainsignal.models.torch import TorchModel

Module: Any = torch.nn.Module
LEARNING_RATE = 0.01
mean_squared_error = torch.nn.functional.mse_loss


def sets(repeats: int) -> tuple[Any, Any]:
    """Return the training set, so many times, and the set that is held out."""
    inputs, targets = (torch.from_numpy(array) for array in data())
    training = ConcatDataset([TensorDataset(inputs[:SAMPLES], targets[:SAMPLES])] * repeats)
    return training, TensorDataset(inputs[SAMPLES:], targets[SAMPLES:])


def network() -> Any:
    """Return the same network in each process."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def part(samples: Any, minibatch: int, rank: int, size: int) -> Any:
    """Return a loader of one rank's part."""
    sampler: Any = DistributedSampler(samples, num_replicas=size, rank=rank, shuffle=False)
    return DataLoader(samples, minibatch, sampler=sampler)


def trained_alone(epochs: int) -> dict[str, list[float]]:
    """Return what a loop of PyTorch's in one process finds: the series that ranks together should have."""
    training, held_out = sets(1)
    module = network()
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
    costs: list[float] = []
    found: dict[str, list[float]] = {"loss": [], "train": []}
    for _ in range(epochs):
        for x, y in DataLoader(training, BATCH):
            optimizer.zero_grad()
            loss = mean_squared_error(module(x), y)
            loss.backward()
            optimizer.step()
            costs.append(loss.item())
            found["train"].append(sum(costs[-10:]) / len(costs[-10:]))  # neon's window
        with torch.no_grad():
            found["loss"].append(mean_squared_error(module(held_out[:][0]), held_out[:][1]).item())
    return found


def train_with_lightning(fate: dict[str, Any], folder: Path, rank: int) -> Callbacks:
    """Train with strategy "ddp", for which Lightning starts the second process itself."""
    import lightning.pytorch as pytorch

    from trainsignal.loops.lightning import LightningLoop

    training, held_out = sets(fate.get("repeats", 1))

    class Trained(pytorch.LightningModule):  # type: ignore[misc]  # untyped framework
        def __init__(self) -> None:
            super().__init__()
            self.network = network()

        def forward(self, inputs: Any) -> Any:
            return self.network(inputs)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return mean_squared_error(self(batch[0]), batch[1])

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", mean_squared_error(self(batch[0]), batch[1]), sync_dist=True)

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=LEARNING_RATE)

    module: Any = Trained()
    size = fate["size"]
    model = TorchModel(module, loss=mean_squared_error)
    callbacks = Callbacks(
        model, eval_set=part(held_out, 7, rank, size), metric=absolute_error, **options(fate, folder)
    )
    add_fate(callbacks, fate, rank)
    trainer = pytorch.Trainer(
        strategy="ddp", accelerator="cpu", devices=size, max_epochs=3, callbacks=[LightningLoop(callbacks)],
        logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, part(training, BATCH // size, rank, size), DataLoader(held_out, 5))
    return callbacks


class WithLoss(Module):  # type: ignore[misc]  # untyped framework
    """Returns the loss beside the outputs, as models of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.network = network()

    def forward(self, inputs: Any, labels: Any = None) -> dict[str, Any]:
        outputs = self.network(inputs)
        loss = {} if labels is None else {"loss": mean_squared_error(outputs, labels)}
        return {**loss, "logits": outputs}


def loss_of_dict(outputs: Any, targets: Any) -> Any:
    return mean_squared_error(outputs["logits"], targets)


def error_of_dict(outputs: Any, targets: Any) -> Any:
    return absolute_error(outputs["logits"], targets)


def named(samples: Any) -> list[dict[str, Any]]:
    return [{"inputs": inputs, "labels": target} for inputs, target in samples]


error_of_dict.__name__ = absolute_error.__name__  # by which the series is called


def train_with_transformers(fate: dict[str, Any], folder: Path, rank: int) -> Callbacks:
    """Train with the Trainer of Hugging Face, which finds torchrun by itself."""
    import transformers

    from trainsignal.loops.transformers import TransformersLoop

    training, held_out = sets(fate.get("repeats", 1))
    module, size = WithLoss(), fate["size"]
    model = TorchModel(module, loss=loss_of_dict)
    callbacks = Callbacks(
        model, eval_set=part(held_out, 7, rank, size), metric=error_of_dict, **options(fate, folder)
    )
    add_fate(callbacks, fate, rank)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "trainer"), per_device_train_batch_size=BATCH // size, num_train_epochs=3,
        learning_rate=LEARNING_RATE, optim="sgd", lr_scheduler_type="constant", max_grad_norm=0.0,
        train_sampling_strategy="sequential", save_strategy="no", eval_strategy="epoch", report_to="none",
        disable_tqdm=True, use_cpu=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = transformers.Trainer(
        module, arguments, train_dataset=named(training), eval_dataset=named(held_out),
        callbacks=[TransformersLoop(callbacks)],
    )  # fmt: skip
    with callbacks:
        trainer.train()
    return callbacks


def train_with_ignite(fate: dict[str, Any], folder: Path, rank: int) -> Callbacks:
    """Train with an engine, in the processes that Ignite's `Parallel` finds started by torchrun."""
    import ignite.distributed as distributed
    from ignite.engine import Engine

    from trainsignal.loops.ignite import IgniteLoop

    def trained(local_rank: int) -> Callbacks:
        training, held_out = sets(fate.get("repeats", 1))
        size = distributed.get_world_size()
        module: Any = distributed.auto_model(network())
        optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
        model = TorchModel(module, loss=mean_squared_error, optimizer=optimizer)
        callbacks = Callbacks(
            model, eval_set=part(held_out, 7, rank, size), metric=absolute_error, **options(fate, folder)
        )
        add_fate(callbacks, fate, rank)

        def step(engine: Any, batch: Any) -> Any:
            optimizer.zero_grad()
            loss = mean_squared_error(module(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            return loss

        trainer: Any = Engine(step)
        IgniteLoop(callbacks).attach(trainer)
        trainer.run(part(training, BATCH // size, rank, size), max_epochs=3)
        return callbacks

    with distributed.Parallel(backend="gloo") as parallel:
        made: list[Callbacks] = []
        parallel.run(lambda local_rank: made.append(trained(local_rank)))
    return made[0]


TRAINING = {
    "lightning": train_with_lightning,
    "transformers": train_with_transformers,
    "ignite": train_with_ignite,
}


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))  # Lightning sets the latter alone
    leave_word(rank, lambda framework, fate, folder: TRAINING[framework](fate, folder, rank))
