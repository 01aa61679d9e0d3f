"""Is it better? Direction, least difference and patience, as pure functions of frozen values.

Knows no callback, no series and no run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from trainsignal.errors import ConfigurationError

Direction: TypeAlias = Literal["min", "max"]
"""Which values are better: lower or higher ones."""


@dataclass(frozen=True, slots=True)
class Improvement:
    """What counts as better.

    Attributes:
        direction: "min" where lower values are better, "max" where higher ones are.
        min_delta: a value must be better by more than this, in the values' own unit; 0 or more.

    Raises:
        ConfigurationError: no direction, or a difference that is negative or no number.
    """

    direction: Direction
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ConfigurationError(
                f"direction={self.direction!r}: expected 'min' (lower is better) or 'max' (higher is better)"
            )
        if not 0 <= self.min_delta < math.inf:
            raise ConfigurationError(f"min_delta={self.min_delta!r}: expected a difference of 0 or more")

    def is_better(self, value: float, best: float | None) -> bool:
        """Return whether `value` is better than `best`; None: than the worst that there is.

        NaN is never better, nor is the infinity at the wrong end.
        """
        if self.direction == "min":
            return value < (math.inf if best is None else best) - self.min_delta
        return value > (-math.inf if best is None else best) + self.min_delta


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sequence of values has come.

    Attributes:
        best: the best value so far; None before the first that is better than nothing.
        misses: values in a row, up to the latest, that were no improvement.
    """

    best: float | None = None
    misses: int = 0

    def after(self, value: float, improvement: Improvement) -> Progress:
        """Return the progress after one more value."""
        if improvement.is_better(value, self.best):
            return Progress(value)
        return Progress(self.best, self.misses + 1)
