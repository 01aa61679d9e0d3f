"""neon's default callbacks, and the checks of what a container is built from."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

from trainsignal.abilities import CanLoad
from trainsignal.callback import Callback
from trainsignal.callbacks import (
    LossCallback,
    MetricCallback,
    ProgressBarCallback,
    RunTimerCallback,
    SerializeModelCallback,
    TrainCostCallback,
    TrainLoggerCallback,
)
from trainsignal.checkpoint import load_state
from trainsignal.errors import ConfigurationError, MissingAbilityError
from trainsignal.frequency import Frequency

_logger = logging.getLogger(__name__)


def default_callbacks(
    *,
    eval_freq: Frequency,
    eval_set: Any,
    metric: Any,
    progress_bar: bool,
    save_path: str | Path | None,
    serialize: int,
    history: int,
    multicost: bool,
) -> list[Callback]:
    """Return the callbacks that neon's container begins with, in neon's order; arguments as `Callbacks`'.

    Raises:
        ConfigurationError: arguments that do not go together.
    """
    if multicost:
        raise ConfigurationError("multicost=True: models with several costs are not supported yet")
    if eval_freq is not None and eval_set is None:
        raise ConfigurationError(
            f"eval_freq={eval_freq!r} without eval_set: pass the data set to evaluate on as eval_set=..., "
            "or leave eval_freq out"
        )
    if serialize and save_path is None:
        raise ConfigurationError(f"serialize={serialize!r} without save_path: pass the file to save to")
    callbacks: list[Callback] = []
    if eval_freq is not None:
        callbacks.append(LossCallback(eval_set, epoch_freq=eval_freq))
    callbacks.append(TrainCostCallback())
    if progress_bar:
        callbacks.append(ProgressBarCallback())
    if eval_freq is not None and metric is not None:
        callbacks.append(MetricCallback(eval_set, metric, epoch_freq=eval_freq))
    if save_path is not None:
        callbacks.append(SerializeModelCallback(save_path, epoch_freq=serialize or 1, history=history))
    return [*callbacks, TrainLoggerCallback(), RunTimerCallback()]


def check_leftovers(train_set: object, log_token: str | None) -> None:
    """Tell of two arguments of neon's that no longer mean anything."""
    if train_set is not None:
        warnings.warn(
            "Callbacks(model, train_set): train_set has no effect, as in neon; leave it out. "
            "The evaluation set is passed as eval_set=...",
            DeprecationWarning,
            stacklevel=3,
        )
    if log_token:
        _logger.warning("log_token has no effect: neon's cloud service does not exist any more")


def load_model(model: object, path: str | Path, *, trust_pickle: bool) -> None:
    """Load a checkpoint into the model.

    Raises:
        MissingAbilityError: the model cannot load one.
        CheckpointError: the file is missing, broken or of another model; untrusted pickles too.
    """
    if not isinstance(model, CanLoad):
        raise MissingAbilityError(
            f"model_file={str(path)!r}: {type(model).__name__} has no deserialize(state) to load it with"
        )
    state = load_state(path, trust_pickle=trust_pickle)
    try:
        model.deserialize(state)
    except Exception as error:
        error.add_note(f"while loading model_file={str(path)!r}")
        raise
