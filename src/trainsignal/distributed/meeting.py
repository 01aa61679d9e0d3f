"""What the ranks compare before epoch 0, so that none waits later for what another will never do."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from trainsignal.callback import Callback
from trainsignal.errors import RankFailedError, WiringError
from trainsignal.frequency import frequency_words

MOST_LINES: Final = 12
"""So many lines of difference are shown."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What one rank tells the others before epoch 0.

    Attributes:
        wiring: a line for each thing that must be the same on all ranks.
        problem: why this rank cannot begin; "" where it can.
        host: its `watch_offer.host_identity`.
        run_id: of its run; that of the first rank is everybody's.
    """

    wiring: Sequence[str] = field(default_factory=tuple)
    problem: str = ""
    host: str = ""
    run_id: str = ""

    def encoded(self) -> bytes:
        """Return it as bytes for the other ranks."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decoded(cls, content: bytes) -> Introduction:
        """Return what another rank has encoded."""
        return cls(**json.loads(content))


def wiring_lines(
    callbacks: Iterable[Callback], epochs: int | None, beginning: str, version: str
) -> list[str]:
    """Return what must be the same on all ranks, in lines that a person reads.

    Args:
        callbacks: those that run on every rank, in running order.
        epochs: how many there will be.
        beginning: where the run begins.
        version: of trainsignal.
    """
    lines = [f"trainsignal {version}", f"{'any number of' if epochs is None else epochs} epochs, {beginning}"]
    return [*lines, *(_line(callback) for callback in callbacks)]


def check_alike(introductions: Sequence[Introduction], rank: int) -> None:
    """Refuse to begin where the ranks differ, or one of them cannot.

    Args:
        introductions: of all ranks.
        rank: the one that asks; its own problem is raised where it occurred.

    Raises:
        RankFailedError: another rank cannot begin.
        WiringError: the ranks differ; the message shows how.
    """
    for other, introduction in enumerate(introductions):
        if introduction.problem and other != rank:
            raise RankFailedError(f"rank {other} could not begin: {introduction.problem}")
    first = introductions[0].wiring
    different = [other for other, one in enumerate(introductions) if list(one.wiring) != list(first)]
    if different:
        shown = different[0]
        more = f" (and {len(different) - 1} more ranks)" if len(different) > 1 else ""
        raise WiringError(
            "the ranks of this run differ, and would wait for each other for ever. Rank 0 (-) and "
            f"rank {shown} (+){more}:\n{_difference(first, introductions[shown].wiring)}\n"
            "Build the same callbacks on every rank. One that only the first rank is to run is added on all "
            "of them, with only_first=True."
        )


def _line(callback: Callback) -> str:
    parts = [
        type(callback).__name__,
        f"epochs: {frequency_words(callback.epoch_freq)}",
        f"minibatches: {frequency_words(callback.minibatch_freq)}",
    ]
    for word, names in (("reads", callback.reads), ("writes", callback.writes)):
        if names:
            parts.append(f"{word} {', '.join(sorted(str(name) for name in names))}")
    return "; ".join(parts)


def _difference(first: Sequence[str], other: Sequence[str]) -> str:
    lines: list[Any] = [line for line in difflib.ndiff(first, other) if line[0] in "+-"]
    left = len(lines) - MOST_LINES
    shown = [f"  {line}" for line in lines[:MOST_LINES]]
    return "\n".join([*shown, f"  … {left} more"] if left > 0 else shown)
