"""Plain values: what a checkpoint can hold, other containers and random generators written as such.

A value is plain if it is None, a bool, a number, text, bytes, a NumPy array or scalar, a random generator, or
a container (list, tuple, dict, set, deque) of these.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, cast

import numpy as np

KIND: Final = "trainsignal kind"
"""Key of a dict that stands for something that is no dict."""

DEPTH_LIMIT: Final = 50

LONGEST_KEY: Final = 100
"""Characters of a dict's key that become part of a name in the file."""

_SEQUENCES: Final[tuple[Any, ...]] = (list, tuple)

_EXTENDED: Final = (np.dtype(np.longdouble), np.dtype(np.clongdouble))
"""Numbers that have another layout on each platform."""


_DICTS: Final[Mapping[str, Any]] = {
    "Counter": Counter,
    "OrderedDict": OrderedDict,
    **{
        f"defaultdict of {kind.__name__}": partial(defaultdict, kind)
        for kind in (int, float, str, list, dict, set)
    },
}
"""The dicts that come back as what they are; others come back as dicts, or fill what is there."""


class NotPlainError(TypeError):
    """A value that a checkpoint cannot hold; never leaves this package's internals."""


def encode(value: Any, depth: int = 0) -> Any:
    """Return `value` as what a checkpoint holds, arrays copied.

    Raises:
        NotPlainError: it is not plain.
    """
    if depth > DEPTH_LIMIT:
        raise NotPlainError("nested too deep, or in itself")
    kind = cast("Any", type(value))
    if value is None or kind in (bool, int, float, str, bytes):
        return value
    if is_array(value) or is_a(value, np.generic):
        _check_array(value)
        return np.array(value, subok=False) if is_array(value) else value
    if is_generator(value):
        return {KIND: kind.__name__, "state": encode(state_of(value), depth + 1)}
    if is_a(value, dict):
        return _encoded_dict(value, depth)
    if kind in _SEQUENCES:
        return kind(encode(item, depth + 1) for item in value)
    if kind is deque:
        return {KIND: "deque", "items": [encode(item, depth + 1) for item in value], "maxlen": value.maxlen}
    if kind in (set, frozenset):
        members = [encode(item, depth + 1) for item in sorted(value, key=repr)]
        return {KIND: kind.__name__, "items": members}
    raise NotPlainError(f"{kind.__qualname__} is not plain")


def decode(value: Any) -> Any:
    """Return what `encode` was given."""
    container = cast("Any", type(value))
    if container in _SEQUENCES:
        return container(decode(item) for item in value)
    if container is not dict:
        return value
    kind = value.get(KIND)
    if kind is None:
        return {key: decode(item) for key, item in value.items()}
    if kind == "dict" or kind in _DICTS:
        found: Any = _DICTS[kind]() if kind in _DICTS else {}
        found.update({decode(key): decode(item) for key, item in value["items"]})
        return found
    if kind == "deque":
        return deque((decode(item) for item in value["items"]), maxlen=value["maxlen"])
    if kind in ("set", "frozenset"):
        return (set if kind == "set" else frozenset)(decode(item) for item in value["items"])
    return _generator(kind, decode(value["state"]))


def _check_array(value: Any) -> None:
    if value.dtype.kind not in "biufcSU" or value.dtype in _EXTENDED:
        raise NotPlainError(f"an array of {value.dtype} is not plain")
    if is_a(value, np.ma.MaskedArray):
        raise NotPlainError("a masked array is not plain: its mask would be lost")


def _encoded_dict(value: dict[Any, Any], depth: int) -> dict[str, Any]:
    """Return a dict as one with text as keys; a counter or a defaultdict of a common kind as what it is."""
    kind = _kind_of_dict(value)
    if (
        kind == "dict"
        and KIND not in value
        and all(type(key) is str and len(key) <= LONGEST_KEY for key in value)
    ):
        return {key: encode(item, depth + 1) for key, item in value.items()}
    items = [[encode(key, depth + 1), encode(item, depth + 1)] for key, item in value.items()]
    return {KIND: kind, "items": items}


def _kind_of_dict(value: dict[Any, Any]) -> str:
    if type(value) is defaultdict:
        name = f"defaultdict of {getattr(value.default_factory, '__name__', None)}"
    else:
        name = type(value).__name__
    return name if name in _DICTS else "dict"


# Told by functions, which narrow nothing: pyright does not know what the elements are.


def is_a(value: object, kind: type | tuple[type, ...]) -> bool:
    """Return whether a value is of a class."""
    return isinstance(value, kind)


def is_array(value: object) -> bool:
    """Return whether a value is a NumPy array."""
    return isinstance(value, np.ndarray)


def is_generator(value: object) -> bool:
    """Return whether it is a generator with a state; a `random.SystemRandom`, say, has none."""
    return type(value) in (random.Random, np.random.RandomState, np.random.Generator)


def state_of(generator: Any) -> Any:
    """Return the state of a random generator."""
    if type(generator) is random.Random:
        return generator.getstate()
    if type(generator) is np.random.RandomState:
        return generator.get_state(legacy=False)
    return generator.bit_generator.state


def set_state(generator: Any, state: Any) -> None:
    """Set a random generator to what `state_of` returned."""
    if type(generator) is random.Random:
        generator.setstate(state)
    elif type(generator) is np.random.RandomState:
        generator.set_state(state)
    else:
        generator.bit_generator.state = state


_BIT_GENERATORS: Final = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")


def _generator(kind: str, state: Any) -> object:
    """Return a new generator in a state."""
    generator: Any
    if kind == "Random":
        generator = random.Random()
    else:
        if state["bit_generator"] not in _BIT_GENERATORS:
            raise KeyError(f"{state['bit_generator']!r} is no bit generator of NumPy's")
        bits = getattr(np.random, state["bit_generator"])()
        generator = np.random.RandomState(bits) if kind == "RandomState" else np.random.Generator(bits)
    set_state(generator, state)
    return generator


def fingerprint(value: Any) -> bytes | None:
    """Return what equal values share; None where the value is not plain."""
    digest = hashlib.blake2b(digest_size=16)
    try:
        _feed(digest, value, 0)
    except NotPlainError:
        return None
    return digest.digest()


def _feed(digest: Any, value: Any, depth: int) -> None:
    """Have `digest` take in what `encode` would return, without making it."""
    if depth > DEPTH_LIMIT:
        raise NotPlainError("nested too deep, or in itself")
    kind = cast("Any", type(value))
    digest.update(f"{kind.__name__} ".encode())
    if value is None or kind in (bool, int, float, str, bytes):
        digest.update(f"{value!r} ".encode(errors="surrogatepass"))
    elif is_array(value) or is_a(value, np.generic):
        _check_array(value)
        digest.update(f"{value.dtype} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8) if value.size else b"")
    elif is_generator(value):
        _feed(digest, state_of(value), depth + 1)
    else:
        for item in _items(value):
            _feed(digest, item, depth + 1)
        digest.update(b". ")


def _items(value: Any) -> list[Any]:
    """Return what a container holds, in an order that equal ones share."""
    kind = cast("Any", type(value))
    if is_a(value, dict):
        return [part for item in value.items() for part in item]
    if kind in _SEQUENCES:
        return list(value)
    if kind is deque:
        return [value.maxlen, *value]
    if kind in (set, frozenset):
        return sorted(value, key=repr)
    raise NotPlainError(f"{kind.__qualname__} is not plain")
