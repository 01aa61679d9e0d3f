"""How to wrap a model of JAX or Flax, for messages about one that was not wrapped.

Does not import Flax: where there is a model of it, it is loaded.
"""

from __future__ import annotations

import sys
from typing import Final

from trainsignal.models.jax.framework import jax

_MODULES: Final = (("flax.linen", "Module"), ("flax.nnx", "Module"))
"""Classes of models: where, and the name. Those of linen hold no parameters themselves."""


def wrapper_hint(model: object) -> str | None:
    """Return how to wrap a model of JAX or Flax, as code; None for another object."""
    modules = tuple(getattr(sys.modules[where], name) for where, name in _MODULES if where in sys.modules)
    holds_arrays = any(isinstance(leaf, jax.Array) for leaf in jax.tree_util.tree_leaves(model))
    if not holds_arrays and not isinstance(model, modules):
        return None
    return (
        "JaxModel(state, apply, loss=...) from trainsignal.models.jax; state is a TrainState, or a dict with "
        '"params"'
    )
