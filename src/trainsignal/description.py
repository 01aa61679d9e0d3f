"""Descriptions of callbacks as plain values, in the form in which neon archives and rebuilds them."""

from __future__ import annotations

import inspect
from pathlib import PurePath
from typing import Any, cast

import numpy as np

from trainsignal.callback import Callback


def describe(callback: Callback) -> dict[str, Any]:
    """Return `{"type": ..., "config": ...}`: the class, and constructor arguments that are not the default.

    An argument is looked up under its own name on the instance; one that is not kept there is left out. What
    is no plain value is described by its type and name. Source: neon's `get_description`.
    """
    kind = type(callback)
    config: dict[str, Any] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        value = getattr(callback, name, parameter.default)
        if value is not parameter.default and not _equal(value, parameter.default):
            config[name] = _plain(value)
    return {"type": f"{kind.__module__}.{kind.__qualname__}", "config": config}


def _equal(value: object, default: object) -> bool:
    return type(value) is type(default) and bool(value == default)


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return cast("Any", value).item()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[object] | tuple[object, ...]", value)]
    kind = value if inspect.isfunction(value) else type(value)
    described = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    name = getattr(value, "name", None)
    return described if name is None else {**described, "name": str(name)}
