"""The parameters of a pytree as layers with neon's names, for callbacks that look at weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainsignal.layer_names import show
from trainsignal.models.jax.framework import jax
from trainsignal.models.jax.leaves import is_key

NEON_NAMES: Final[Mapping[str, str]] = {"kernel": "W", "weight": "W", "w": "W", "bias": "b"}
"""Names of parameters in Flax, Equinox and Haiku, and neon's for them."""


class Layer:
    """Parameters that lie in the same dict or object of the pytree.

    Attributes:
        name: the names that lead there, such as "encoder/Dense_0".
        params: the parameters by their names here.
    """

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Have each parameter as an attribute: `W`, `b`, or the name that it has, if nothing else has it."""
        self.name = name
        self.params = dict(parameters)
        show(self, self.params)


class Layers:
    """A container of layers.

    Attributes:
        layers: in the order of the pytree, which sorts the keys of dicts.
    """

    def __init__(self, parameters: Mapping[tuple[str, ...], Any]) -> None:
        """Group the parameters, given by the names that lead to them."""
        groups: dict[str, dict[str, Any]] = {}
        for names, value in parameters.items():
            if is_key(value):
                continue
            *where, last = names[:-1] if _is_variable(names) else names
            group = groups.setdefault("/".join(where) or "params", {})
            group[NEON_NAMES.get(last, last)] = _known_to_numpy(value)
        self.layers = [Layer(name, group) for name, group in groups.items()]


def _is_variable(names: tuple[str, ...]) -> bool:
    """Return whether the last name is that of the array inside a variable of Flax's `nnx`."""
    return len(names) > 1 and names[-1] == "value"


def _known_to_numpy(value: Any) -> Any:
    """Return an array of a type that NumPy has: of bfloat16, the same numbers as float32."""
    is_known = not isinstance(value, jax.Array) or value.dtype.kind != "V"
    return value if is_known else value.astype("float32")
