"""What the files in `models/` know of objects of their frameworks, asked without importing any framework.

By convention, not by a list: `models/<name>.py` is asked where the package `<name>` is loaded already, as it
is where an object of it is at hand.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

from trainsignal.abilities import DeviceCosts
from trainsignal.errors import MissingPackageError


def device_costs_of(value: object) -> DeviceCosts | None:
    """Return what brings `value`, a cost, from its device; None where no loaded framework has it."""
    for module in _of_loaded_frameworks():
        costs: DeviceCosts | None = getattr(module, "device_costs", None)
        if costs is not None and costs.holds(value):
            return costs
    return None


def wrapper_hint(model: object) -> str:
    """Return what a message about a model that lacks an ability ends with; "" where no wrapper is known."""
    for module in _of_loaded_frameworks():
        ask: Callable[[object], str | None] | None = getattr(module, "wrapper_hint", None)
        hint = None if ask is None else ask(model)
        if hint is not None:
            return f" Wrap the {type(model).__name__}: {hint}"
    return ""


def _of_loaded_frameworks() -> Iterator[ModuleType]:
    """Yield the modules of `models/` that are named after a package that is loaded."""
    models = importlib.import_module("trainsignal.models")
    for found in pkgutil.iter_modules(models.__path__):
        if sys.modules.get(found.name) is None:
            continue
        try:
            module = importlib.import_module(f"trainsignal.models.{found.name}")
        except MissingPackageError:  # too old for us: whoever uses that version does so without us
            continue
        yield module
