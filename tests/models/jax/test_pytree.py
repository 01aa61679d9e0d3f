from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.core import freeze

from trainsignal.errors import CheckpointError
from trainsignal.models.jax.pytree import leaves_of, to_plain, with_leaves


class Pair(NamedTuple):
    first: Any
    second: Any


def adam_state() -> Any:
    params = {"dense": {"kernel": jnp.ones((3, 2)), "bias": jnp.zeros(2)}}
    optimizer = optax.chain(optax.clip(1.0), optax.adam(optax.cosine_decay_schedule(0.1, 10)))
    return {"params": params, "opt_state": optimizer.init(params), "none": None}


def test_leaves_are_named_by_keys_attributes_and_places() -> None:
    tree = {"params": [Pair(1.0, {3: 2.0, 4: None})], "frozen": freeze({"a/b": 4.0})}

    assert leaves_of(tree) == {
        ("frozen", "a/b"): 4.0, ("params", "0", "first"): 1.0, ("params", "0", "second", "3"): 2.0,
    }  # fmt: skip


def test_a_pytree_is_saved_as_nested_dicts() -> None:
    tree = {"params": [Pair(1.0, 2)], "step": 3}

    assert to_plain(leaves_of(tree)) == {"params": {"0": {"first": 1.0, "second": 2}}, "step": 3}


def test_the_state_of_an_optimizer_comes_back_in_its_structure() -> None:
    before = jax.tree_util.tree_map(lambda leaf: leaf + 1, adam_state())

    after = with_leaves(adam_state(), to_plain(leaves_of(before)), top=("params", "opt_state"))

    assert jax.tree_util.tree_structure(after) == jax.tree_util.tree_structure(before)
    jax.tree_util.tree_map(np.testing.assert_array_equal, after, before)


def test_leaves_elsewhere_are_kept() -> None:
    after = with_leaves({"a": 1.0, "b": 2.0}, {"a": 5.0}, top=("a",))

    assert after == {"a": 5.0, "b": 2.0}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"a": {"w": np.zeros(3, np.float32)}}, r"a/b \(float32 \(2,\)\) is not in the checkpoint"),
        ({"a": {}}, r"a/b \(float32 \(2,\)\) is not in the checkpoint; a/w"),
        (
            {"a": {"w": np.zeros(4, np.float32), "b": np.zeros(2, np.float16)}},
            r"a/b is float16 \(2,\) in the checkpoint, float32 \(2,\) in the model; a/w is float32 \(4,\) in",
        ),
        (
            {"a": {"w": np.zeros(3, np.float32), "b": np.zeros(2, np.float32), "c": {"d": 1}}},
            "a/c/d is in the checkpoint only",
        ),
    ],
    ids=["missing", "all missing", "others", "more"],
)
def test_leaves_that_do_not_fit_are_named(plain: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        with_leaves({"a": {"w": jnp.zeros(3), "b": jnp.zeros(2)}}, plain, top=("a",))


def test_of_many_differences_a_few_are_named() -> None:
    tree = {"a": [jnp.zeros(number) for number in range(9)]}

    with pytest.raises(CheckpointError, match=r"a/4 .* is not in the checkpoint; and 4 more$"):
        with_leaves(tree, {}, top=("a",))


def test_arrays_that_were_given_away_are_replaced() -> None:
    step = jax.jit(lambda tree: jax.tree_util.tree_map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    tree = {"a": jnp.zeros(3)}
    plain = to_plain(leaves_of(tree))
    step(tree)
    assert tree["a"].is_deleted()

    after = with_leaves(tree, plain, top=("a",))

    np.testing.assert_array_equal(after["a"], np.zeros(3))
