"""Few points that look as all of them do: of each stretch of rows its lowest and its highest stay."""

from __future__ import annotations

import numpy as np

from trainsignal.report.records import Floats, Indices


def thinned(values: Floats, points: int) -> Indices:
    """Return the rows to draw, ascending; those of NaN and infinity are none of them.

    Source: min/max downsampling. No spike is lost: the finite values are cut into `points // 2` stretches of
    equal length, and of each the first lowest and the first highest stay; the first and the last row too.

    Args:
        values: (rows,).
        points: about how many rows to return at most; no fewer than 4.
    """
    finite = np.flatnonzero(np.isfinite(values))
    if finite.size <= points:
        return finite
    length = -(-finite.size // (points // 2))
    whole = finite.size - finite.size % length
    stretches = values[finite[:whole]].reshape(-1, length)
    rest = values[finite[whole:]]
    begins = np.arange(0, whole, length)
    kept = [begins + stretches.argmin(axis=1), begins + stretches.argmax(axis=1), [0, finite.size - 1]]
    if rest.size:
        kept.append([whole + rest.argmin(), whole + rest.argmax()])
    rows: Indices = finite[np.unique(np.concatenate(kept))]
    return rows
