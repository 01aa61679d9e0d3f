"""What is saved of a model, in neon's structure, and reading it back.

`epoch_index`, `train_input_shape` and the layers' entries are added by `Model.serialize`.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from trainsignal.errors import CheckpointError
from trainsignal.models.numpy_net.arrays import Shape
from trainsignal.models.numpy_net.container import Sequential
from trainsignal.models.numpy_net.description import describe, type_name
from trainsignal.models.numpy_net.layer_state import Entry

NEON_VERSION = "2.6.0"
"""The neon whose structure the saved state follows."""


def model_description(
    layers: Sequential, entries: list[Entry], seed: int, rng: np.random.RandomState, **parts: object
) -> dict[str, Any]:
    """Return a model's description.

    Args:
        layers: the model's layers.
        entries: what is to be said of each layer.
        seed: what `rng` was seeded with.
        rng: the model's generator.
        parts: `cost` and `optimizer`; one that is None is left out.
    """
    return {
        "neon_version": NEON_VERSION,
        "backend": {"type": "NumPy", "rng_seed": seed, "rng_state": rng.get_state()},
        **{name: describe(part) for name, part in parts.items() if part is not None},
        "model": {
            "type": type_name(layers),
            "container": True,
            "config": {"name": layers.name, "layers": entries},
        },
    }


@dataclass(frozen=True, slots=True)
class SavedModel:
    """What a state holds, checked as far as that goes without the model."""

    layers: Sequence[Entry]
    input_shape: Shape | None
    """Shape of one sample; None where the state, as a description, is without."""
    epoch_index: int | None
    """Number of completed epochs; None where the state is without."""
    rng: np.random.RandomState
    """A generator in the saved state."""


def read_state(state: Mapping[str, Any]) -> SavedModel:
    """Return what `state` holds.

    Raises:
        CheckpointError: it is not the state of a model.
    """
    try:
        return SavedModel(
            layers=list(state["model"]["config"]["layers"]),
            input_shape=_shape(state.get("train_input_shape")),
            epoch_index=operator.index(state["epoch_index"]) if "epoch_index" in state else None,
            rng=_generator(state["backend"]["rng_state"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise CheckpointError(
            f"this is not the state of a model ({type(error).__name__}: {error}). "
            "Pass what Model.serialize() returned."
        ) from error


def _shape(value: object) -> Shape | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple)):
        return tuple(operator.index(size) for size in cast("Sequence[Any]", value))
    return operator.index(cast("Any", value))


def _generator(rng_state: Any) -> np.random.RandomState:
    rng = np.random.RandomState(0)
    rng.set_state(rng_state)
    return rng
