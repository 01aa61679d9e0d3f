"""What is saved of a Keras model, and its way back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError
from trainsignal.models.keras.state import load_model_state, model_state

# NumPy, of how Keras converts PyTorch's tensors.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def network(*layers: Any, optimizer: Any = "adam", is_trained: bool = False) -> Any:
    """Return a model of these layers; by default, of a dense one."""
    model = keras.Sequential([keras.Input((3,)), *(layers or [keras.layers.Dense(1)])])
    model.compile(optimizer=optimizer, loss="mse")
    if is_trained:
        x = np.ones((4, 3), "f4")
        model.fit(x, x[:, :1], verbose=0)
    return model


def values(state: dict[str, Any]) -> list[Any]:
    parts = [*state["weights"], *state["seeds"], *state["optimizer"]["variables"]]
    return [entry["value"] for entry in parts]


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".pkl"])
def test_it_comes_back_from_a_file(suffix: str, tmp_path: Path) -> None:
    layers = [keras.layers.Dropout(0.5), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = network(*layers, is_trained=True)
    state = model_state(model, keep_states=True)
    save_state(state, tmp_path / f"model{suffix}")
    same = [keras.layers.Dropout(0.5), keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    other = network(*same)

    load_model_state(other, load_state(tmp_path / f"model{suffix}", trust_pickle=True), load_states=True)

    loaded = model_state(other, keep_states=True)
    for one, two in zip(values(state), values(loaded), strict=True):
        np.testing.assert_array_equal(one, two)


def test_it_is_a_copy() -> None:
    model = network()
    state = model_state(model, keep_states=False)
    before = state["weights"][0]["value"].copy()

    model.set_weights([np.full((3, 1), 9.0), np.zeros(1)])

    np.testing.assert_array_equal(state["weights"][0]["value"], before)


def test_without_states_the_optimizer_stays_as_it_is() -> None:
    state = model_state(network(is_trained=True), keep_states=False)
    other = network(is_trained=True)

    load_model_state(other, state, load_states=True)

    assert state.keys() == {"framework", "weights"}
    assert int(other.optimizer.iterations) == 1


def test_states_are_left_alone_where_nobody_wants_them() -> None:
    state = model_state(network(is_trained=True), keep_states=True)
    other = network(optimizer="sgd")

    load_model_state(other, state, load_states=False)

    np.testing.assert_array_equal(np.array(other.get_weights()[0]), state["weights"][0]["value"])


def test_an_optimizer_that_was_not_used_yet_is_built() -> None:
    state = model_state(network(is_trained=True), keep_states=True)
    other = network()

    load_model_state(other, state, load_states=True)

    assert int(other.optimizer.iterations) == 1


def test_an_optimizer_that_was_not_used_has_no_state_to_save() -> None:
    assert "optimizer" not in model_state(network(), keep_states=True)


def unbuilt() -> Any:
    model = keras.Sequential([keras.layers.Dense(1)], name="late")
    model.compile(optimizer="adam", loss="mse")
    return model


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda: network(keras.layers.Dense(2)),
            r"kernel' of shape \(3, 1\) where the model has '.*\(3, 2\)",
        ),
        (lambda: network(keras.layers.Dense(1), keras.layers.Dense(1)), "holds 2 weights, the model has 4"),
        (
            lambda: network(
                keras.layers.Dense(1, use_bias=False), keras.layers.LayerNormalization(center=False)
            ),
            r"bias' of shape \(1,\) where the model has '.*gamma' of shape \(1,\)",
        ),
        (lambda: network(optimizer="sgd"), "of the optimizer Adam, the model was compiled with SGD"),
        (lambda: network(keras.layers.Dropout(0.5), keras.layers.Dense(1)), "holds 0 seed generators"),
        (unbuilt, "'late' has no weights yet to load into: build it first"),
    ],
    ids=["shape", "number", "name", "optimizer", "seeds", "unbuilt"],
)
def test_another_model_is_refused_and_left_as_it_is(other: Callable[[], Any], message: str) -> None:
    state = model_state(network(is_trained=True), keep_states=True)
    model = other()
    before = model.get_weights()

    with pytest.raises(CheckpointError, match=message):
        load_model_state(model, state, load_states=True)

    for one, two in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("state", [{}, {"framework": "keras"}, {"model": {}}])
def test_something_else_is_refused(state: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="not the state of a Keras model"):
        load_model_state(network(), state, load_states=True)
