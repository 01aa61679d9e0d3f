"""Handlers and callbacks by their names, as a command line gives them: "module:function", "module:Class"."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError, did_you_mean


@contextlib.contextmanager
def folder_importable(folder: Path) -> Generator[None]:
    """Let modules of a folder be imported while the body runs, as `python -m` does with the current one."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = before


def load(name: str) -> Callable[..., Any]:
    """Return the function, or the class of callbacks, of that name.

    Args:
        name: "module:function" or "module:Class"; the module may be in packages, and the function in classes,
            with dots between.

    Raises:
        ConfigurationError: there is none, or it cannot be called, or is a class that needs arguments.
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise ConfigurationError(f"{name!r}: expected module:function, or module:Class of a callback")
    found: Any = _imported(module_name, name)
    for step in path.split("."):
        if not hasattr(found, step):
            hint = did_you_mean(step, (one for one in dir(found) if not one.startswith("_")))
            raise ConfigurationError(f"{name!r}: {module_name} has no {step!r}.{hint}")
        found = getattr(found, step)
    if not callable(found):
        raise ConfigurationError(
            f"{name!r} is {type(found).__name__}, not something to call: name a function, or a class of "
            "callbacks, of which each run gets an instance"
        )
    if is_callback_class(found):
        _check_needs_nothing(found, name)
    function: Callable[..., Any] = found
    return function


def is_callback_class(found: object) -> bool:
    """Return whether it is a class of callbacks."""
    return isinstance(found, type) and issubclass(found, Callback)


def _imported(module_name: str, name: str) -> object:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # something that the module itself imports
        raise ConfigurationError(
            f"{name!r}: there is no module {error.name!r}, neither here in {Path.cwd()} nor installed"
        ) from error


def _check_needs_nothing(kind: Callable[..., Any], name: str) -> None:
    try:
        inspect.signature(kind).bind()
    except TypeError as error:
        raise ConfigurationError(
            f"{name!r} cannot be made without arguments ({error}): name a subclass of yours that gives them"
        ) from error
