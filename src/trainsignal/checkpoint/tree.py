"""Which values a state may hold, checked once for every format, so that what one can save each can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard
from urllib.parse import quote

import numpy as np

from trainsignal.abilities import Array
from trainsignal.errors import CheckpointError

DEPTH_LIMIT = 100
"""Levels of nesting; a state that contains itself is found out here, not by exhausting the stack."""

PATH_LIMIT = 4096
"""Characters of the path of one value, so that it can be a name in any file format."""

_LARGEST_ITEM_BYTES: Mapping[str, float] = {
    "b": 1,
    "i": 8,
    "u": 8,
    "f": 8,  # extended precision has another layout on each platform
    "c": 16,
    "U": float("inf"),
    "S": float("inf"),
}
"""The kinds of arrays that each format holds exactly, and how many bytes one item may take."""


def make_plain(state: object) -> Any:
    """Return `state` in plain containers and values: dict, list, tuple, str, bytes, numbers, None, arrays.

    Subclasses of dict, list, tuple, str, bytes, int and float come back as their base; arrays are not copied.

    Raises:
        CheckpointError: a value, key or array type that cannot be saved, by its path inside the state.
    """
    return _plain(state, "", 0)


def child_path(path: str, key: str | int, *, in_list: bool = False) -> str:
    """Return the path of what `key` leads to from `path`: "model/layers/0/W". Each place has its own.

    No component is empty, all dots, or holds a "/" that stood in its key, so that the path can be a name in
    HDF5 and in a zip file. A dict's int key reads "[3]", unlike the str "3".
    """
    if isinstance(key, int):
        component = str(key) if in_list else f"[{key}]"
    else:
        component = quote(key, safe=" !$&'()*+,:;=@", errors="surrogatepass")
        if not component.strip("."):
            component = component.replace(".", "%2E") or "%"
    return f"{path}/{component}" if path else component


def is_storable(dtype: np.dtype[Any]) -> bool:
    """Say whether each format holds arrays of `dtype` exactly: no objects, dates, records, float128."""
    return dtype.itemsize <= _LARGEST_ITEM_BYTES.get(dtype.kind, -1)


def is_array(value: object) -> TypeGuard[Array]:
    """Say whether `value` is a NumPy array."""
    return isinstance(value, np.ndarray)


def is_scalar(value: object) -> TypeGuard[np.generic[Any]]:
    """Say whether `value` is a NumPy scalar; some of them are also a float or a str."""
    return isinstance(value, np.generic)


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Say whether `value` is a dict, or what behaves like one."""
    return isinstance(value, Mapping)


def is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Say whether `value` is a list or a tuple."""
    return isinstance(value, list | tuple)


def _plain(value: object, path: str, depth: int) -> Any:
    if depth > DEPTH_LIMIT:
        raise _refusal(path, f"nested more than {DEPTH_LIMIT} levels deep. Does the state contain itself?")
    if len(path) > PATH_LIMIT:
        raise _refusal(path, f"the keys up to here have more than {PATH_LIMIT} characters. Shorten them.")
    if is_array(value) or is_scalar(value):
        return _plain_array(value, path)
    if is_mapping(value):
        return _plain_dict(value, path, depth)
    if is_sequence(value):
        children = [
            _plain(child, child_path(path, index, in_list=True), depth + 1)
            for index, child in enumerate(value)
        ]
        return children if isinstance(value, list) else tuple(children)
    return _plain_leaf(value, path)


def _plain_leaf(value: object, path: str) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    kind = type(value)
    raise _refusal(
        path,
        f"a value of type {kind.__module__}.{kind.__qualname__} cannot be saved; a state holds dict, list, "
        "tuple, str, bytes, int, float, bool, None, NumPy arrays and scalars. Convert it (a tensor with "
        "numpy.asarray) or leave it out.",
    )


def _plain_text(value: str) -> str:
    return str.__str__(value)  # str() gives the name of an Enum that is a str, not its value


def _plain_dict(value: Mapping[Any, Any], path: str, depth: int) -> dict[str | int, Any]:
    result: dict[str | int, Any] = {}
    for given, child in value.items():
        key = given.item() if is_scalar(given) else given
        if isinstance(key, str):
            plain_key: str | int = _plain_text(key)
        elif isinstance(key, int) and not isinstance(key, bool):
            plain_key = int(key)
        else:
            raise _refusal(
                path, f"a dict key must be a str or an int, not {given!r}. Convert it before saving."
            )
        result[plain_key] = _plain(child, child_path(path, plain_key), depth + 1)
    return result


def _plain_array(value: Array | np.generic[Any], path: str) -> Any:
    if is_array(value) and type(value) not in (np.ndarray, np.memmap):
        # A masked array would lose its mask, a matrix its meaning of `*`.
        raise _refusal(
            path,
            f"a {type(value).__name__} cannot be saved as what it is. Convert it with numpy.asarray, and "
            "save a mask as an array of its own.",
        )
    if not is_storable(value.dtype):
        raise _refusal(
            path,
            f"an array of dtype {str(value.dtype)!r} cannot be saved; arrays may hold bool, integers, floats "
            "of 16 to 64 bits, complex numbers, text and byte strings. Convert it with .astype (dates: "
            "'int64').",
        )
    return value


def _refusal(path: str, reason: str) -> CheckpointError:
    return CheckpointError(f"{path[:200] or 'the state itself'}: {reason}")
