"""One rank of a small training, for a process that was forked and may be killed.

It trains linear least squares by the sum of all ranks' gradients, saves a checkpoint at each epoch's end, and
does to itself what its orders say. Leaves `announced` (the first rank), `struck`, `begun<rank>`, `log<rank>`,
and `rank<rank>.json`.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.distributed as dist

from tests.support.linear_problem import BATCH_SIZE, FEATURES, LEARNING_RATE, batches
from trainsignal import Callbacks, PreemptedExit

MINIBATCHES = 12
"""Of an epoch."""

MEETING_S = 60
EXIT_STATUS = 3
"""Of a rank that leaves without a word."""

Act = Literal["kill", "halt", "exit", "raise", "terminate", "vote"]
Place = Literal[
    "epoch_begin",
    "minibatch_begin",
    "before_sum",
    "after_sum",
    "minibatch_end",
    "epoch_end",
    "checkpoint_saved",
]


@dataclass(frozen=True)
class Deed:
    """What a rank does to itself, and when.

    Attributes:
        act: "halt" stops the process, as SIGSTOP does; "exit" ends it without a word.
        place: a signal of the run; or in the loop, before or after the ranks have added their gradients up.
        epoch: 0-based, of this process.
        minibatch: 0-based; at epochs' begins and ends without meaning.
    """

    act: Act
    place: Place
    epoch: int
    minibatch: int


@dataclass(frozen=True)
class Orders:
    """How a training of several ranks goes.

    Attributes:
        folder: for all files.
        size: number of ranks.
        epochs: how many.
        grace_s: of the run.
        listener: socket at which the first rank serves the store; None: the store is a file.
        is_resumed: whether the run goes on from its checkpoint.
        victim: the rank that does the deed.
        deed: what it does; None: nothing, or what others do to it.
    """

    folder: Path
    size: int
    epochs: int
    grace_s: float
    listener: socket.socket | None = None
    is_resumed: bool = False
    victim: int = 0
    deed: Deed | None = None


class Weights:
    """The least that can be saved and loaded."""

    def __init__(self) -> None:
        self.values = np.zeros((FEATURES, 1), np.float32)

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        return {"values": self.values}

    def deserialize(self, state: dict[str, Any], *, load_states: bool = True) -> None:
        self.values = np.array(state["values"])


def be_rank(rank: int, orders: Orders) -> None:
    """Train as this rank; the process writes into a log of its own.

    Raises:
        Exception: what ended the run, a `PreemptedExit` too.
    """
    folder = orders.folder
    with (folder / f"log{rank}").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    faulthandler.register(signal.SIGUSR1)  # for one that hangs
    dist.init_process_group("gloo", store=_store(rank, orders), rank=rank, world_size=orders.size)
    callbacks = Callbacks(
        Weights(), output_file=folder / "run.h5", save_path=folder / "model.h5", progress_bar=False,
        grace_s=orders.grace_s, resume=orders.is_resumed,
    )  # fmt: skip
    callbacks.bus.subscribe("epoch_begin", (folder / f"begun{rank}").touch, once=True)
    if rank == 0:
        callbacks.bus.subscribe("checkpoint_saved", _announcing(folder, callbacks))
    told: dict[str, Any] = {}
    try:
        _train(callbacks, orders, _strikes(rank, orders, callbacks))
    except (Exception, PreemptedExit) as error:
        told["error"] = f"{type(error).__name__}: {error}"
        raise
    finally:
        run = callbacks.run
        failure = None if run.rank_failure is None else str(run.rank_failure)
        told |= {"reason": run.exit_reason, "done": run.minibatches_done, "epochs": run.epochs_complete}
        told |= {"failure": failure, "weights": run.model.values.tolist()}
        (folder / f"rank{rank}.json").write_text(json.dumps(told))


def _store(rank: int, orders: Orders) -> dist.Store:
    """Return where the ranks find each other."""
    if orders.listener is None:
        return dist.FileStore(str(orders.folder / "store"), orders.size)
    port = orders.listener.getsockname()[1]
    served = orders.listener.fileno() if rank == 0 else None
    return dist.TCPStore(
        "127.0.0.1", port, orders.size, rank == 0, timedelta(seconds=MEETING_S), master_listen_fd=served
    )


def _train(callbacks: Callbacks, orders: Orders, strike: Callable[[Place], None]) -> None:
    mine = slice(dist.get_rank(), None, orders.size)
    model: Weights = callbacks.run.model
    with callbacks.training(orders.epochs) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(batches(MINIBATCHES)):
                error = x[mine] @ model.values - y[mine]
                gradient = torch.from_numpy(x[mine].T @ error)
                strike("before_sum")
                dist.all_reduce(gradient)
                strike("after_sum")
                model.values = model.values - LEARNING_RATE * 2 / BATCH_SIZE * gradient.numpy()
                run.cost = float(np.mean(error**2))


def _strikes(rank: int, orders: Orders, callbacks: Callbacks) -> Callable[[Place], None]:
    """Return what is to be called within minibatches, and have signals call it at theirs."""
    deed, run = orders.deed, callbacks.run
    if deed is None or rank != orders.victim:
        return lambda place: None
    first_epoch: list[int] = []
    is_each_minibatch = deed.place not in ("epoch_begin", "epoch_end", "checkpoint_saved")

    def strike(place: Place) -> None:
        first_epoch[:] = first_epoch or [run.epoch]
        is_epoch = run.epoch - first_epoch[0] == deed.epoch
        is_minibatch = not is_each_minibatch or max(0, run.minibatch_begin.latest) == deed.minibatch
        if place == deed.place and is_epoch and is_minibatch:
            (orders.folder / "struck").touch()
            _do(deed.act, callbacks)

    if deed.place not in ("before_sum", "after_sum"):
        callbacks.bus.subscribe(deed.place, lambda: strike(deed.place))
    return strike


def _do(act: Act, callbacks: Callbacks) -> None:
    match act:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "halt":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "exit":
            os._exit(EXIT_STATUS)
        case "raise":
            raise ValueError("bad batch")
        case "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
        case "vote":
            callbacks.run.request_stop("enough")


def _announcing(folder: Path, callbacks: Callbacks) -> Callable[[], None]:
    """Return what writes down, for each checkpoint, how many minibatches and whole epochs were done."""

    def announce() -> None:
        run = callbacks.run
        with (folder / "announced").open("a") as announced:
            announced.write(f"{run.minibatches_done} {run.epochs_complete + run.is_ending_epoch}\n")

    return announce
