"""How the costs of minibatches come from their device without anybody waiting for it.

Satisfies `trainsignal.abilities.DeviceCosts` as a module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from trainsignal.models.jax.framework import jax

TOGETHER: Final = 64
"""So many costs become one array by one call, compiled once; a call for each would cost more than that."""


def holds(value: object) -> bool:
    """Return whether `value` is an array of JAX's."""
    return isinstance(value, jax.Array)


def keeper(value: Any) -> Callable[[Any], Any]:
    """Return what leaves an array as it is, since no graph led to it; see `abilities.DeviceCosts`.

    Raises:
        TypeError: it is not one real number, or none yet, in a function that is being traced.
    """
    if isinstance(value, jax.core.Tracer):
        raise TypeError(
            "a value inside a function that JAX traces is not one number: return it from the function, and "
            "set the cost there"
        )
    kinds = (jax.numpy.floating, jax.numpy.integer)
    if value.size != 1 or not any(jax.dtypes.issubdtype(value.dtype, kind) for kind in kinds):
        raise TypeError(f"an array of shape {value.shape} and {value.dtype} is not one real number")
    return _as_it_is


def _as_it_is(value: Any) -> Any:
    return value


def gather(values: list[Any]) -> GatheredCosts:
    """Send kept arrays, one or more, on their way to the host; does not wait for the device.

    Raises:
        TypeError: one was donated to a computation, and so is gone.
    """
    if any(value.is_deleted() for value in values):
        raise TypeError(
            "a cost was donated to a later step (donate_argnums), which has deleted it: return the loss as a "
            "result of its own, not as a part of the donated state"
        )
    places: dict[Any, list[int]] = {}
    latest: Any = None
    alike: list[int] = []
    for place, value in enumerate(values):
        if value.sharding is not latest:  # nearly always it is, and comparing takes long
            latest = value.sharding
            alike = places.setdefault(latest, [])
        alike.append(place)
    parts: list[tuple[list[int], Any]] = []
    for alike in places.values():
        for start in range(0, len(alike), TOGETHER):
            some = alike[start : start + TOGETHER]
            filled = some + some[-1:] * (TOGETHER - len(some))  # one length, so that it is compiled once
            parts.append((some, _joined()(*(values[place] for place in filled))))
    for _, costs in parts:
        costs.copy_to_host_async()
    return GatheredCosts(parts)


class GatheredCosts:
    """Costs that are on their way.

    Args:
        parts: places among all costs, and an array, (TOGETHER,), that begins with the costs at these.
    """

    def __init__(self, parts: list[tuple[list[int], Any]]) -> None:
        self._parts = parts

    def is_ready(self) -> bool:
        """Return whether `numbers` would not wait."""
        return all(costs.is_ready() for _, costs in self._parts)

    def numbers(self) -> list[float]:
        """Return the costs in the order in which they were given; waits for the device."""
        found: dict[int, float] = {}
        for places, costs in self._parts:
            on_host = jax.device_get(costs).astype(float).tolist()
            found.update(zip(places, on_host, strict=False))  # the rest only fills the array
        return [found[place] for place in range(len(found))]


@cache
def _joined() -> Any:
    """Return the compiled function that makes one array of `TOGETHER` numbers."""

    def join(*costs: Any) -> Any:
        return jax.numpy.stack([cost.reshape(()) for cost in costs])

    return jax.jit(join)
