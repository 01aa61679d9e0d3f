"""`Wish`: what one rank wants all ranks to do, and how the wishes of all become one list; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from trainsignal.run_link import Boundary


@dataclass(frozen=True, slots=True)
class Wish:
    """A vote to stop, or a signal of the operating system, that one rank has got and all shall heed.

    Attributes:
        reason: in words.
        author: who voted on that rank; of a signal, its name.
        at: the boundary at which all shall stop.
        signal: number of SIGINT or SIGTERM; None for a vote.
    """

    reason: str
    author: str
    at: Boundary = "minibatch"
    signal: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return asdict(self)


Wishes: TypeAlias = Mapping[Wish, Sequence[int]]
"""Which ranks have each wish, in the order in which they came."""


def encode(wishes: Iterable[Wish]) -> bytes:
    """Return one rank's wishes as bytes for the others."""
    return json.dumps([wish.as_dict() for wish in wishes]).encode()


def decode(contents: Iterable[bytes]) -> dict[Wish, list[int]]:
    """Return the wishes of all ranks, each of which gave `encode`'s bytes, by rank."""
    wishes: dict[Wish, list[int]] = {}
    for rank, content in enumerate(contents):
        for fields in json.loads(content):
            note(wishes, rank, Wish(**fields))
    return wishes


def note(wishes: dict[Wish, list[int]], rank: int, wish: Wish) -> None:
    """Add a rank's wish to those of all."""
    ranks = wishes.setdefault(wish, [])
    if rank not in ranks:
        ranks.append(rank)


def signal_among(wishes: Wishes) -> tuple[Wish, int] | None:
    """Return the signal that ends the run at once, SIGTERM before SIGINT, and a rank that got it; or None."""
    signals = [wish for wish in wishes if wish.signal is not None]
    if not signals:
        return None
    wish = max(signals, key=lambda one: one.signal or 0)
    return wish, min(wishes[wish])


def author_of(wish: Wish, ranks: Sequence[int], size: int) -> str:
    """Return who votes; it tells the ranks where not all of so many agree."""
    if len(ranks) == size:
        return wish.author
    shown = ", ".join(str(rank) for rank in sorted(ranks)[:4])
    return f"{wish.author} on rank{'s' if len(ranks) > 1 else ''} {shown}{', …' if len(ranks) > 4 else ''}"
