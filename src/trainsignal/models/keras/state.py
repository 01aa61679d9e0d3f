"""What is saved of a Keras model, and its way back, with all checks first.

Variables are compared by order, name and shape. Their whole paths are saved for messages only: "dense_1" is
"dense_2" when the same code builds the model again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from trainsignal.errors import CheckpointError
from trainsignal.models.keras.variables import numbers_of

_REMEDY: Final = "Build the model as it was when the checkpoint was saved."


def model_state(model: Any, *, keep_states: bool) -> dict[str, Any]:
    """Return copies of the weights and, with `keep_states`, of what else training changes.

    That is the optimizer's variables, of which the learning rate is one unless a schedule sets it, and the
    layers' seed generators.
    """
    state: dict[str, Any] = {"framework": "keras", "weights": _saved(model.weights)}
    if not keep_states:
        return state
    state["seeds"] = _saved(seeds_of(model))
    if model.optimizer is not None and model.optimizer.built:
        state["optimizer"] = {
            "class": type(model.optimizer).__name__,
            "variables": _saved(model.optimizer.variables),
        }
    return state


def load_model_state(model: Any, state: Mapping[str, Any], *, load_states: bool) -> None:
    """Put weights and, on request, the optimizer's variables and seeds back, unless something does not fit.

    Then nothing is changed. A state without these, from `keep_states=False`, leaves them as they are.

    Raises:
        CheckpointError: it is not of a Keras model, or of one with other variables or another optimizer.
    """
    if state.get("framework") != "keras" or "weights" not in state:
        raise CheckpointError(
            "this is not the state of a Keras model. Pass what KerasModel.serialize() returned."
        )
    if not model.built:
        raise CheckpointError(
            f"the model {model.name!r} has no weights yet to load into: build it first, with "
            "model.build(input_shape) or a keras.Input"
        )
    parts = [("weights", state["weights"], model.weights)]
    if load_states and "seeds" in state:
        parts.append(("seed generators", state["seeds"], seeds_of(model)))
    if load_states and "optimizer" in state:
        _check_optimizer(state["optimizer"]["class"], model)
        parts.append(("optimizer variables", state["optimizer"]["variables"], model.optimizer.variables))
    for what, saved, variables in parts:
        _check(saved, variables, what)
    for _, saved, variables in parts:
        for entry, variable in zip(saved, variables, strict=True):
            variable.assign(entry["value"])


def seeds_of(model: Any) -> list[Any]:
    """Return the variables of the layers' seed generators: those of all that are no weights."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def _saved(variables: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"path": variable.path, "value": numbers_of(variable)} for variable in variables]


def _check_optimizer(saved: str, model: Any) -> None:
    """Compare the class of the optimizer, and build it where it was not used yet."""
    found = type(model.optimizer).__name__
    if saved != found:
        raise CheckpointError(
            f"the checkpoint holds the state of the optimizer {saved}, the model was compiled with {found}. "
            f"Compile it with {saved}, or load a checkpoint that was saved with keep_states=False."
        )
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def _check(saved: Sequence[Mapping[str, Any]], variables: Sequence[Any], what: str) -> None:
    """Refuse variables that differ in number, shape or name, and say which does first."""
    for entry, variable in zip(saved, variables, strict=False):
        shapes = np.shape(entry["value"]), tuple(variable.shape)
        names = _own_name(entry["path"]), _own_name(variable.path)
        if shapes[0] != shapes[1] or names[0] != names[1]:
            raise CheckpointError(
                f"the checkpoint holds {entry['path']!r} of shape {shapes[0]} where the model has "
                f"{variable.path!r} of shape {shapes[1]}. {_REMEDY}"
            )
    if len(saved) != len(variables):
        raise CheckpointError(
            f"the checkpoint holds {len(saved)} {what}, the model has {len(variables)}. {_REMEDY}"
        )


def _own_name(path: str) -> str:
    """Return what the last part of a path says without the names of layers: "kernel", "momentum"."""
    return path.rpartition("/")[2].rpartition("_")[2]
