"""Callbacks that write given numbers, and runs that are broken off and gone on with, without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.support.runs import quiet
from trainsignal import Callback, Callbacks, keys
from trainsignal.frequency import Frequency, firings, row_of


class Given(Callback):
    """Writes given values under a key, one at each epoch at which it fires."""

    def __init__(
        self,
        key: str,
        values: Sequence[float],
        epoch_freq: Frequency = 1,
        *,
        direction: str | None = None,
        dtype: str = "f4",
        from_epoch: int = 0,
    ) -> None:
        """`from_epoch`: create the series only then, instead of at train begin."""
        super().__init__(epoch_freq=epoch_freq)
        self.key = key
        self.writes = (key,)
        self.values = values
        self.direction = direction
        self.dtype = dtype
        self.from_epoch = from_epoch

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        if not self.from_epoch:
            self._create(callback_data, epochs)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        if self.key not in callback_data and epoch >= self.from_epoch:
            self._create(callback_data, len(self.values))
        if self.key in callback_data:
            row = row_of(self.epoch_freq, epoch)
            callback_data[self.key][row] = self.values[row]

    def _create(self, callback_data: Any, epochs: int) -> None:
        attributes = keys.epoch_axis(self.epoch_freq)
        if self.direction is not None:
            attributes[keys.DIRECTION] = self.direction
        rows = firings(self.epoch_freq, epochs)
        callback_data.create_series(self.key, rows, dtype=self.dtype, attributes=attributes)


def run_epochs(
    *callbacks: Callback, epochs: int, model: object = None, costs: Sequence[object] = (1.0, 2.0)
) -> Callbacks:
    """Run a hand-written loop with these callbacks alone, and with these costs in each epoch."""
    made = quiet(model)
    made.callbacks = list(callbacks)
    with made.training(epochs) as run:
        for _ in run.epochs():
            for cost in run.minibatches(costs):
                run.cost = cost
    return made


class Broken(Exception):
    """Ends a run as a crash does."""


def break_off(
    *callbacks: Callback, saved: Callback, after_epoch: int, until_epoch: int, epochs: int
) -> dict[str, Any]:
    """Run, save the state of a callback at the end of an epoch, and crash at the end of a later one."""
    state: dict[str, Any] = {}

    def act(epoch: int) -> None:
        if epoch == after_epoch:
            state.update(saved.state_dict())
        if epoch == until_epoch:
            raise Broken

    made = quiet()
    made.callbacks = list(callbacks)
    made.bus.subscribe("epoch_end", act)
    try:
        with made.training(epochs) as run:
            for _ in run.epochs():
                for cost in run.minibatches((1.0, 2.0)):
                    run.cost = cost
    except Broken:
        pass
    return state


def go_on(
    *callbacks: Callback,
    restored: Callback,
    state: dict[str, Any],
    from_epoch: int,
    epochs: int,
    model: object = None,
    prepare: Callable[[Callbacks], object] = lambda callbacks: None,
) -> Callbacks:
    """Run the rest in the order of a resumed run: begin anew, put the state back, then the next epoch."""
    made = quiet(model)
    made.callbacks = list(callbacks)
    made.run.resumed_from = Path("model.h5").absolute()
    prepare(made)
    with made:
        made.on_train_begin(epochs)
        made.run.epochs_complete, made.run.minibatches_complete = from_epoch, 2 * from_epoch
        restored.load_state_dict(state)
        for _ in made.run.epochs():
            for cost in made.run.minibatches((1.0, 2.0)):
                made.run.cost = cost
    return made
