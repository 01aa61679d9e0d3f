"""Which attributes of an object a checkpoint holds, and putting them back.

Knows objects with attributes, no callback and no file.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from trainsignal.plain_values import (
    NotPlainError,
    encode,
    fingerprint,
    is_a,
    is_array,
    is_generator,
    set_state,
    state_of,
)

CONSTANTS: Final = "trainsignal constants"
"""Key in an object's `__dict__`: fingerprints of the attributes that a run has not changed so far."""


def note_constants(thing: object) -> None:
    """Remember what the attributes are now, when the run has initialized the object.

    An attribute that differs later is state; the others are how it was made, and for which run, and are not
    saved: a resumed run may be made otherwise (with more patience, say, or for more epochs).
    """
    vars(thing)[CONSTANTS] = {name: fingerprint(value) or id(value) for name, value in _named(thing)}


def forget_constants(thing: object) -> None:
    """Undo `note_constants`."""
    vars(thing).pop(CONSTANTS, None)


def changed_attributes(thing: object) -> dict[str, Any]:
    """Return the attributes with plain values that are not as they were when the run began."""
    constants: Mapping[str, bytes | int] = vars(thing).get(CONSTANTS, {})
    marks = ((name, value, fingerprint(value)) for name, value in _named(thing))
    return {name: value for name, value, mark in marks if mark is not None and constants.get(name) != mark}


def lost_attributes(thing: object) -> list[str]:
    """Return the attributes that were set since the run began, to values that are not plain."""
    constants: Mapping[str, bytes | int] = vars(thing).get(CONSTANTS, {})
    return [
        name
        for name, value in _named(thing)
        if constants.get(name) != id(value) and fingerprint(value) is None
    ]


def plain_attributes(thing: object) -> dict[str, Any]:
    """Return all attributes with plain values, encoded: what they are now, whatever becomes of them."""
    found: dict[str, Any] = {}
    for name, value in _named(thing):
        with contextlib.suppress(NotPlainError):
            found[name] = encode(value)
    return found


def set_attributes(thing: object, values: Mapping[str, Any]) -> None:
    """Set attributes; arrays, dicts, deques and generators that are there already are filled, not replaced.

    So others that hold the same object see the change, and its own class and length are kept.
    """
    for name, value in values.items():
        there: Any = vars(thing).get(name)
        if is_array(there) and is_array(value) and _fits(there, value):
            there[...] = value
        elif is_a(there, dict) and is_a(value, dict):
            items = dict(value)  # which may be `there` itself
            there.clear()
            there.update(items)
        elif is_a(there, deque) and is_a(value, deque):
            members = list(value)
            there.clear()
            there.extend(members)
        elif is_generator(value) and type(there) is type(value):
            set_state(there, state_of(value))
        else:
            setattr(thing, name, value)


def _named(thing: object) -> list[tuple[str, Any]]:
    """Return the attributes that a user could have set: those whose name is one."""
    return [(name, value) for name, value in vars(thing).items() if name.isidentifier()]


def _fits(there: Any, value: Any) -> bool:
    """Return whether an array can be filled from another one without changing it."""
    return bool(there.shape == value.shape and there.dtype == value.dtype and there.flags.writeable)
