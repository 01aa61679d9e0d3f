"""A training of several ranks, which tests start: `rank_program.py torch|mpi FOLDER FATE`.

FATE is JSON: {"do": "stop", "rank": 1, "epoch": 1, "minibatch": 3}. What is done there and then: "stop"
votes, "raise" raises, "kill" kills the process, "terminate" sends it SIGTERM, "exit" leaves without a word.
More keys: "resume", "epochs", "repeats" of the minibatches in an epoch, "grace_s", "pause_s" of a minibatch,
"differ" (the rank with one callback more). Each rank leaves what became of it in FOLDER/rank<n>.json.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trainsignal import Callback, Callbacks, PreemptedExit

SAMPLES, HELD_OUT, BATCH = 64, 50, 16
"""Of all ranks together; the held-out ones are no multiple of 4, so that samplers fill up."""


class Fate(Callback):
    """Does to its rank what was ordered."""

    def __init__(self, fate: dict[str, Any], rank: int) -> None:
        super().__init__()
        self.fate = fate
        self.rank = rank

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        fate = self.fate
        time.sleep(fate.get("pause_s", 0.0))
        if (self.rank, epoch, minibatch) != (fate.get("rank"), fate.get("epoch"), fate.get("minibatch")):
            return
        match fate["do"]:
            case "stop":
                self.request_stop("enough")
            case "raise":
                raise ValueError("bad batch")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "terminate":
                os.kill(os.getpid(), signal.SIGTERM)
            case "exit":
                os._exit(3)


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(SAMPLES + HELD_OUT, 5)).astype(np.float32)
    targets = (inputs @ random.normal(size=(5, 1)).astype(np.float32)) ** 2
    return inputs, targets


def options(fate: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {
        "progress_bar": False, "output_file": folder / "run.h5", "save_path": folder / "model.h5",
        "eval_freq": 1, "grace_s": fate.get("grace_s", 15.0), "resume": fate.get("resume", False),
    }  # fmt: skip


def absolute_error(outputs: Any, targets: Any) -> Any:
    return (outputs - targets).abs().mean()


def train_with_torch(fate: dict[str, Any], folder: Path) -> Callbacks:
    import torch
    import torch.distributed as dist
    from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

    from trainsignal.models.torch import TorchModel

    dist.init_process_group("gloo")
    rank, size = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(0)
    inputs, targets = (torch.from_numpy(array) for array in data())
    training = TensorDataset(inputs[:SAMPLES], targets[:SAMPLES])
    held_out = TensorDataset(inputs[SAMPLES:], targets[SAMPLES:])
    loader = DataLoader(training, BATCH // size, sampler=DistributedSampler(training, shuffle=False))
    held_out_loader = DataLoader(held_out, 7, sampler=DistributedSampler(held_out, shuffle=False))
    network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    network = torch.nn.parallel.DistributedDataParallel(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    loss_function = torch.nn.MSELoss()
    model = TorchModel(network, loss=loss_function, optimizer=optimizer)
    callbacks = Callbacks(model, eval_set=held_out_loader, metric=absolute_error, **options(fate, folder))
    add_fate(callbacks, fate, rank)
    with callbacks.training(epochs=fate.get("epochs", 3)) as run:
        for _ in run.epochs():
            for x, y in run.minibatches([*loader] * fate.get("repeats", 1)):
                optimizer.zero_grad()
                loss = loss_function(network(x), y)
                loss.backward()
                optimizer.step()
                run.cost = loss
    return callbacks


def train_with_mpi(fate: dict[str, Any], folder: Path) -> Callbacks:
    import torch
    from mpi4py import MPI

    from trainsignal.distributed.mpi import MPICommunicator
    from trainsignal.models.torch import TorchModel

    world = MPI.COMM_WORLD
    rank, size = world.rank, world.size
    torch.manual_seed(0)
    inputs, targets = (torch.from_numpy(array) for array in data())
    mine = [
        (inputs[first + rank : first + BATCH : size], targets[first + rank : first + BATCH : size])
        for first in range(0, SAMPLES, BATCH)
    ]
    held_out = [(inputs[SAMPLES + rank :: size], targets[SAMPLES + rank :: size])]
    network = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
    loss_function = torch.nn.MSELoss()
    model = TorchModel(network, loss=loss_function, optimizer=optimizer)
    callbacks = Callbacks(
        model, eval_set=held_out, metric=absolute_error, communicator=MPICommunicator(world),
        **options(fate, folder),
    )  # fmt: skip
    add_fate(callbacks, fate, rank)
    with callbacks.training(epochs=fate.get("epochs", 3)) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(mine * fate.get("repeats", 1)):
                optimizer.zero_grad()
                loss = loss_function(network(x), y)
                loss.backward()
                for parameter in network.parameters():
                    gradient = parameter.grad.numpy()
                    world.Allreduce(MPI.IN_PLACE, gradient)
                    gradient /= size
                optimizer.step()
                run.cost = loss
    return callbacks


def add_fate(callbacks: Callbacks, fate: dict[str, Any], rank: int) -> None:
    callbacks.add_callback(Fate(fate, rank))
    if fate.get("differ") == rank:
        callbacks.add_callback(Callback(epoch_freq=7))


def leave_word(rank: int, train: Callable[[str, dict[str, Any], Path], Callbacks]) -> None:
    """Train as the command line says, and leave what became of it.

    Args:
        rank: of this process.
        train: takes the three arguments of the command line, and returns callbacks of a run that is over.
    """
    folder = Path(sys.argv[2])
    began = time.monotonic()
    told: dict[str, Any] = {}
    try:
        run = train(sys.argv[1], json.loads(sys.argv[3]), folder).run
        told = {
            "reason": run.exit_reason, "done": run.minibatches_done, "epochs": run.epochs_complete,
            "votes": [[vote.reason, vote.author] for vote in run.votes],
        }  # fmt: skip
    except (Exception, PreemptedExit) as error:
        told = {"error": f"{type(error).__name__}: {error}", "notes": getattr(error, "__notes__", [])}
        raise
    finally:
        told["seconds"] = time.monotonic() - began
        aside = folder / f"rank{rank}.part"  # a launcher may end this process amid it
        aside.write_text(json.dumps(told))
        aside.replace(folder / f"rank{rank}.json")


def train(library: str, fate: dict[str, Any], folder: Path) -> Callbacks:
    return (train_with_torch if library == "torch" else train_with_mpi)(fate, folder)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    leave_word(int(os.environ.get("RANK", os.environ.get("OMPI_COMM_WORLD_RANK", "0"))), train)
