"""A state as a JSON skeleton plus named arrays: what HDF5, .npz and any other container of arrays store.

The skeleton is plain JSON, with an object of one "$" key for what JSON lacks:

    {"$array": name}                 the array stored under `name`
    {"$scalar": name}                the NumPy scalar stored under `name` as an array of shape ()
    {"$array": name, "text": dtype}  text or byte strings, stored as codes with one more axis (..., length);
                                     "$scalar" likewise
    {"$tuple": [...]}                a tuple
    {"$dict": [[key, value], ...]}   a dict with int keys, or with keys that begin with "$"
    {"$bytes": base64}  {"$int": hexadecimal}  {"$float": "nan" or "inf" or "-inf"}

Touches no file.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from trainsignal.abilities import Array
from trainsignal.checkpoint.tree import child_path, is_array, is_mapping, is_scalar, is_sequence, is_storable

ROOT = "state"
"""Where the arrays hang: `state["model"]["W"]` is stored under "state/model/W"."""

FORMAT = "trainsignal checkpoint"
VERSION = 1
"""Raised when a reader of the old version would misread the new one."""

Fetch = Callable[[str], Array]
"""Reads the array stored under a name, or raises DamagedError."""

_EXACT_EVERYWHERE = 2**53
"""Integers up to here survive any JSON reader; Python's own refuses decimals of more than 4,300 digits."""

_CODE_BYTES = {"U": 4, "S": 1}


class DamagedError(ValueError):
    """What was found in a file that is no whole checkpoint; `load_state` adds the path and what to do."""


def pack(state: Any) -> tuple[str, dict[str, Array]]:
    """Take a plain state (`tree.make_plain`) apart.

    Returns:
        The skeleton, ASCII JSON; and the arrays by name, none of which is the beginning of another's path.
    """
    arrays: dict[str, Array] = {}
    skeleton = _take_apart(state, "", arrays)
    return json.dumps({"format": FORMAT, "version": VERSION, "state": skeleton}, allow_nan=False), arrays


def unpack(text: str | bytes, fetch: Fetch) -> Any:
    """Put a state together again, fetching each array once.

    Raises:
        DamagedError: `pack` did not write this skeleton, or a newer one did, or `fetch` raised it.
    """
    try:
        document: object = json.loads(text)
        if not is_mapping(document) or document.get("format") != FORMAT:
            raise DamagedError(f"its skeleton does not name the format {FORMAT!r}")
        if document.get("version") != VERSION:
            raise DamagedError(
                f"it is of version {document.get('version')!r}, and this trainsignal reads version {VERSION} "
                "(another release of trainsignal may read it)"
            )
        return _put_together(document["state"], fetch, set())
    except RecursionError as error:
        raise DamagedError("its skeleton is nested too deep") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if isinstance(error, DamagedError):
            raise
        raise DamagedError(f"it is damaged ({error})") from error


def _take_apart(value: Any, path: str, arrays: dict[str, Array]) -> Any:
    if is_mapping(value):
        return _take_dict_apart(value, path, arrays)
    if is_sequence(value):
        children = [
            _take_apart(child, child_path(path, index, in_list=True), arrays)
            for index, child in enumerate(value)
        ]
        return children if isinstance(value, list) else {"$tuple": children}
    if is_array(value) or is_scalar(value):
        return _store(value, path, arrays)
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, int) and abs(value) > _EXACT_EVERYWHERE:
        return {"$int": hex(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": str(value)}
    return value


def _take_dict_apart(value: Mapping[str | int, Any], path: str, arrays: dict[str, Array]) -> dict[str, Any]:
    pairs = [(key, _take_apart(child, child_path(path, key), arrays)) for key, child in value.items()]
    if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
        return {str(key): child for key, child in pairs}
    return {"$dict": [[_take_apart(key, path, arrays), child] for key, child in pairs]}


def _store(value: Array | np.generic[Any], path: str, arrays: dict[str, Array]) -> dict[str, str]:
    name = f"{ROOT}/{path}" if path else ROOT
    array = np.asarray(value)
    node = {"$scalar" if is_scalar(value) else "$array": name}
    if array.dtype.kind in _CODE_BYTES:
        node["text"] = array.dtype.str
        shape = (*array.shape, array.dtype.itemsize // _CODE_BYTES[array.dtype.kind])
        array = np.ndarray(shape, _code_dtype(array.dtype), buffer=array.tobytes())
    arrays[name] = array
    return node


def _code_dtype(text: np.dtype[Any]) -> np.dtype[Any]:
    """Return the integers, of the same byte order, that the characters of a text dtype are stored as."""
    return np.dtype(f"{text.str[0]}u{_CODE_BYTES[text.kind]}")


def _put_together(node: Any, fetch: Fetch, fetched: set[str]) -> Any:
    if is_sequence(node):
        return [_put_together(child, fetch, fetched) for child in node]
    if not is_mapping(node):
        return node
    kind = next(iter(node), "")
    if not kind.startswith("$"):
        return {key: _put_together(child, fetch, fetched) for key, child in node.items()}
    content = node[kind]
    match kind:
        case "$array" | "$scalar":
            array = _fetch(str(content), node.get("text"), fetch, fetched)
            return array if kind == "$array" else array[()]
        case "$tuple":
            return tuple(_put_together(child, fetch, fetched) for child in content)
        case "$dict":
            return {
                _put_together(key, fetch, fetched): _put_together(child, fetch, fetched)
                for key, child in content
            }
        case "$bytes":
            return base64.b64decode(content, validate=True)
        case "$int":
            return int(content, 16)
        case "$float":
            return float(content)
        case _:
            raise DamagedError(f"its skeleton has an entry of the unknown kind {kind!r}")


def _fetch(name: str, text: str | None, fetch: Fetch, fetched: set[str]) -> Array:
    """Return the array of a node; a name may occur once, so that a file cannot grow in memory."""
    if name in fetched:
        raise DamagedError(f"its skeleton uses the array {name!r} twice")
    fetched.add(name)
    array = fetch(name)
    if not is_storable(array.dtype):
        raise DamagedError(f"the array {name!r} has the dtype {str(array.dtype)!r}")
    if text is None:
        return array
    dtype = np.dtype(text)
    if array.dtype != _code_dtype(dtype) or array.shape[-1] * array.itemsize != dtype.itemsize:
        raise DamagedError(f"the array {name!r} of {array.dtype} cannot be text of dtype {text!r}")
    return np.ndarray(array.shape[:-1], dtype, buffer=array.tobytes()).copy()
