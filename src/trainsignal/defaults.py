"""neon's default callbacks, and the checks of what a container is built from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from trainsignal.callback import Callback
from trainsignal.callbacks import (
    LossCallback,
    MetricCallback,
    ProgressBarCallback,
    RunTimerCallback,
    SerializeModelCallback,
    TrainCostCallback,
    TrainLoggerCallback,
    TrainMulticostCallback,
)
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import check_evaluable
from trainsignal.frequency import Frequency
from trainsignal.subscription import When

_logger = logging.getLogger(__name__)


def default_callbacks(
    model: Any,
    *,
    eval_freq: Frequency,
    eval_set: Any,
    metric: Any,
    progress_bar: bool,
    save_path: str | Path | None,
    serialize: int,
    checkpoint_every: When,
    history: int,
    multicost: bool,
    clock: Callable[[], float] = perf_counter,
) -> list[Callback]:
    """Return the callbacks that neon's container begins with, in neon's order; arguments as `Callbacks`'.

    Raises:
        ConfigurationError: arguments that do not go together.
    """
    if eval_freq is not None and eval_set is None:
        raise ConfigurationError(
            f"eval_freq={eval_freq!r} without eval_set: pass the data set to evaluate on as eval_set=..., "
            "or leave eval_freq out"
        )
    if checkpoint_every is not None and save_path is None:
        raise ConfigurationError(
            f"checkpoint_every={checkpoint_every!r} without save_path: pass the file to save to"
        )
    if serialize and save_path is None:
        raise ConfigurationError(f"serialize={serialize!r} without save_path: pass the file to save to")
    if eval_freq is not None:
        # Whether it may be empty is known when the run begins.
        check_evaluable(model, eval_set, "eval_set", is_part=True)
    else:
        _tell_of_no_evaluation(eval_set, metric)
    callbacks: list[Callback] = []
    if eval_freq is not None:
        callbacks.append(LossCallback(eval_set, epoch_freq=eval_freq))
    callbacks.append(TrainMulticostCallback() if multicost else TrainCostCallback())
    if progress_bar:
        callbacks.append(ProgressBarCallback())
    if eval_freq is not None and metric is not None:
        callbacks.append(MetricCallback(eval_set, metric, epoch_freq=eval_freq))
    if save_path is not None:
        saving = SerializeModelCallback(
            save_path, epoch_freq=serialize or 1, history=history, every=checkpoint_every, clock=clock
        )
        callbacks.append(saving)
    return [*callbacks, TrainLoggerCallback(), RunTimerCallback()]


def _tell_of_no_evaluation(eval_set: object, metric: object) -> None:
    """Tell what is not evaluated; scripts for neon pass the set whether or not --eval_freq is given."""
    if metric is not None:
        _logger.warning(
            "metric=%s has no effect without eval_freq: pass eval_freq=1 to evaluate it after each epoch",
            type(metric).__name__,
        )
    elif eval_set is not None:
        _logger.info("nothing is evaluated on eval_set: eval_freq is not given")


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
