"""`RankFailure`: which rank of a run failed, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RankFailure:
    """A rank that failed, died or left.

    Attributes:
        rank: 0-based.
        text: why, in words: "ValueError: bad batch".
    """

    rank: int
    text: str

    def __str__(self) -> str:
        return f"rank {self.rank}: {self.text}"
