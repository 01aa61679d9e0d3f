"""Which attributes of a remote run's series can be kept in a file. Pure."""

from __future__ import annotations

from typing import Any, Final, TypeGuard

LONGEST_KEY: Final = 500
"""Characters of a key, a name or a text."""

_LONGEST_ATTRIBUTE: Final = 4096


def is_storable(name: str, value: object) -> bool:
    """Return whether HDF5 takes an attribute: a plain value, or a short list of one kind of them."""
    values: list[Any] = value if is_list(value) else [value]
    is_of_one_kind = all(type(one) is type(values[0]) for one in values)
    return (
        bool(name) and name.isprintable() and len(name) <= LONGEST_KEY
        and len(values) <= _LONGEST_ATTRIBUTE and is_of_one_kind and all(map(_is_plain, values))
    )  # fmt: skip


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return value.isprintable() and len(value) <= LONGEST_KEY
    return isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**63)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Return whether `value` is a list, of whatever."""
    return isinstance(value, list)
