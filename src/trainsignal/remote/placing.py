"""Putting a replica where its run stands: position, rows, checkpoints, and what its archive says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from trainsignal import keys
from trainsignal.container import Callbacks
from trainsignal.notes import Checkpoint, StopVote
from trainsignal.remote.announced import Rows, Series
from trainsignal.remote.contents import RunClosed, TrainBegin, storable
from trainsignal.remote.model import RemoteModel
from trainsignal.remote.past import Past
from trainsignal.remote.series import write
from trainsignal.run import TrainingRun
from trainsignal.shared_data import SharedData


def describe(data: SharedData, model: RemoteModel, begin: TrainBegin | None) -> None:
    """Have the archive say of the remote run what it would say at home.

    Args:
        data: the replica's.
        model: tells which run it is.
        begin: what the run said when it began; None: that was missed.
    """
    config = data[keys.CONFIG].attrs
    told = {
        keys.HOST: storable(model.host),
        keys.STARTED_AT: [model.started_at],
        keys.MODEL_CLASS: model.class_name,
        keys.SCRIPT: None if model.script is None else storable(model.script),
        keys.CALLBACKS: None if begin is None else list(begin.callbacks) or None,
    }
    _put(config, told)


def describe_ending(data: SharedData, closed: RunClosed) -> None:
    """Have the archive give the remote run's own words for its end, and its moment."""
    _put(data[keys.CONFIG].attrs, {keys.EXIT_DETAIL: closed.detail, keys.EXIT_AUTHOR: closed.author})
    if closed.ended_at is not None and keys.TRAIN_END not in data:  # no callback here takes the time
        data.create_series(keys.TRAIN_END, 1, dtype="f8", attributes={keys.UNITS: "seconds"})
        data[keys.TRAIN_END][0] = closed.ended_at


def number_on(run: TrainingRun, past: Past) -> None:
    """Have a run that is about to begin count from where it stands."""
    run.epochs_complete, run.minibatches_complete = past.epochs_complete, past.minibatches_complete
    run.epoch = max(0, past.epochs_complete - 1)


def place(callbacks: Callbacks, past: Past) -> None:
    """Put what a run that has just begun has done before into its data and its notes."""
    run, data = callbacks.run, callbacks.callback_data
    write(data, past.rows)
    progress = data[keys.TIME_MARKERS].attrs
    progress[keys.EPOCHS_COMPLETE] = past.epochs_complete
    progress[keys.MINIBATCHES_COMPLETE] = past.minibatches_complete
    run.votes += [StopVote(reason, author, "minibatch", *run.position()) for reason, author in past.votes]
    for checkpoint in past.checkpoints:
        note_checkpoint(run, checkpoint)


def note_checkpoint(run: TrainingRun, checkpoint: Checkpoint) -> None:
    """Note a checkpoint, in the archive too; publishes nothing."""
    run.checkpoints.append(checkpoint)
    run.on_checkpoint(checkpoint)


def skip_to(run: TrainingRun, minibatches: int) -> None:
    """Count minibatches of the current epoch that are done, and of which nobody heard."""
    latest = max(run.minibatch_end.latest, minibatches - 1)
    run.minibatch_begin.latest = run.minibatch_end.latest = latest


def rows_of(data: SharedData, series: Iterable[Series]) -> list[Rows]:
    """Return what series hold, as far as they are there."""
    return [Rows(one, 0, np.array(data[one.key][:])) for one in series if one.key in data]


def _put(attributes: Any, told: dict[str, Any]) -> None:
    """Set attributes; None: it is not to be there."""
    for name, value in told.items():
        if value is not None:
            attributes[name] = value
        elif name in attributes:
            del attributes[name]
