"""What only a look at all rows of a series tells: found once, whatever is then zoomed into. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from trainsignal.report.best import best_of
from trainsignal.report.records import Indices, Series
from trainsignal.report.thinning import thinned


@dataclass(frozen=True, slots=True, eq=False)
class Digest:
    """What is known of all rows of a series.

    Attributes:
        points: about how many rows were to be drawn at most.
        rows: (points,) those to draw where all are looked at, ascending; each has a finite value.
        gaps: (gaps,) rows without a finite value, ascending, over which no line goes on.
        best_row: 0-based; -1 where there is no best value.
        missing: how many values are NaN, where that was not meant.
        infinite: how many values are.
        is_mostly_positive: more than half of the values to draw are above 0.
    """

    points: int
    rows: Indices
    gaps: Indices
    best_row: int
    missing: int
    infinite: int
    is_mostly_positive: bool


def digest(series: Series, points: int) -> Digest:
    """Return what is known of all rows of a series, of which about `points` are to be drawn; 4 at least."""
    values = series.values
    rows = thinned(values, points)
    drawn = values[rows]  # the lowest and the highest value are among them
    best = best_of(replace(series, values=drawn, epochs=None))
    unfit = np.flatnonzero(~np.isfinite(values))
    missing = int(np.isnan(values[unfit]).sum())
    return Digest(
        points=points,
        rows=rows,
        gaps=unfit[:0] if series.is_sparse else unfit,
        best_row=-1 if best is None else int(rows[best.row]),
        missing=0 if series.is_sparse else missing,
        infinite=unfit.size - missing,
        is_mostly_positive=2 * int((drawn > 0).sum()) > drawn.size,
    )


class Digests:
    """The digests of all series on a page.

    A series whose values change comes as another object, so one that is still the same is not read again.
    """

    def __init__(self) -> None:
        self._known: dict[Series, Digest] = {}

    def update(self, series: Iterable[Series], points: int) -> None:
        """Know these series from now on, and no others; of each, about `points` rows are to be drawn."""
        before = self._known
        self._known = {}
        for one in series:
            known = before.get(one)
            self._known[one] = known if known and known.points == points else digest(one, points)

    def __getitem__(self, series: Series) -> Digest:
        """Return the digest of a series that is known."""
        return self._known[series]
