"""A training loop without training: callbacks that keep a journal, and the six calls that drive them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from trainsignal import Callback, Callbacks
from trainsignal.frequency import Frequency
from trainsignal.receiver import OnError

Event: TypeAlias = tuple[object, ...]
"""Who, which signal, and its indices: `("a", "minibatch_end", 0, 3)`."""

WARM_UP = 70
"""Minibatches after which the hot path no longer looks at the clock at every one of them."""


class BareModel:
    """A model that can do nothing: the sender of the signals."""


class Journalist(Callback):
    """Writes each call of a minibatch or epoch hook into a journal, then does what it was told to do."""

    def __init__(
        self,
        name: str,
        journal: list[Event],
        act: Callable[[Event], object] = lambda event: None,
        *,
        epoch_freq: Frequency = 1,
        minibatch_freq: Frequency = 1,
    ) -> None:
        super().__init__(epoch_freq, minibatch_freq)
        self.name = name
        self.journal = journal
        self.act = act

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        self._note("epoch_begin", epoch)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self._note("epoch_end", epoch)

    def on_minibatch_begin(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self._note("minibatch_begin", epoch, minibatch)

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self._note("minibatch_end", epoch, minibatch)

    def _note(self, signal: str, *indices: int) -> None:
        event = (self.name, signal, *indices)
        self.journal.append(event)
        self.act(event)


def fails_at(*moment: object, error: BaseException) -> Callable[[Event], None]:
    """Return what makes a `Journalist` raise at one signal and position, such as `"minibatch_end", 0, 3`."""

    def act(event: Event) -> None:
        if event[1:] == moment:
            raise error

    return act


def container(*callbacks: Callback, model: object = None, on_error: OnError = "raise") -> Callbacks:
    """Return a container of just these callbacks, without neon's default ones."""
    made = Callbacks(BareModel() if model is None else model, progress_bar=False, on_error=on_error)
    made.callbacks = list(callbacks)
    return made


def drive(callbacks: Callbacks, lengths: Sequence[int]) -> None:
    """Make the calls of neon's `fit` for epochs of so many minibatches."""
    callbacks.on_train_begin(len(lengths))
    drive_epochs(callbacks, lengths)
    callbacks.on_train_end()


def drive_epochs(callbacks: Callbacks, lengths: Sequence[int]) -> None:
    """Make the calls of the epochs alone."""
    for epoch, length in enumerate(lengths):
        callbacks.on_epoch_begin(epoch)
        for minibatch in range(length):
            callbacks.on_minibatch_begin(epoch, minibatch)
            callbacks.on_minibatch_end(epoch, minibatch)
        callbacks.on_epoch_end(epoch)
