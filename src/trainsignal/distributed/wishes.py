"""`Wish`: what one rank wants all ranks to do, and how the wishes of all become one list; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trainsignal.run_link import Boundary


@dataclass(frozen=True, slots=True)
class Wish:
    """A vote to stop, or a signal of the operating system, that one rank has got and all shall heed.

    Attributes:
        rank: who has it.
        number: counts those of this rank, from 0.
        reason: in words.
        author: who voted on that rank; of a signal, its name.
        at: the boundary at which all shall stop.
        signal: number of SIGINT or SIGTERM; None for a vote.
    """

    rank: int
    number: int
    reason: str
    author: str
    at: Boundary = "minibatch"
    signal: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return asdict(self)


def encode(wishes: Iterable[Wish]) -> bytes:
    """Return wishes as bytes for the other ranks."""
    return json.dumps([wish.as_dict() for wish in wishes]).encode()


def decode(contents: Iterable[bytes]) -> list[Wish]:
    """Return the wishes of all ranks, each of which gave `encode`'s bytes, in the order of the ranks."""
    return [Wish(**wish) for content in contents for wish in json.loads(content)]


@dataclass(frozen=True, slots=True)
class Vote:
    """What became of wishes that are alike: one vote of the whole run."""

    reason: str
    author: str
    at: Boundary


def signal_among(wishes: Sequence[Wish]) -> Wish | None:
    """Return the signal that ends the run at once, SIGTERM before SIGINT; None where all are votes."""
    return max((wish for wish in wishes if wish.signal is not None), key=_urgency, default=None)


def votes_of(wishes: Sequence[Wish], size: int) -> list[Vote]:
    """Return one vote for those that differ in their rank alone; the author tells where not all ranks agree.

    Args:
        wishes: without signals.
        size: how many ranks there are.
    """
    ranks: dict[Vote, list[int]] = {}
    for wish in wishes:
        alike = ranks.setdefault(Vote(wish.reason, wish.author, wish.at), [])
        if wish.rank not in alike:
            alike.append(wish.rank)
    return [
        vote if len(who) == size else Vote(vote.reason, f"{vote.author} on {_ranks(who)}", vote.at)
        for vote, who in ranks.items()
    ]


def _urgency(wish: Wish) -> tuple[int, int]:
    return wish.signal or 0, -wish.rank


def _ranks(who: Sequence[int]) -> str:
    shown = ", ".join(str(rank) for rank in sorted(who)[:4])
    return f"rank{'s' if len(who) > 1 else ''} {shown}{', …' if len(who) > 4 else ''}"
