from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.support.runs import quiet
from trainsignal import GANCostCallback
from trainsignal.errors import MissingAbilityError


def trained(updates: list[bool], cost_dis: Any = None, epochs: int = 1) -> Any:
    """Return the data of a run in which the generator is updated at these minibatches, as neon's model does.

    The cost of the discriminator is minus the number of the minibatch, unless it is given.
    """
    model = SimpleNamespace(current_batch=0, last_gen_batch=0, gen_iter=0, cost_dis=cost_dis)
    container = quiet(model)
    container.callbacks = [GANCostCallback()]

    def count() -> None:
        model.current_batch += 1

    container.bus.subscribe("minibatch_end", count)  # neon's model counts a minibatch after its end
    with container.training(epochs) as run:
        for _ in run.epochs():
            for is_update in run.minibatches(updates):
                if cost_dis is None:
                    model.cost_dis = [-float(model.current_batch)]
                if is_update:
                    model.last_gen_batch = model.current_batch
                    model.gen_iter += 1
    return container.callback_data


def test_updates_of_the_generator_are_written_and_other_minibatches_are_missing() -> None:
    data = trained([False, True, False, True])
    np.testing.assert_array_equal(data["gan/gen_iter"][:], [np.nan, 1, np.nan, 2])
    np.testing.assert_array_equal(data["gan/cost_dis"][:], [np.nan, -1, np.nan, -3])


def test_update_at_the_very_first_minibatch_cannot_be_told_from_none() -> None:
    data = trained([True, True])
    np.testing.assert_array_equal(data["gan/gen_iter"][:], [np.nan, 2])


def test_rows_go_on_in_the_next_epoch() -> None:
    data = trained([False, True], epochs=2)
    np.testing.assert_array_equal(data["gan/gen_iter"][:], [np.nan, 1, np.nan, 2])


@pytest.mark.parametrize(
    "cost_dis", [[0.5], np.array([0.5], "f4"), np.array([[0.5]]), [np.array([[0.5]])]],
    ids=["list", "array", "(1, 1)", "tensor"],
)  # fmt: skip
def test_cost_comes_in_any_form(cost_dis: Any) -> None:
    np.testing.assert_array_equal(trained([False, True], cost_dis)["gan/cost_dis"][:], [np.nan, 0.5])


def test_series_are_laid_out_as_neons() -> None:
    data = trained([False])
    for key in ("gan/gen_iter", "gan/cost_dis"):
        assert data[key].dtype == np.float32
        assert dict(data[key].attrs) == {"time_markers": "minibatch"}


def test_model_that_trains_no_generator_is_refused() -> None:
    container = quiet()
    container.callbacks = [GANCostCallback()]
    with pytest.raises(
        MissingAbilityError, match="needs a model with cost_dis, current_batch, gen_iter, last_gen_batch"
    ):
        container.on_train_begin(1)
