from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from trainsignal.checkpoint.formats import load_state, save_state
from trainsignal.errors import CheckpointError
from trainsignal.models.jax.leaves import decode, encode, kind_of, kind_of_encoded

KEY = jax.random.key(7)
OTHER_KEYS = jax.random.split(jax.random.key(3, impl="rbg"), 4)

LEAVES = {
    "float32": jnp.array([0.1, -2.0]),
    "bfloat16": jnp.array([[0.1, -2.0]], jnp.bfloat16),
    "float8": jnp.array([0.5, 448.0], jnp.float8_e4m3fn),
    "int4": jnp.array([-8, 7], jnp.int4),
    "uint32": jnp.array([1, 2], jnp.uint32),
    "bool": jnp.array([True, False]),
    "complex64": jnp.array([1 + 2j]),
    "weak scalar": jnp.asarray(3),
    "weak array": jnp.full((2,), 0.25),
    "empty": jnp.zeros((0, 3)),
    "key": KEY,
    "keys": OTHER_KEYS,
}


def host(leaf: Any) -> Any:
    is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
@pytest.mark.parametrize("name", LEAVES)
def test_an_array_comes_back_from_a_file_as_it_was(name: str, suffix: str, tmp_path: Any) -> None:
    leaf = LEAVES[name]
    save_state({"leaf": encode(leaf, "leaf")}, tmp_path / f"state{suffix}")

    encoded = load_state(tmp_path / f"state{suffix}")["leaf"]
    there = decode(encoded, leaf)

    assert (there.dtype, there.shape) == (leaf.dtype, leaf.shape)
    assert getattr(there, "weak_type", None) == getattr(leaf, "weak_type", None)  # which keys do not have
    np.testing.assert_array_equal(host(there), host(leaf))
    assert kind_of_encoded(encoded) == kind_of(leaf)


def test_a_key_goes_on_with_the_same_numbers() -> None:
    there = decode(encode(KEY, "key"), KEY)

    np.testing.assert_array_equal(jax.random.normal(there, (5,)), jax.random.normal(KEY, (5,)))


@pytest.mark.parametrize("leaf", [3, 0.5, True], ids=["int", "float", "bool"])
def test_a_number_of_python_stays_one(leaf: Any) -> None:
    there = decode(encode(leaf, "leaf"), jnp.zeros(()))

    assert (there, type(there)) == (leaf, type(leaf))


@pytest.mark.parametrize(
    "leaf", [np.array([1.5, 2.5]), np.float32(0.1), 1 + 2j], ids=["array", "scalar", "complex"]
)
def test_what_is_on_the_host_stays_there(leaf: Any) -> None:
    there = decode(encode(leaf, "leaf"), np.asarray(leaf))

    assert isinstance(there, np.ndarray)
    np.testing.assert_array_equal(there, leaf)


def test_what_was_saved_does_not_change_with_the_array() -> None:
    leaf = np.zeros(2)
    encoded = encode(leaf, "leaf")
    there = decode(encoded, leaf)

    leaf += 1
    there += 2

    np.testing.assert_array_equal(encoded, np.zeros(2))


def test_an_array_is_where_the_other_was() -> None:
    device = jax.devices()[0]
    placed = jax.device_put(jnp.zeros(2), device)

    assert decode(encode(placed, "leaf"), placed).committed
    assert not decode(encode(placed, "leaf"), jnp.zeros(2)).committed


def test_something_else_is_named() -> None:
    with pytest.raises(CheckpointError, match="opt_state/name: a str cannot be saved"):
        encode("adam", "opt_state/name")


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (jnp.zeros(2), jnp.ones(2), True),
        (jnp.zeros(2), np.zeros(2, np.float32), True),
        (jnp.zeros(2), jnp.zeros(2, jnp.bfloat16), False),
        (jnp.zeros(2), jnp.zeros((2, 1)), False),
        (jnp.zeros(()), 3, True),
        (jnp.zeros(1), 3, False),
        (KEY, jax.random.key(0), True),
        (KEY, OTHER_KEYS[0], False),
    ],
)
def test_kinds_fit_where_shape_and_type_are_the_same(one: Any, other: Any, is_same: bool) -> None:
    assert kind_of(one).fits(kind_of(other)) is is_same
    assert kind_of(other).fits(kind_of_encoded(encode(one, "leaf"))) is is_same


def test_kinds_read_as_numpy_writes_them() -> None:
    assert (str(kind_of(jnp.zeros((2, 3)))), str(kind_of(0.5))) == ("float32 (2, 3)", "a number")
