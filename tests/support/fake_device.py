"""A device that computes when told to, and notes who waited for it: `abilities.DeviceCosts` for tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


class OnDevice:
    """A value that its device may not have computed yet; nothing else can read it."""

    def __init__(self, device: FakeDevice, number: float, place: int) -> None:
        self.device = device
        self.number = number
        self.place = place


class FakeDevice:
    """Computes values in the order in which they were made.

    Args:
        computed: so many of them are there without anybody waiting; `math.inf` where it has no queue.
        fails_at: the value at which it breaks, counted from 0; None: never.

    Attributes:
        made: how many values there are.
        sent: how many costs were sent to the host together, each time.
        waits: how often somebody waited for what was not computed yet.
    """

    def __init__(self, computed: float = 0, fails_at: int | None = None) -> None:
        self.computed = computed
        self.fails_at = fails_at
        self.made = 0
        self.sent: list[int] = []
        self.waits = 0
        self._kind: type[OnDevice] = type("OnThis", (OnDevice,), {})  # each framework has its own

    def value(self, number: float) -> OnDevice:
        """Return a cost on this device."""
        self.made += 1
        return self._kind(self, number, self.made - 1)

    def holds(self, value: object) -> bool:
        return isinstance(value, OnDevice) and value.device is self

    def keeper(self, value: Any) -> Callable[[Any], Any]:
        _check_is_number(value)
        return lambda value: value

    def gather(self, values: list[Any]) -> Arriving:
        for value in values:
            _check_is_number(value)
        self.sent.append(len(values))
        return Arriving(self, values)


class Arriving:
    """Costs on their way from a `FakeDevice`."""

    def __init__(self, device: FakeDevice, values: list[OnDevice]) -> None:
        self._device = device
        self._values = values

    def is_ready(self) -> bool:
        return self._device.computed > self._values[-1].place

    def numbers(self) -> list[float]:
        if not self.is_ready():
            self._device.waits += 1
            self._device.computed = self._values[-1].place + 1
        if self._device.fails_at is not None and self._device.fails_at <= self._values[-1].place:
            raise RuntimeError("the device is broken")
        return [value.number for value in self._values]


def plug_in(monkeypatch: pytest.MonkeyPatch, *devices: FakeDevice) -> None:
    """Have `trainsignal.cost` know these devices as it knows those of loaded frameworks."""

    def device_costs_of(value: object) -> FakeDevice | None:
        return next((device for device in devices if device.holds(value)), None)

    monkeypatch.setattr("trainsignal.cost.device_costs_of", device_costs_of)


def _check_is_number(value: OnDevice) -> None:
    if not isinstance(value.number, float):
        raise TypeError(f"{value.number!r} is not one real number")
