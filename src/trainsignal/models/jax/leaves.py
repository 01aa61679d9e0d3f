"""One leaf of a pytree as what a checkpoint holds, and back: arrays of any type, random keys, numbers.

Knows no pytree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.bits import bits, is_bits, type_and_integers
from trainsignal.checkpoint.tree import is_mapping
from trainsignal.errors import CheckpointError
from trainsignal.models.jax.framework import jax

_KEY: Final = "random key of"
"""Entry of what stands for keys of `jax.random.key`: the name of their generator."""

_WEAK: Final = "weakly typed"
"""Entry of what stands for an array that takes on the type of others, as the step of Flax's TrainState."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What two leaves share of which one can replace the other.

    Attributes:
        shape: axes as in the array.
        type_name: "float32"; None: a number of Python's, which fits any type.
    """

    shape: tuple[int, ...]
    type_name: str | None

    def fits(self, other: Kind) -> bool:
        """Return whether a leaf of the other kind can stand here."""
        is_same = self.type_name == other.type_name or None in (self.type_name, other.type_name)
        return self.shape == other.shape and is_same

    def __str__(self) -> str:
        return "a number" if self.type_name is None else f"{self.type_name} {self.shape}"


def encode(leaf: Any, path: str) -> Any:
    """Return what stands for a leaf in a checkpoint, copied to the host.

    Args:
        leaf: an array or a number.
        path: where it is, for the message.

    Raises:
        CheckpointError: it is neither.
    """
    if isinstance(leaf, (bool, int, float)):
        return leaf
    if is_key(leaf):
        return {_KEY: str(jax.random.key_impl(leaf)), "data": np.array(jax.random.key_data(leaf))}
    if isinstance(leaf, jax.Array):
        host = _plain(np.array(leaf))
        return {_WEAK: host} if leaf.weak_type else host
    if isinstance(leaf, (np.ndarray, np.generic, complex)):
        return _plain(np.array(leaf))
    raise CheckpointError(
        f"{path}: a {type(leaf).__name__} cannot be saved; the state of a JaxModel holds arrays and numbers. "
        "Keep other things outside of it, or in fields that are no leaves of the pytree."
    )


def decode(value: Any, there: Any) -> Any:
    """Return the leaf for which `value` stands.

    Args:
        value: what `encode` returned.
        there: the leaf that is replaced, which says where the new one is to be.
    """
    if isinstance(value, (bool, int, float)):
        return value
    if is_mapping(value) and _KEY in value:
        key = jax.random.wrap_key_data(_on_device(value["data"]), impl=value[_KEY])
        return _placed(key, there)
    if is_mapping(value) and _WEAK in value:
        host = _array(value[_WEAK])
        of_python = jax.numpy.full(host.shape, host.dtype.type(0).item())  # which makes it weakly typed
        return _placed(of_python.at[...].set(host), there)
    host = _array(value)
    return np.array(host) if isinstance(there, (np.ndarray, np.generic)) else _placed(_on_device(host), there)


def is_encoded(value: Any) -> bool:
    """Return whether a value stands for a leaf, and is no dict of others."""
    return not is_mapping(value) or is_bits(value) or _KEY in value or _WEAK in value


def is_key(leaf: Any) -> bool:
    """Return whether a leaf is an array of keys, made by `jax.random.key`."""
    return isinstance(leaf, jax.Array) and bool(jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def kind_of(leaf: Any) -> Kind:
    """Return the kind of a leaf, which may have been given away to a computation (`donate_argnums`)."""
    if not hasattr(leaf, "dtype"):
        return Kind((), None)
    return Kind(tuple(leaf.shape), str(leaf.dtype))


def kind_of_encoded(value: Any) -> Kind:
    """Return the kind of the leaf for which a value stands."""
    if is_mapping(value) and _KEY in value:
        return kind_of(jax.random.wrap_key_data(_on_device(value["data"]), impl=value[_KEY]))
    if is_mapping(value) and _WEAK in value:
        return kind_of_encoded(value[_WEAK])
    if is_bits(value):
        type_name, integers = type_and_integers(value)
        return Kind(integers.shape, type_name)
    return kind_of(value)


def _plain(host: Array) -> Any:
    """Return an array as what any file holds: one of a type that NumPy lacks, as its bits."""
    if host.dtype.kind != "V":
        return host
    return bits(host.dtype.name, host.view(f"u{host.dtype.itemsize}"))


def _array(value: Any) -> Array:
    """Return what `_plain` was given."""
    if not is_bits(value):
        return np.asarray(value)
    type_name, integers = type_and_integers(value)
    return integers.view(jax.numpy.dtype(type_name))


def _on_device(host: Array) -> Any:
    return jax.numpy.array(host, copy=True)


def _placed(array: Any, there: Any) -> Any:
    """Return an array where `there` is, unless JAX is free to choose."""
    if isinstance(there, jax.Array) and there.committed:
        return jax.device_put(array, there.sharding)
    return array
