"""What the files in `models/` know of objects of their frameworks, asked without importing any framework.

By convention, not by a list: of an object whose class comes from the package `<name>`, or derives from one
that does, `models/<name>.py` is asked, the nearest class first. So a framework is imported only where an
object of it is at hand, and this module imports from `models/`, above it, only then.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType, ModuleType
from typing import Final, NoReturn

from trainsignal.abilities import DeviceCosts
from trainsignal.errors import ConfigurationError


def device_costs_of(value: object) -> DeviceCosts | None:
    """Return what brings `value`, a cost, from its device; None where it is on none.

    Raises:
        MissingPackageError: its framework is too old for us.
    """
    for module in _models_for(value):
        costs: DeviceCosts | None = getattr(module, "device_costs", None)
        if costs is not None and costs.holds(value):
            return costs
    return None


def wrapper_hint(model: object) -> str:
    """Return what a message about a model that lacks an ability ends with; "" where no wrapper is known.

    Raises:
        MissingPackageError: its framework is too old for us.
    """
    for module in _models_for(model):
        ask: Callable[[object], str | None] | None = getattr(module, "wrapper_hint", None)
        hint = None if ask is None else ask(model)
        if hint is not None:
            return f" Wrap the {type(model).__name__}: {hint}"
    return ""


def check_wrapper(model: object, framework: str) -> None:
    """Refuse one of our wrappers where it is for models of another framework than the one that trains.

    Args:
        model: what was given to `Callbacks`; anything but our wrappers passes.
        framework: name of the file in `models/` whose wrapper fits.

    Raises:
        ConfigurationError: it is such a wrapper.
    """
    package, _, inside = type(model).__module__.partition("trainsignal.models.")
    found = inside.partition(".")[0]
    if not package and found not in ("", framework):
        raise ConfigurationError(
            f"Callbacks was given a {type(model).__name__}, which stands for models of {found}, and this "
            f"loop trains others: take the wrapper in trainsignal.models.{framework}, or give it the model "
            "itself"
        )


def refuse_two_checkpoints(theirs: str, option: str) -> NoReturn:
    """Say that `theirs`, which `option` gives, is a checkpoint to go on from beside ours.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(
        f"the run goes on from our checkpoint and from {theirs}: leave out either Callbacks(resume=...) "
        f"or {option}"
    )


def _models_for(value: object) -> Iterator[ModuleType]:
    """Yield the modules of `models/` that are named after a package which a class of `value` comes from."""
    packages = dict.fromkeys(one.__module__.partition(".")[0] for one in type(value).__mro__)
    models = importlib.import_module("trainsignal.models")
    known = {found.name for found in pkgutil.iter_modules(models.__path__)}
    for package in packages:
        name = _SERVED_BY.get(package, package)
        if name in known:
            yield importlib.import_module(f"trainsignal.models.{name}")


_SERVED_BY: Final[Mapping[str, str]] = MappingProxyType({"flax": "jax", "jaxlib": "jax"})
"""Packages whose objects the file of another one knows."""
