"""A run that is relayed, and a listener to it, for processes that were forked; the listener's may be killed.

The run appends what it publishes to `published`, the listener what it hears to `heard`.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainsignal import Callbacks, TrainingRun
from trainsignal.relay.settings import Relay
from trainsignal.remote import listen
from trainsignal.remote.handlers import Handler

RUN = "campaign"
SIGNALS = ("train_begin", "epoch_begin", "epoch_end", "checkpoint_saved", "stop_requested", "run_closed")

EPOCHS = 100_000
"""More than there is time for: somebody asks the run to stop."""

MINIBATCHES = 4
MINIBATCH_S = 0.003
CHECKPOINT_EVERY = 5
CLOSING_S = 30.0


class Saved:
    """The least that can be saved."""

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        return {"values": [1.0]}


def publish(folder: Path, url: str) -> None:
    """Train until somebody asks to stop, with a relay to the broker of that address."""
    _log_into(folder / "run.log")
    relay = Relay(url, run_name=RUN, allow_remote_stop=True, closing_s=CLOSING_S)
    callbacks = Callbacks(
        Saved(), output_file=folder / "run.h5", save_path=folder / "model.h5", serialize=CHECKPOINT_EVERY,
        progress_bar=False, relay=relay,
    )  # fmt: skip
    with (folder / "published").open("a", buffering=1) as published:

        def note(signal: str) -> Callable[[TrainingRun], object]:
            return lambda run: published.write(f"{signal} {run.epoch}\n")

        for signal in SIGNALS:
            callbacks.bus.subscribe(signal, note(signal))
        with callbacks.training(EPOCHS) as run:
            for _ in run.epochs():
                for _ in run.minibatches(range(MINIBATCHES)):
                    time.sleep(MINIBATCH_S)
                    run.cost = 1.0


def hear(folder: Path, url: str, process: int) -> None:
    """Listen until killed, or until the run is over, under the same name as the processes before.

    Args:
        folder: for the file.
        url: of the broker.
        process: number of this one.
    """
    _log_into(folder / "listener.log")
    heard = os.open(folder / "heard", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(signal: str) -> Handler:
        def write(run: TrainingRun) -> None:
            os.write(heard, f"{process} {run.model.number} {signal} {run.epoch}\n".encode())
            os.fsync(heard)

        return write

    listen(url, run=RUN, handlers=[(signal, note(signal)) for signal in SIGNALS], name="campaign")


def _log_into(file: Path) -> None:
    """Have this process print into a file."""
    with file.open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(message)s", force=True)
