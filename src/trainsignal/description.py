"""Descriptions of callbacks as plain values, in the form in which neon archives them, and the way back.

A description names classes and objects. Nothing is imported because a description names it, and nothing made
but callbacks of classes that are loaded already.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, cast

import numpy as np

import trainsignal.callbacks
from trainsignal.callback import Callback
from trainsignal.checkpoint import load_state
from trainsignal.errors import ConfigurationError, did_you_mean

NEON = "neon."
"""What the names of neon's own classes begin with: its callbacks are taken for ours of the same name."""


def describe(callback: Callback) -> dict[str, Any]:
    """Return `{"type": ..., "config": ...}`: the class, and constructor arguments that are not the default.

    An argument is looked up under its own name on the instance; one that is not kept there is left out. What
    is no plain value is described by its type and name. Source: neon's `get_description`.
    """
    kind = type(callback)
    config: dict[str, Any] = {}
    for name, parameter in inspect.signature(kind).parameters.items():
        value = getattr(callback, name, parameter.default)
        if inspect.ismethod(value) and value.__self__ is callback:  # a hook, for which no function was given
            continue
        if value is not parameter.default and not _equal(value, parameter.default):
            config[name] = _plain(value)
    return {"type": _full_name(kind), "config": config}


def read_description(
    source: Mapping[str, Any] | str | os.PathLike[str], *, trust_pickle: bool = False
) -> Mapping[str, Any]:
    """Return a description of a container: `source` itself, or what a file holds.

    Args:
        source: what `Callbacks.get_description` returned, or the path of a file with it.
        trust_pickle: read a pickle, as neon's, which can run code: only for a file that you or someone you
            trust wrote.

    Raises:
        ConfigurationError: it does not describe callbacks.
        CheckpointError: the file cannot be read.
    """
    found: Any = source if isinstance(source, Mapping) else load_state(source, trust_pickle=trust_pickle)
    if not isinstance(found, Mapping) or not isinstance(cast("Any", found).get("callbacks"), (list, tuple)):
        raise ConfigurationError(
            f"{type(cast('object', found)).__name__} without a list 'callbacks' is no description of "
            "callbacks. Pass what Callbacks.get_description() returned, or a file with it."
        )
    return cast("Mapping[str, Any]", found)


def rebuild(description: Mapping[str, Any], data: Iterable[object] = ()) -> list[Callback]:
    """Return new callbacks, made with the arguments that a description tells.

    Args:
        description: what `read_description` returned.
        data: the objects that the arguments were, which a description only names: a data set is found by its
            `name`, a metric or function by that of its class or its own.

    Raises:
        ConfigurationError: no such class is loaded, or none, or several, of the objects are meant.
    """
    objects = list(data)
    return [_rebuilt(entry, objects) for entry in description["callbacks"]]


def _rebuilt(entry: Mapping[str, Any], objects: list[object]) -> Callback:
    kind = _class_of(entry["type"])
    arguments = {name: _argument(kind, name, value, objects) for name, value in entry["config"].items()}
    try:
        return kind(**arguments)
    except Exception as error:
        error.add_note(f"while a {kind.__name__} was made as its description says")
        raise


def _class_of(name: str) -> type[Callback]:
    """Return the loaded class of this full name; of several, as of a cell that ran twice, the latest."""
    if name.startswith(NEON):
        found = getattr(trainsignal.callbacks, name.rpartition(".")[2], None)
        if found is not None:
            return cast("type[Callback]", found)
    loaded = {_full_name(kind): kind for kind in _subclasses(Callback)}
    if name not in loaded:
        raise ConfigurationError(
            f"no callback {name!r} is loaded, and none is imported because a description names it. "
            f"Import the module that defines it first.{did_you_mean(name, loaded)}"
        )
    return loaded[name]


def _subclasses(kind: type[Callback]) -> Iterator[type[Callback]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _subclasses(one)


def _argument(kind: type[Callback], argument: str, value: Any, objects: list[object]) -> Any:
    """Return the value of an argument: what the description tells, or the object that it names."""
    if not isinstance(value, Mapping):
        return value
    named = cast("Mapping[str, Any]", value)
    meant = [one for one in objects if _is_meant(one, named)]
    if len(meant) == 1:
        return meant[0]
    what = f"a {named.get('type')} called {named['name']!r}" if "name" in named else f"a {named.get('type')}"
    raise ConfigurationError(
        f"{kind.__name__}({argument}=...) was {what}, and data holds {len(meant) or 'none'} of these. "
        f"Pass it: data=[...] with the data sets, metrics and functions that the callbacks were made with, "
        "each data set with a name of its own."
    )


def _is_meant(one: object, described: Mapping[str, Any]) -> bool:
    if "name" in described:
        return str(getattr(one, "name", None)) == str(described["name"])
    own_name = one.__name__ if inspect.isfunction(one) else type(one).__name__
    return own_name == str(described.get("type")).rpartition(".")[2]


def _equal(value: object, default: object) -> bool:
    return type(value) is type(default) and bool(value == default)


def _full_name(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return cast("Any", value).item()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in cast("list[object] | tuple[object, ...]", value)]
    described = {"type": _full_name(value if inspect.isfunction(value) else type(value))}
    name = getattr(value, "name", None)
    return described if name is None else {**described, "name": str(name)}
