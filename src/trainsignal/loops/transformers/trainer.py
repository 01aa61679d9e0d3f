"""What the Trainer's arguments and objects say; asked, not changed."""

from __future__ import annotations

from typing import Any, Final

from trainsignal.feed import length_of

EVALUATED: Final = "eval_"
"""What the names of evaluated values begin with while the Trainer trains."""


def steps_per_epoch(loader: Any, accumulated: int) -> int | None:
    """Return the updates of an epoch, of so many batches each but for the last; None where nobody knows."""
    batches = length_of(loader)
    return None if batches is None else max(1, -(-batches // accumulated))


def direction_of(args: Any) -> dict[str, bool]:
    """Return whether more is better, of the metric by which the Trainer compares models, if there is one."""
    name: str | None = args.metric_for_best_model
    if name is None or args.greater_is_better is None:
        return {}
    return {EVALUATED + name.removeprefix(EVALUATED): bool(args.greater_is_better)}
