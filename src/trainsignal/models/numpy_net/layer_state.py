"""What is saved of the layers, in neon's structure, and its way back, with all checks first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainsignal.errors import CheckpointError
from trainsignal.models.numpy_net.arrays import Floats
from trainsignal.models.numpy_net.description import type_name
from trainsignal.models.numpy_net.layers import Layer

Entry = Mapping[str, Any]
"""What is saved of one layer: type and config; params and states where it has parameters."""


def layer_description(layer: Layer) -> dict[str, Any]:
    """Return type and config of a layer, without its parameters."""
    return {"type": type_name(layer), "config": layer.config()}


def layer_state(layer: Layer, keep_states: bool) -> dict[str, Any]:
    """Return a layer's description with copies of its parameters and, on request, the optimizer's state."""
    return layer_description(layer) | layer.get_params_serialize(keep_states)


def load_layers(layers: Sequence[Layer], entries: Sequence[Entry], load_states: bool) -> None:
    """Put saved parameters and, on request, the optimizer's state into configured layers.

    Nothing is changed unless everything fits. A saved layer without states (`keep_states=False`) leaves
    the optimizer to start anew.

    Raises:
        CheckpointError: the saved layers are not of these kinds and shapes.
    """
    if len(layers) != len(entries):
        raise CheckpointError(
            f"the checkpoint holds {len(entries)} layers, the model has {len(layers)}. "
            "Build the model with the layers that it was saved with."
        )
    states = [_checked_states(layer, entry) for layer, entry in zip(layers, entries, strict=True)]
    for layer, entry, arrays in zip(layers, entries, states, strict=True):
        for name, values in layer.params.items():
            values[...] = entry["params"][name]
        if load_states:
            layer.states = arrays


def _checked_states(layer: Layer, entry: Entry) -> list[list[Floats]]:
    """Check one saved layer; return copies of the optimizer's arrays, one list a trained parameter."""
    saved_kind = str(entry.get("type")).rpartition(".")[2]
    if saved_kind != type(layer).__name__:
        raise CheckpointError(
            f"layer {layer.name!r} is a {type(layer).__name__}, the checkpoint has a {saved_kind} there. "
            "Build the model with the layers that it was saved with."
        )
    params: Mapping[str, Any] = entry.get("params", {})
    for name, values in layer.params.items():
        if name not in params:
            raise CheckpointError(f"layer {layer.name!r}: the checkpoint holds no {name!r} for it.")
        _check_shape(layer, name, np.shape(params[name]), values.shape)
    saved: Sequence[Any] = entry.get("states", [])
    if not saved:
        return [[] for _ in layer.states]
    groups: Sequence[Sequence[Floats]] = [saved] if len(layer.states) == 1 else saved
    if len(groups) != len(layer.states):
        raise CheckpointError(
            f"layer {layer.name!r}: the checkpoint holds optimizer states of {len(groups)} parameters, "
            f"the layer trains {len(layer.states)}."
        )
    for (parameter, _, _), arrays in zip(layer.get_params(), groups, strict=True):
        for values in arrays:
            _check_shape(layer, "an optimizer state", np.shape(values), parameter.shape)
    return [[np.array(values, np.float32) for values in arrays] for arrays in groups]


def _check_shape(layer: Layer, what: str, saved: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if saved != expected:
        raise CheckpointError(
            f"layer {layer.name!r}: the checkpoint holds {what} of shape {saved}, the model has {expected}. "
            "Build the model with the layers that it was saved with."
        )
