"""The catalogue of signals: what a training loop publishes, in which order, with which payload.

A run publishes, as pseudocode (`COMMON_PAYLOAD` goes with every one):

    train_begin(epochs)
    for epoch in range(epochs):
        epoch_begin(epoch)
        for minibatch, batch in enumerate(training_set):
            minibatch_begin(epoch, minibatch)
            ...                                         # forward, backward, update
            minibatch_end(epoch, minibatch)
        epoch_end(epoch)
    train_end()
    run_closed(reason, error)                           # always last, whatever happened

and, whenever it happens, `stop_requested(reason, author)` and `checkpoint_saved(path, epoch, minibatch)`.
Written with one letter a signal, a run that was completed or stopped is a sentence of `T(E(Bb)*e)*tC`; one
that was interrupted, preempted or has failed is a beginning of such a sentence, followed by `C`.

The sender of each is the model. This module only describes; `trainsignal.bus` makes signals of it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """What one signal is called, carries and means.

    Attributes:
        name: an identifier; the signal is an attribute of the bus under it.
        payload: names of the keywords that it is sent with, beside `COMMON_PAYLOAD`.
        meaning: one sentence: when it is published.
        index: the payload that `every=` and `at=` look at; None: the count of publications.
    """

    name: str
    payload: tuple[str, ...]
    meaning: str
    index: str | None = None


COMMON_PAYLOAD = ("callback_data", "run")
"""Offered with every signal: the shared data and the `TrainingRun`."""

SENDER_NAMES = ("model", "sender")
"""Under these names a handler asks for the sender."""

CATALOGUE = (
    SignalSpec("train_begin", ("epochs",), "Before the first epoch; `epochs` is None where it is unknown."),
    SignalSpec("epoch_begin", ("epoch",), "Before the minibatches of an epoch.", index="epoch"),
    SignalSpec(
        "minibatch_begin", ("epoch", "minibatch"), "Before a minibatch is computed.", index="minibatch"
    ),
    SignalSpec(
        "minibatch_end",
        ("epoch", "minibatch"),
        "After the update that a minibatch led to.",
        index="minibatch",
    ),
    SignalSpec("epoch_end", ("epoch",), "After the minibatches of an epoch.", index="epoch"),
    SignalSpec("train_end", (), "After the last epoch of a run that was completed or stopped."),
    SignalSpec("stop_requested", ("reason", "author"), "Somebody voted to stop the run."),
    SignalSpec(
        "checkpoint_saved", ("path", "epoch", "minibatch"), "A checkpoint is on the disk, whole, at `path`."
    ),
    SignalSpec(
        "run_closed",
        ("reason", "error"),
        "The last signal: why the run ended (completed, stopped, interrupted, preempted, failed), and the "
        "exception or None.",
    ),
)
"""Every signal that a bus has from the start. Epochs and minibatches count from 0."""
