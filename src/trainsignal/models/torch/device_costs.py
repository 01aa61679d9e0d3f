"""How the costs of minibatches come from their device without anybody waiting for it.

Satisfies `trainsignal.abilities.DeviceCosts` as a module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trainsignal.models.torch.framework import torch


def holds(value: object) -> bool:
    """Return whether `value` is a tensor."""
    return isinstance(value, torch.Tensor)


def keeper(value: Any) -> Callable[[Any], Any]:
    """Return what makes of a tensor a copy without the graph that led to it; see `abilities.DeviceCosts`.

    A copy, since the tensor may change before the cost is read: by `loss /= 4`, by a total that the loop adds
    to in place, or by a CUDA graph, which writes over its outputs when it is replayed. What is returned
    raises TypeError for a later tensor that is not one number.

    Raises:
        TypeError: it is not one real number.
    """
    _check_is_one_number(value)
    return _copied


def _copied(value: Any) -> Any:
    if value.ndim and value.numel() != 1:
        _check_is_one_number(value)
    return value.detach().clone()


def _check_is_one_number(value: Any) -> None:
    if value.numel() != 1 or value.is_complex():
        shape = tuple(value.shape)
        raise TypeError(f"a tensor of shape {shape} and {value.dtype} is not one real number")


def gather(values: list[Any]) -> GatheredCosts:
    """Send kept tensors, one or more, on their way to the host; does not wait for the device.

    Raises:
        TypeError: one is not one real number.
    """
    try:
        together = torch.stack(values)
    except RuntimeError:  # of several devices or shapes
        together = None
    if together is not None and together.numel() == len(values):
        return GatheredCosts([_Sent(range(len(values)), together)])
    by_device: dict[Any, list[int]] = {}
    for place, value in enumerate(values):
        _check_is_one_number(value)
        by_device.setdefault(value.device, []).append(place)
    return GatheredCosts([
        _Sent(places, torch.stack([values[place].reshape(()) for place in places]))
        for places in by_device.values()
    ])  # fmt: skip


class GatheredCosts:
    """Costs that are on their way, by device.

    Args:
        parts: each of one device; nearly always there is one.
    """

    def __init__(self, parts: list[_Sent]) -> None:
        self._parts = parts

    def is_ready(self) -> bool:
        """Return whether `numbers` would not wait."""
        return all(part.is_ready() for part in self._parts)

    def numbers(self) -> list[float]:
        """Return the costs in the order in which they were given; waits for the device."""
        found: dict[int, float] = {}
        for part in self._parts:
            found.update(zip(part.places, part.numbers(), strict=True))
        return [found[place] for place in range(len(found))]


class _Sent:
    """Costs of one device.

    Args:
        places: of these costs among all.
        costs: as many numbers, on the device.
    """

    def __init__(self, places: Sequence[int], costs: Any) -> None:
        self.places = places
        self._costs = costs.reshape(-1)
        self._arrival: Any = None
        if costs.is_cuda:  # pragma: no cover  # needs a GPU; tests/models/torch/test_device_costs.py
            on_the_way, self._costs = (
                self._costs,
                torch.empty(len(places), dtype=costs.dtype, pin_memory=True),
            )
            self._costs.copy_(on_the_way, non_blocking=True)
            with torch.cuda.device(costs.device):
                self._arrival = torch.cuda.Event()
                self._arrival.record()

    def is_ready(self) -> bool:
        return self._arrival is None or bool(self._arrival.query())

    def numbers(self) -> list[float]:
        if self._arrival is not None:  # pragma: no cover  # needs a GPU
            self._arrival.synchronize()
        numbers: list[float] = self._costs.double().tolist()
        return numbers
