"""`GANCostCallback`: the discriminator's cost whenever the generator is updated."""

from __future__ import annotations

from typing import Any

from trainsignal import keys
from trainsignal.abilities import HasGanCosts, to_float
from trainsignal.callback import Callback
from trainsignal.minibatch_series import create_minibatch_series
from trainsignal.run_link import run_of
from trainsignal.shared_data import SharedData


class GANCostCallback(Callback):
    """Writes, at minibatches that updated the generator, how often it was, and the discriminator's cost.

    Other minibatches have no row: theirs is missing (NaN). Neither is the first minibatch of all written, for
    a `last_gen_batch` of 0 also says that there was no update yet. Source: neon's callback of this name.
    """

    needs = (HasGanCosts,)
    writes = (keys.GAN_ITERATIONS, keys.GAN_COST)

    def __init__(self) -> None:
        """Store nothing: there is nothing to choose."""
        super().__init__()

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        for key in self.writes:
            create_minibatch_series(callback_data, key)

    def on_minibatch_end(
        self, callback_data: SharedData, model: HasGanCosts, epoch: int, minibatch: int
    ) -> None:
        if model.last_gen_batch <= 0 or model.current_batch != model.last_gen_batch:
            return
        row = run_of(self).minibatches_complete + minibatch
        callback_data[keys.GAN_ITERATIONS][row] = model.gen_iter
        callback_data[keys.GAN_COST][row] = to_float(model.cost_dis[0])
