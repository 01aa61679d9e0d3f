"""A pytree as nested plain values, by the names in its paths, and back into a pytree of the same structure.

What holds no array (an optimizer's empty state, functions, None) is not saved: the structure is that of the
pytree at hand, and only its leaves are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trainsignal.errors import CheckpointError
from trainsignal.models.jax.framework import jax
from trainsignal.models.jax.leaves import decode, encode, is_encoded, kind_of, kind_of_encoded

MOST_NAMED: Final = 5
"""So many differences stand in a message."""


_NAMES: Final = ("key", "name", "idx")
"""Attributes of JAX's path entries, of which each has one: key of a dict, attribute, place in a sequence."""


def names_of(path: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the names in a path of JAX's."""
    return tuple(str(next(getattr(key, name) for name in _NAMES if hasattr(key, name))) for key in path)


def leaves_of(tree: Any) -> dict[tuple[str, ...], Any]:
    """Return each leaf of a pytree by the names that lead to it."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {names_of(path): leaf for path, leaf in leaves}


def to_plain(leaves: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """Return leaves as nested dicts of plain values.

    Raises:
        CheckpointError: a leaf that is neither an array nor a number.
    """
    plain: dict[str, Any] = {}
    for names, leaf in leaves.items():
        inside = plain
        for name in names[:-1]:
            inside = inside.setdefault(name, {})
        inside[names[-1]] = encode(leaf, "/".join(names))
    return plain


def with_leaves(tree: Any, plain: Mapping[str, Any], *, top: tuple[str, ...]) -> Any:
    """Return a pytree like `tree` with the leaves below the names in `top` from `to_plain`.

    Each new leaf is where the old one was: on its device, sharded as it was.

    Args:
        tree: a pytree; its other leaves are kept.
        plain: nested dicts.
        top: first names of the paths of the leaves to replace.

    Raises:
        CheckpointError: the leaves have other names, shapes or types; says which.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    leaves = [(names_of(path), leaf) for path, leaf in paths]
    there = {names: leaf for names, leaf in leaves if names[0] in top}
    saved = _flat(plain, ())
    differences = _differences(there, saved)
    if differences:
        more = len(differences) - MOST_NAMED
        listed = "; ".join(differences[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        raise CheckpointError(f"the checkpoint is of another architecture, or of another optimizer: {listed}")
    return jax.tree_util.tree_unflatten(
        structure, [decode(saved[names], leaf) if names in saved else leaf for names, leaf in leaves]
    )


def _differences(there: Mapping[tuple[str, ...], Any], saved: Mapping[tuple[str, ...], Any]) -> list[str]:
    """Return what the leaves of a pytree and those of a checkpoint do not share, in words."""
    found: list[str] = []
    for names, leaf in there.items():
        here = kind_of(leaf)
        if names not in saved:
            found.append(f"{'/'.join(names)} ({here}) is not in the checkpoint")
        elif not here.fits(kind_of_encoded(saved[names])):
            found.append(
                f"{'/'.join(names)} is {kind_of_encoded(saved[names])} in the checkpoint, {here} in the model"
            )
    found += [f"{'/'.join(names)} is in the checkpoint only" for names in saved if names not in there]
    return found


def _flat(plain: Any, names: tuple[str, ...]) -> dict[tuple[str, ...], Any]:
    """Return what `to_plain` was given, with encoded leaves."""
    if is_encoded(plain):
        return {names: plain}
    leaves: dict[tuple[str, ...], Any] = {}
    for name, child in plain.items():
        leaves.update(_flat(child, (*names, str(name))))
    return leaves
