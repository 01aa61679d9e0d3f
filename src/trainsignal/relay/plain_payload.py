"""What handlers are sent, as plain JSON values that nobody changes any more. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final, cast

import numpy as np

from trainsignal.plain_values import is_a, is_array
from trainsignal.relay.messages import plain_numbers

LONGEST_TEXT: Final = 5_000
"""Characters of a text; the rest is left out."""

MOST_NUMBERS: Final = 40_000
"""Elements of an array; more would not fit into a message."""

_DEEPEST: Final = 20


class NotJSONError(TypeError):
    """A value that JSON cannot hold; never leaves this package's internals."""


def plain(value: Any, depth: int = 0) -> Any:
    """Return a copy of a value as JSON can hold it; numbers that are not finite as "nan", "inf", "-inf".

    Paths become texts, tuples lists, NumPy's arrays and numbers Python's.

    Raises:
        NotJSONError: it is something else, or nested too deep.
    """
    if depth > _DEEPEST:
        raise NotJSONError("nested too deep, or in itself")
    kind = cast("Any", type(value))
    if value is None or kind in (bool, int):
        return value
    if kind is float:
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (str, PurePath)):
        return short(str(value))
    if is_array(value) or is_a(value, np.generic):
        array = np.asarray(value)
        if array.size > MOST_NUMBERS:
            raise NotJSONError(f"{array.size:,} numbers")
        if array.dtype.kind in "OU":  # texts, as HDF5 gives a list of them
            return plain(array.tolist(), depth + 1)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > np.dtype(np.float64).itemsize:
            raise NotJSONError(f"numbers of type {array.dtype}")
        return plain_numbers(array)
    if kind in (list, tuple):
        return [plain(item, depth + 1) for item in value]
    if kind is dict and all(type(key) is str for key in value):
        return {key: plain(item, depth + 1) for key, item in value.items()}
    raise NotJSONError(kind.__qualname__)


def plain_parts(payload: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return those parts of a payload that JSON can hold, and of each other one why not."""
    parts: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name, value in payload.items():
        try:
            parts[name] = plain(value)
        except NotJSONError as error:
            left_out[name] = str(error)
    return parts, left_out


def short(text: str) -> str:
    """Return a text that fits into any message."""
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"
