"""What tests of callbacks written for neon share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.runs import fit, quiet, tiny_model
from trainsignal import Callback

HOOKS = (
    "on_train_begin", "on_epoch_begin", "on_minibatch_begin",
    "on_minibatch_end", "on_epoch_end", "on_train_end",
)  # fmt: skip
TWO_BY_TWO = [
    "on_train_begin",
    *["on_epoch_begin", *["on_minibatch_begin", "on_minibatch_end"] * 2, "on_epoch_end"] * 2,
    "on_train_end",
]  # fmt: skip
"""The hooks of a run of two epochs of two minibatches, in order."""


class AtHook(Callback):
    """Does something at one hook, as a callback that overrides this one alone."""

    def __init__(self, hook: str, act: Callable[..., object]) -> None:
        super().__init__()
        setattr(self, hook, act)


def ran_with(callback: Callback, epochs: int = 2, **options: Any) -> Any:
    """Train the tiny model with neon's default callbacks and this one; return the shared data."""
    model = tiny_model()
    callbacks = quiet(model, **options)
    callbacks.add_callback(callback)
    fit(model, callbacks, epochs)
    return callbacks.callback_data
