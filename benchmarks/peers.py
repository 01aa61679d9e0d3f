"""How other libraries publish the end of a batch: their own dispatchers, with callbacks that do nothing.

Each is imported only when asked for; one that is not installed is left out and named.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeAlias

from benchmarks.subjects import Loop

Peer: TypeAlias = Callable[[int], Loop]
"""Makes the loop that publishes each minibatch to so many callbacks."""


def ignite(receivers: int, every: int | None = None) -> Loop:
    """Return PyTorch Ignite's `fire_event`; `every` is its own filter."""
    from ignite.engine import Engine, Events

    def silent(engine: Any) -> None:
        pass

    event = Events.ITERATION_COMPLETED
    engine = Engine(lambda engine, batch: None)
    for _ in range(receivers):
        engine.add_event_handler(event if every is None else event(every=every), silent)

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            engine.state.iteration = minibatch + 1
            engine.fire_event(event)

    return run


def torchtnt(receivers: int) -> Loop:
    """Return torchtnt's `CallbackHandler`."""
    from torchtnt.framework._callback_handler import CallbackHandler
    from torchtnt.framework.callback import Callback

    class SilentCallback(Callback):  # type: ignore[misc]  # no type information
        def on_train_step_end(self, state: Any, unit: Any) -> None:
            pass

    handler = CallbackHandler([SilentCallback() for _ in range(receivers)])

    def run(minibatches: range) -> None:
        for _ in minibatches:
            handler.on_train_step_end(None, None)

    return run


def keras(receivers: int) -> Loop:
    """Return Keras's `CallbackList`, without its history and progress bar."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    from keras.callbacks import Callback, CallbackList

    class SilentCallback(Callback):  # type: ignore[misc]  # no type information
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pass

    callbacks = CallbackList([SilentCallback() for _ in range(receivers)])
    callbacks.on_train_begin()  # starts the thread that an empty list is published in

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            callbacks.on_train_batch_end(minibatch)

    return run


def lightning(receivers: int) -> Loop:
    """Return Lightning's `_call_callback_hooks`, which its loops call."""
    from lightning.pytorch import Callback, Trainer
    from lightning.pytorch.trainer.call import _call_callback_hooks

    class SilentCallback(Callback):  # type: ignore[misc]  # no type information
        def on_train_batch_end(self, *arguments: Any) -> None:
            pass

    with _quiet("lightning.pytorch"):
        trainer = Trainer(
            accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False,
        )  # fmt: skip
    trainer.callbacks = [SilentCallback() for _ in range(receivers)]

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            _call_callback_hooks(trainer, "on_train_batch_end", None, None, minibatch)

    return run


def available(peers: dict[str, Peer], receivers: int) -> tuple[dict[str, Loop], list[str]]:
    """Return the loops of the peers that are installed, and a note for each that is not."""
    loops: dict[str, Loop] = {}
    notes: list[str] = []
    for name, peer in peers.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                loops[name] = peer(receivers)
            except ImportError as error:
                notes.append(f"{name} is left out: {error} (pip install 'trainsignal[bench]')")
    return loops, notes


ALL: dict[str, Peer] = {"Ignite": ignite, "torchtnt": torchtnt, "Keras": keras, "Lightning": lightning}


@contextmanager
def _quiet(logger_name: str) -> Generator[None]:
    logger = logging.getLogger(logger_name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
