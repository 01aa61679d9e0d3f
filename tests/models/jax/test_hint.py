from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState

from trainsignal.models.jax import JaxModel, wrapper_hint

PARAMS = {"w": jnp.zeros(2)}


@pytest.mark.parametrize(
    ("model", "is_known"),
    [
        (nn.Dense(3), True),
        (nnx.Linear(2, 3, rngs=nnx.Rngs(0)), True),
        (PARAMS, True),
        (TrainState.create(apply_fn=len, params=PARAMS, tx=optax.sgd(0.1)), True),
        ({"w": np.zeros(2)}, False),
        (object(), False),
        (JaxModel({"params": PARAMS}, jnp.dot), False),
    ],
    ids=["linen", "nnx", "arrays", "TrainState", "NumPy", "object", "wrapped"],
)
def test_models_of_jax_are_told_of_the_wrapper(model: Any, is_known: bool) -> None:
    hint = wrapper_hint(model)

    assert (hint is not None) is is_known
    assert hint is None or "JaxModel(state, apply, loss=...)" in hint
