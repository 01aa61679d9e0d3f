"""Names of frameworks that adapters use although nobody promises them: that they are still there.

A release without one of them fails here, in words, and not somewhere in a user's training.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import keras
import lightning.pytorch as pytorch
import pytest
from keras.src.backend.jax.trainer import JAXTrainer

with warnings.catch_warnings():
    # Ignite imports torch.distributed.optim, which compiles scripts when it is imported
    warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
    from ignite.engine import Engine, Events


def check_has(owner: Any, path: str, adapter: str) -> None:
    """Fail where `owner` has no attribute of this name, or nested ones joined by dots."""
    for step in path.split("."):
        assert hasattr(owner, step), (
            f"this release has no {type(owner).__name__}.{step}, on which {adapter} relies: find what took "
            f"its place, change {adapter}, and set the releases that it needs in pyproject.toml"
        )
        owner = getattr(owner, step)


def test_ignites_are_there() -> None:
    engine: Any = Engine(lambda engine, batch: None)

    check_has(engine, "_dataloader_iter", "loops/ignite.py")
    check_has(engine, "_event_handlers", "loops/ignite.py")
    assert isinstance(engine._event_handlers[Events.EXCEPTION_RAISED], list)


def test_keras_are_there() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    check_has(model, "_initial_epoch", "loops/keras.py")
    check_has(keras.metrics.MeanSquaredError(), "_direction", "loops/keras.py")


def test_keras_state_on_jax_is_there() -> None:
    assert "_jax_state" in inspect.unwrap(JAXTrainer.fit).__code__.co_names, (
        "fit of Keras on JAX keeps no _jax_state any more, where loops/keras.py finds how many samples the "
        "mean loss is of: find what took its place, and change loops/keras.py"
    )


@pytest.mark.parametrize(
    "path",
    [
        "epoch_progress.current.started",
        "epoch_progress.total",
        "epoch_loop.restarting",
        "epoch_loop.batch_progress.current",
        "epoch_loop.batch_progress.total.completed",
        "epoch_loop.automatic_optimization.optim_progress.optimizer.step.total.ready",
        "epoch_loop.manual_optimization.optim_step_progress.total.ready",
    ],
)
def test_lightnings_are_there(path: str) -> None:
    trainer = pytorch.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )

    check_has(trainer.fit_loop, path, "loops/lightning.py")


def test_a_name_that_is_gone_is_told_with_what_to_do() -> None:
    with pytest.raises(
        AssertionError, match=r"no object\._gone, on which loops/x\.py relies: find what took"
    ):
        check_has(object(), "_gone", "loops/x.py")
