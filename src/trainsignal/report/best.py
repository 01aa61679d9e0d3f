"""The best value of a series, where it stands, and the last one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainsignal.report.records import Series


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of a series.

    Attributes:
        row: 0-based; the first of equal ones.
        value: in the number of digits that the series holds.
        epoch: 0-based; None where rows are no epochs.
    """

    row: int
    value: float
    epoch: int | None


def best_of(series: Series) -> Best | None:
    """Return the best finite value; None without one, and where nobody said which direction is better."""
    finite = np.flatnonzero(np.isfinite(series.values))
    if series.direction is None or not finite.size:
        return None
    values = series.values[finite]
    row = int(finite[values.argmin() if series.direction == "min" else values.argmax()])
    epoch = None if series.epochs is None else int(series.epochs[row])
    return Best(row, float(series.values[row]), epoch)


def place_of(best: Best, series: Series) -> str:
    """Return where the best value of a series stands, in words: "epoch 3", "minibatch 1,200"; 0-based."""
    return f"{series.axis} {best.row:,}" if best.epoch is None else f"epoch {best.epoch:,}"


def last_of(series: Series) -> float | None:
    """Return the value of the last row, which may be NaN or infinite; None without one.

    Of a series that is sparse, the last finite value, as its other rows tell nothing.
    """
    values = series.values[np.isfinite(series.values)] if series.is_sparse else series.values
    return float(values[-1]) if values.size else None
