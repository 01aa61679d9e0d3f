"""HDF5 files that others write or have written: opened beside their writer, and walked within themselves.

Follows nothing that leads out of a file: no soft or external link, no storage in other files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py

from trainsignal.shared_data.store import Identity, identity_of

_h5py: Any = h5py  # h5py-stubs do not know all of it; for the same reason, its objects are Any below

READ_ERRORS: Final = (OSError, RuntimeError, LookupError, TypeError, ValueError, ArithmeticError, MemoryError)
"""What h5py raises where a file is damaged, or holds what h5py does not know."""

MOST_LEVELS: Final = 32
"""Groups within groups that are walked."""


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Stands for a member that is not handed out.

    Attributes:
        reason: what it is instead, to be read after its name: "links to another file, which is not followed".
        error: it should have been readable; None: it leads elsewhere.
    """

    reason: str
    error: Exception | None = None


def open_for_reading(path: Path) -> h5py.File:
    """Return the file at `path`, open for reading; a writer is neither waited for nor kept away.

    Raises:
        OSError: it is no HDF5 file, or a damaged one.
    """
    with contextlib.suppress(OSError):
        return h5py.File(str(path), "r", locking=False)
    return h5py.File(str(path), "r")  # open in this process, it must be locked as there


def own_members(
    group: Any, prefix: str = "", above: tuple[Identity, ...] = ()
) -> Iterator[tuple[str, h5py.Group | h5py.Dataset | PassedOver]]:
    """Yield each path below `group` with what is there, parents first; only what the file itself holds.

    A group that cannot be listed is yielded once more, as passed over.

    Args:
        group: h5py's own.
        prefix: what paths begin with.
        above: the groups that `group` is in.
    """
    try:
        names, within = list(group), (*above, identity_of(group.id))
    except READ_ERRORS as error:
        yield prefix.rstrip("/"), _unreadable(error)
        return
    for name in names:
        path, member = f"{prefix}{name}", _own_member(group, name, within)
        yield path, member
        if isinstance(member, h5py.Group):
            yield from own_members(member, f"{path}/", within)


def _own_member(group: Any, name: str | bytes, above: tuple[Identity, ...]) -> Any:
    """Return a member, or a `PassedOver` in its place."""
    if not isinstance(name, str):
        return PassedOver("has a name that is no text", ValueError(f"{name!r} is not UTF-8"))
    try:
        link = group.get(name, getlink=True)
        if isinstance(link, _h5py.ExternalLink):
            return PassedOver("links to another file, which is not followed")
        if isinstance(link, _h5py.SoftLink):
            return PassedOver("is a soft link, which is not followed")
        if link is None:
            return _unreadable(KeyError(name))
        member = group[name]
        if isinstance(member, h5py.Dataset):
            return _with_own_storage(member)
        if not isinstance(member, h5py.Group):
            return PassedOver("is a type, which holds no numbers")
        if identity_of(member.id) in above:  # which hard links allow
            return PassedOver("leads back to a group that it is in")
        if len(above) > MOST_LEVELS:
            return PassedOver("is too deep", ValueError(f"{name!r} is in more than {MOST_LEVELS} groups"))
    except READ_ERRORS as error:
        return _unreadable(error)
    return member


def _with_own_storage(dataset: Any) -> Any:
    if dataset.external:
        return PassedOver("keeps its numbers in another file, which is not read")
    if dataset.is_virtual:
        return PassedOver("shows numbers of other datasets, which are not looked up")
    return dataset


def _unreadable(error: Exception) -> PassedOver:
    return PassedOver(f"cannot be read: {error}", error)
