from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.support.given_series import Given, break_off, go_on, run_epochs
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import Callbacks, LossCallback, StopWhenNotImprovingCallback, TrainCostCallback
from trainsignal.errors import ConfigurationError, MissingAbilityError, WiringError

NAN = math.nan


class Stateful:
    """A model whose state is one array, which each epoch changes in place."""

    def __init__(self) -> None:
        self.weights = np.zeros(2)
        self.loads: list[tuple[list[float], bool]] = []

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        assert keep_states
        return {"layers": [self.weights]}

    def deserialize(self, state: Any, *, load_states: bool = True) -> None:
        self.weights[:] = state["layers"][0]
        self.loads.append((self.weights.tolist(), load_states))


def watched(
    values: Sequence[float], epoch_freq: Any = 1, direction: str | None = "min", **options: Any
) -> tuple[Callbacks, StopWhenNotImprovingCallback]:
    """Run epochs in which the loss takes these values, and watch it."""
    stopping = StopWhenNotImprovingCallback(**options)
    writer = Given("cost/loss", values, epoch_freq, direction=direction)
    epochs = len(values) * epoch_freq if isinstance(epoch_freq, int) else max(epoch_freq) + 1
    return run_epochs(stopping, writer, epochs=epochs), stopping


@pytest.mark.parametrize("values, patience, epochs", [
    ([3, 2, 1, 0], 1, 4), ([1, 1, 1, 1], 1, 2), ([1, 2, 2, 2, 2], 2, 3), ([3, 4, 2, 3, 3, 3], 2, 5),
    ([NAN, NAN, NAN], 2, 2), ([1, NAN, NAN, NAN], 3, 4), ([2, NAN, 1, NAN, 0], 2, 5),
], ids=repr)  # fmt: skip
def test_run_stops_after_so_many_evaluations_without_improvement(
    values: list[float], patience: int, epochs: int
) -> None:
    callbacks, _ = watched(values, patience=patience)
    assert callbacks.run.epochs_complete == epochs


def test_reason_tells_the_best_value_and_its_epoch() -> None:
    callbacks, stopping = watched([3, 1.5, 2, 2], patience=2)
    vote = callbacks.run.votes[0]
    assert vote.reason == "cost/loss is not better than 1.5 in the last 2 evaluations, since epoch 1"
    assert (vote.author, vote.at) == ("StopWhenNotImprovingCallback", "epoch")
    assert (stopping.best, stopping.best_epoch, stopping.misses) == (1.5, 1, 2)


def test_reason_tells_of_a_series_that_was_never_a_number() -> None:
    callbacks, _ = watched([NAN, NAN], patience=2)
    assert callbacks.run.votes[0].reason == "cost/loss was never a number in the last 2 evaluations"


@pytest.mark.parametrize(
    "epoch_freq, values, epochs", [(3, [1, 2, 2, 0], 9), ([0, 4, 5, 7], [1, 2, 2, 0], 6)]
)
def test_evaluations_are_counted_and_not_epochs(epoch_freq: Any, values: list[float], epochs: int) -> None:
    callbacks, _ = watched(values, epoch_freq, patience=2)
    assert callbacks.run.epochs_complete == epochs


def test_least_difference_is_that_of_the_series() -> None:
    callbacks, stopping = watched([10, 9.5, 9, 8.5], patience=2, min_delta=1.0)
    assert (callbacks.run.epochs_complete, stopping.best) == (3, 10.0)


def test_direction_is_what_the_series_tells() -> None:
    callbacks, stopping = watched([1, 2, 1, 1], direction="max", patience=2)
    assert (callbacks.run.epochs_complete, stopping.best) == (4, 2.0)


def test_direction_of_the_user_is_stronger_than_that_of_the_series() -> None:
    stopping = StopWhenNotImprovingCallback(patience=3, direction="max")
    run_epochs(Given("cost/loss", [1, 2, 0], direction="min"), stopping, epochs=3)
    assert stopping.best == 2


def test_direction_that_nobody_has_told_is_asked_for_before_the_first_epoch() -> None:
    callbacks = quiet()
    callbacks.callbacks = [
        Given("metrics/error", [1.0]),
        StopWhenNotImprovingCallback("metrics/error", patience=1),
    ]
    with pytest.raises(ConfigurationError, match=r"'metrics/error' does not tell .* pass direction='min'"):
        callbacks.on_train_begin(1)


def test_direction_of_a_series_that_is_made_late_is_looked_at_then() -> None:
    late = Given("metrics/late", [9, 3, 2, 2, 2], from_epoch=1)
    with pytest.raises(ConfigurationError, match="does not tell which values are better"):
        run_epochs(late, StopWhenNotImprovingCallback("metrics/late", patience=2), epochs=5)


def test_epochs_before_a_series_is_made_are_no_evaluations() -> None:
    late = Given("metrics/late", [0, 0, 3, 3, 3], from_epoch=2, direction="min")
    stopping = StopWhenNotImprovingCallback("metrics/late", patience=2)
    assert run_epochs(late, stopping, epochs=5).run.epochs_complete == 5
    assert (stopping.best_epoch, stopping.misses) == (2, 2)


def test_series_of_minibatches_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'cost/train': that series has a row for each minibatch"):
        run_epochs(TrainCostCallback(), StopWhenNotImprovingCallback("cost/train", patience=1), epochs=1)


def test_series_that_nobody_writes_is_refused() -> None:
    with pytest.raises(WiringError, match="reads 'cost/loss', which no callback writes"):
        run_epochs(StopWhenNotImprovingCallback(patience=1), epochs=1)


@pytest.mark.parametrize("patience", [0, -1, 1.5, True, None, "3"], ids=repr)
def test_patience_that_is_none_is_refused(patience: Any) -> None:
    with pytest.raises(ConfigurationError, match="number of evaluations, at least 1"):
        StopWhenNotImprovingCallback(patience=patience)


@pytest.mark.parametrize("options, match", [
    ({"min_delta": -1}, "min_delta=-1"), ({"direction": "lower"}, "direction='lower'"),
])  # fmt: skip
def test_difference_or_direction_that_is_none_is_refused(options: Any, match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        StopWhenNotImprovingCallback(patience=1, **options)


def restoring(values: Sequence[float], model: Any, patience: int = 2) -> tuple[Callbacks, Any]:
    """Run with `restore_best`; after n epochs the model's weights are n."""
    stopping = StopWhenNotImprovingCallback(patience=patience, restore_best=True)
    callbacks = quiet(model)
    callbacks.callbacks = [Given("cost/loss", values, direction="min"), stopping]
    callbacks.bus.subscribe("epoch_begin", lambda: model.weights.__iadd__(1), first=True)
    with callbacks.training(len(values)) as run:
        list(run.epochs())
    return callbacks, stopping


@pytest.mark.parametrize("values, best", [([3, 1, 2, 2], 2), ([3, 2, 1], 3), ([1, 2], 1)], ids=repr)
def test_best_state_is_put_back_at_train_end(values: list[float], best: int) -> None:
    model = Stateful()
    restoring(values, model)
    assert model.loads == [([best, best], True)]


def test_model_stays_as_it_is_until_train_end() -> None:
    model = Stateful()
    weights: list[float] = []
    callbacks = quiet(model)
    callbacks.callbacks = [
        Given("cost/loss", [1, 2, 2], direction="min"),
        StopWhenNotImprovingCallback(patience=9, restore_best=True),
    ]
    callbacks.bus.subscribe("epoch_begin", lambda: model.weights.__iadd__(1))
    callbacks.bus.subscribe("epoch_end", lambda: weights.append(model.weights[0]))
    with callbacks.training(3) as run:
        list(run.epochs())
    assert weights == [1, 2, 3]


def test_run_without_a_best_state_leaves_the_model_alone() -> None:
    model = Stateful()
    restoring([NAN, NAN], model)
    assert model.loads == []


def test_run_that_fails_keeps_the_last_state() -> None:
    model = Stateful()
    callbacks = quiet(model)
    callbacks.callbacks = [
        Given("cost/loss", [1, 2, 3], direction="min"),
        StopWhenNotImprovingCallback(patience=9, restore_best=True),
    ]
    with pytest.raises(ZeroDivisionError), callbacks.training(3) as run:
        next(run.epochs())
        raise ZeroDivisionError
    assert model.loads == []


def test_second_run_forgets_the_first_ones_best() -> None:
    stopping = StopWhenNotImprovingCallback(patience=2)
    for values in ([1.0, 2.0], [7.0, 8.0]):
        run_epochs(Given("cost/loss", values, direction="min"), stopping, epochs=2)
        assert (stopping.best, stopping.best_epoch, stopping.misses) == (values[0], 0, 1)


def test_model_that_cannot_be_put_back_is_refused() -> None:
    callbacks = quiet()
    callbacks.callbacks = [
        Given("cost/loss", [1], direction="min"),
        StopWhenNotImprovingCallback(patience=1, restore_best=True),
    ]
    with pytest.raises(MissingAbilityError, match="needs a model with serialize"):
        callbacks.on_train_begin(1)


def test_resumed_run_goes_on_counting() -> None:
    values = [3, 1, 2, 2, 2, 2]
    stopping = StopWhenNotImprovingCallback(patience=3)
    state = break_off(
        Given("cost/loss", values, direction="min"), stopping, saved=stopping,
        after_epoch=2, until_epoch=3, epochs=6,
    )  # fmt: skip

    fresh = StopWhenNotImprovingCallback(patience=3)
    run = go_on(
        Given("cost/loss", values, direction="min"), fresh, restored=fresh, state=state,
        from_epoch=3, epochs=6,
    ).run  # fmt: skip

    assert run.epochs_complete == 5
    assert (fresh.best, fresh.best_epoch, fresh.misses) == (1.0, 1, 3)


def test_resumed_run_puts_the_best_state_of_before_back() -> None:
    model = Stateful()
    _, stopping = restoring([1, 2], model, patience=9)
    state = {"best": 1.0, "best_epoch": 0, "misses": 1, "_best_state": {"layers": [np.full(2, 1.0)]}}
    assert stopping._best_state["layers"][0].tolist() == state["_best_state"]["layers"][0].tolist()  # type: ignore[index]

    later = Stateful()
    fresh = StopWhenNotImprovingCallback(patience=9, restore_best=True)
    go_on(
        Given("cost/loss", [1, 2, 3], direction="min"), fresh, restored=fresh, state=state,
        from_epoch=2, epochs=3, model=later,
    )  # fmt: skip

    assert later.loads == [([1, 1], True)]


def test_reference_network_ends_with_the_weights_of_its_best_epoch() -> None:
    model, weights = tiny_model(), []
    callbacks = quiet(model)
    callbacks.callbacks = [
        LossCallback(tiny_set()),
        StopWhenNotImprovingCallback(patience=99, direction="max", restore_best=True),
    ]
    callbacks.bus.subscribe("epoch_end", lambda: weights.append(np.array(model.layers.layers[0].W)))  # type: ignore[attr-defined]
    fit(model, callbacks, 4)
    losses = callbacks.callback_data["cost/loss"][:]
    np.testing.assert_array_equal(model.layers.layers[0].W, weights[int(np.argmax(losses))])  # type: ignore[attr-defined]
    assert not np.array_equal(weights[-1], weights[int(np.argmax(losses))])
