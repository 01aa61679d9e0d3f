from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from trainsignal.models.jax.layers import Layers
from trainsignal.models.jax.pytree import leaves_of


def names_in(parameters: Any) -> dict[str, set[str]]:
    layers = Layers(leaves_of(parameters)).layers
    return {layer.name: set(vars(layer)) - {"name", "params"} for layer in layers}


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"Dense_0": {"kernel": 1.0, "bias": 2.0}}, {"Dense_0": {"W", "b"}}),
        ({"encoder": {"Dense_0": {"kernel": 1.0}}}, {"encoder/Dense_0": {"W"}}),
        ({"norm": {"scale": 1.0}}, {"norm": {"scale"}}),
        ({"w": 1.0, "b": 2.0}, {"params": {"W", "b"}}),
        ([(1.0, 2.0), (3.0, 4.0)], {"0": {"0", "1"}, "1": {"0", "1"}}),
        ({"dropout": {"key": jax.random.key(0)}, "a": {"w": 1.0}}, {"a": {"W"}}),
    ],
    ids=["Flax", "nested", "other names", "bare", "lists", "random keys"],
)
def test_parameters_are_grouped_and_named_as_in_neon(parameters: Any, expected: Any) -> None:
    assert names_in(parameters) == expected


def test_variables_of_nnx_are_parameters() -> None:
    state = nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0)))

    assert names_in({"linear": state}) == {"linear": {"W", "b"}}


def test_a_parameter_that_is_called_value_is_one() -> None:
    assert names_in({"value": 1.0}) == {"params": {"value"}}


def test_a_parameter_of_a_forbidden_name_is_in_the_params_alone() -> None:
    (layer,) = Layers(leaves_of({"scope": {"name": 1.0, "params": 2.0, "w": 3.0}})).layers

    assert layer.name == "scope"
    assert layer.params == {"name": 1, "params": 2, "W": 3}


def test_numbers_of_bfloat16_can_be_read_by_numpy() -> None:
    (layer,) = Layers(leaves_of({"a": {"kernel": jnp.ones(2, jnp.bfloat16), "bias": jnp.ones(2)}})).layers

    assert np.asarray(vars(layer)["W"]).dtype == np.float32
    np.testing.assert_array_equal(vars(layer)["W"], np.ones(2))
