"""Attributes of the members of an archive, each as the kind of value that it should be, or absent.

Trusts nothing: whoever wrote the archive could have put anything there, of any size.
"""

from __future__ import annotations

import unicodedata
from typing import Any, Final, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from trainsignal.shared_data.foreign import READ_ERRORS

LONGEST_TEXT: Final = 2000
"""Characters of a text; the rest is left out."""

MOST_TEXTS: Final = 1000
"""Of a list."""

MOST_NUMBERS: Final = 2**20
"""Elements of a list."""

_LATEST: Final = 2.5e11
"""Seconds since 1970-01-01 UTC, shortly before the year 9999, in which calendars end."""

_INVISIBLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that move a cursor, break a line or cannot be written."""

_TURNING: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make text run the other way."""


def text(member: Any, name: str) -> str | None:
    """Return the attribute `name` as text; None where there is none, or something else.

    Args:
        member: a group or dataset; None has no attributes.
        name: of the attribute.
    """
    return as_text(_value(member, name, 1))


def texts(member: Any, name: str, *, most: int = MOST_TEXTS) -> tuple[str, ...]:
    """Return the attribute `name`, a list of texts; without those that are none, and () without a list.

    Args:
        member: as of `text`.
        name: of the attribute.
        most: of more texts, none is read.
    """
    value = _value(member, name, most)
    if not isinstance(value, np.ndarray) or value.ndim != 1:
        return ()
    found = (as_text(one) for one in cast("list[object]", value.tolist()))
    return tuple(one for one in found if one is not None)


def whole(member: Any, name: str) -> int | None:
    """Return the attribute `name` as an integer that is not negative; None without one."""
    found = numbers(member, name, most=1)
    if found.size != 1 or not 0 <= found[0] < 2**62 or not float(found[0]).is_integer():
        return None
    return int(found[0])


def numbers(member: Any, name: str, *, most: int = MOST_NUMBERS) -> npt.NDArray[np.float64]:
    """Return the attribute `name`, a number or a list of them, as (numbers,); () without."""
    value = np.asarray(_value(member, name, most))
    if value.dtype.kind not in "iuf" or value.ndim > 1:
        return np.empty(0)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float64, infinite; or a NaN that signals
        return value.astype(np.float64).reshape(-1)


def as_text(value: object) -> str | None:
    """Return a value as text that can be shown anywhere, in one line; None where it is no text."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if not isinstance(value, str):
        return None
    kept = value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
    return kept if kept.isprintable() else "".join(map(_visible, kept))


def is_moment(seconds: object) -> TypeGuard[float]:
    """Return whether a value is a moment of a calendar, in seconds since 1970-01-01 UTC."""
    return isinstance(seconds, float) and 0 < seconds < _LATEST


def _visible(character: str) -> str:
    """Return a character, or its escape where it would do something instead of being seen."""
    if character in _TURNING or unicodedata.category(character) in _INVISIBLE:
        return character.encode("unicode_escape").decode()
    return character


def _value(member: Any, name: str, most: int) -> object:
    """Return the attribute; None where there is none, where it has too many elements or cannot be read."""
    if member is None:
        return None
    try:
        if name not in member.attrs:
            return None
        shape = member.attrs.get_id(name).shape
        if shape is None or np.prod(shape, dtype=float) > most:
            return None
        return cast("object", member.attrs[name])
    except READ_ERRORS:
        return None
