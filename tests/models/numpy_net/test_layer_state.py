from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal.errors import CheckpointError
from trainsignal.models.numpy_net import Affine, Gaussian, GradientDescentMomentum, Layer, Rectlin, Sequential
from trainsignal.models.numpy_net.layer_state import layer_state, load_layers


def trained(seed: int, nout: int = 3) -> list[Layer]:
    """Return Linear, BatchNorm and Activation after one step of training."""
    rng = np.random.RandomState(seed)
    container = Sequential([Affine(nout, Gaussian(), batch_norm=True, activation=Rectlin())])
    container.configure(4, rng)
    container.fprop(rng.normal(size=(4, 5)).astype(np.float32))
    container.bprop(rng.normal(size=(nout, 5)).astype(np.float32))
    GradientDescentMomentum(0.1, 0.9).optimize(container.layers_to_optimize, epoch=0, batch_size=5)
    return container.layers


def saved(layers: list[Layer], keep_states: bool = True) -> list[dict[str, Any]]:
    return [layer_state(layer, keep_states) for layer in layers]


def test_only_layers_with_parameters_have_params_and_states() -> None:
    assert [sorted(entry) for entry in saved(trained(0))] == [
        ["config", "params", "states", "type"],
        ["config", "params", "states", "type"],
        ["config", "type"],
    ]


def test_states_are_left_out_on_request() -> None:
    assert [sorted(entry) for entry in saved(trained(0), keep_states=False)] == [
        ["config", "params", "type"],
        ["config", "params", "type"],
        ["config", "type"],
    ]


def test_states_are_flat_for_one_parameter_and_nested_for_several_as_in_neon() -> None:
    linear, norm, _ = saved(trained(0))
    assert [np.shape(values) for values in linear["states"]] == [(3, 4)]
    assert [[np.shape(values) for values in arrays] for arrays in norm["states"]] == [[(3, 1)], [(3, 1)]]


def test_all_that_is_saved_comes_back() -> None:
    source, target = trained(0), trained(1)
    load_layers(target, saved(source), load_states=True)
    np.testing.assert_equal(saved(target), saved(source))


def test_saved_arrays_are_copies_both_ways() -> None:
    source, target = trained(0), trained(1)
    entries = saved(source)
    load_layers(target, entries, load_states=True)
    before = target[0].params["W"].copy(), target[0].states[0][0].copy()
    entries[0]["params"]["W"][...] = 0
    entries[0]["states"][0][...] = 0
    np.testing.assert_array_equal(before[0], target[0].params["W"])
    np.testing.assert_array_equal(before[1], target[0].states[0][0])
    np.testing.assert_array_equal(before[0], source[0].params["W"])


def test_parameters_are_loaded_in_place() -> None:
    target = trained(1)
    weights = target[0].params["W"]
    load_layers(target, saved(trained(0)), load_states=True)
    assert target[0].params["W"] is weights


def test_states_stay_as_they_are_where_they_are_not_to_be_loaded() -> None:
    source, target = trained(0), trained(1)
    before = target[0].states[0][0].copy()
    load_layers(target, saved(source), load_states=False)
    np.testing.assert_array_equal(target[0].states[0][0], before)
    np.testing.assert_array_equal(target[0].params["W"], source[0].params["W"])


def test_optimizer_starts_anew_where_states_were_not_saved() -> None:
    target = trained(1)
    load_layers(target, saved(trained(0), keep_states=False), load_states=True)
    assert [layer.states for layer in target] == [[[]], [[], []], []]


def broken(change: str) -> list[dict[str, Any]]:
    entries = saved(trained(0))
    linear, norm, activation = entries
    match change:
        case "fewer layers":
            entries.pop()
        case "another kind":
            entries[1], entries[2] = activation, norm
        case "missing parameter":
            del norm["params"]["gvar"]
        case "shape of a parameter":
            linear["params"]["W"] = np.zeros((16, 64))
        case "shape of a state":
            norm["states"][1] = [np.zeros((7, 1))]
        case "number of states":
            norm["states"].append([])
    return entries


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("fewer layers", "holds 2 layers, the model has 3"),
        ("another kind", "'Linear_0_bnorm' is a BatchNorm, the checkpoint has a Activation there"),
        ("missing parameter", "'Linear_0_bnorm': the checkpoint holds no 'gvar'"),
        (
            "shape of a parameter",
            r"'Linear_0': the checkpoint holds W of shape \(16, 64\), the model has \(3, 4\)",
        ),
        ("shape of a state", r"'Linear_0_bnorm'.*state of shape \(7, 1\), the model has \(3, 1\)"),
        ("number of states", "'Linear_0_bnorm'.*of 3 parameters, the layer trains 2"),
    ],
)
def test_layers_that_do_not_fit_are_refused_and_nothing_is_changed(change: str, message: str) -> None:
    target = trained(1)
    before = saved(target)
    with pytest.raises(CheckpointError, match=message):
        load_layers(target, broken(change), load_states=True)
    np.testing.assert_equal(saved(target), before)
