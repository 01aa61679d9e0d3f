"""What remote runs say as lines of text: one for each event that a person wants to hear of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trainsignal import keys
from trainsignal.readings import tracked_series, value_at_epoch_end
from trainsignal.remote.handlers import Handler
from trainsignal.remote.model import RemoteModel
from trainsignal.run import TrainingRun
from trainsignal.shared_data import SharedData


def line_handlers(tell: Callable[[str], object]) -> list[tuple[str, Handler]]:
    """Return handlers that give `tell` a line at each signal, minibatches excepted.

    Names and words in it are those of the run, whoever made them up.
    """

    def train_begin(model: RemoteModel, epochs: int | None, run: TrainingRun) -> None:
        planned = "" if epochs is None else f" for {epochs} epochs"
        script = "" if model.script is None else f" by {model.script}"
        again = f", goes on in epoch {run.epochs_complete}" if run.epochs_complete else ""
        tell(f"{model.run_name}: trains {model.class_name}{planned}{script} on {model.host}{again}")

    def epoch_end(model: RemoteModel, epoch: int, callback_data: SharedData, run: TrainingRun) -> None:
        of = "" if run.total_epochs is None else f" of {run.total_epochs}"
        told = "".join(f", {key} {value:.6g}" for key, value in _values(callback_data, epoch, run))
        tell(f"{model.run_name}: epoch {epoch}{of} done, {run.epoch_minibatches} minibatches{told}")

    def checkpoint_saved(model: RemoteModel, path: str, epoch: int, minibatch: int) -> None:
        tell(f"{model.run_name}: saved {path} at epoch {epoch}, minibatch {minibatch}")

    def stop_requested(model: RemoteModel, reason: str, author: str) -> None:
        tell(f"{model.run_name}: asked to stop by {author}: {reason}")

    def run_closed(model: RemoteModel, reason: str, callback_data: SharedData) -> None:
        detail = callback_data[keys.CONFIG].attrs.get(keys.EXIT_DETAIL)
        tell(f"{model.run_name}: {reason}" + ("" if detail is None else f": {detail}"))

    named: tuple[Handler, ...] = (train_begin, epoch_end, checkpoint_saved, stop_requested, run_closed)
    return [(handler.__name__, handler) for handler in named]


def _values(data: SharedData, epoch: int, run: TrainingRun) -> list[tuple[str, Any]]:
    """Return what the series say at the end of an epoch, those that say something."""
    found = [
        (key, value_at_epoch_end(series, epoch, run.minibatches_done))
        for key, series in tracked_series(data).items()
    ]
    return [(key, value) for key, value in found if value is not None]
