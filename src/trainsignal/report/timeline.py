"""Where the moments of a run lie on the axes: epochs, minibatches, seconds.

A moment is told in epochs since the run began: 2.5 is halfway through the third one. Pure; knows no archive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Float64s = npt.NDArray[np.float64]

Axis = Literal["epoch", "minibatch", "time"]
"""What runs are drawn against: epochs, minibatches, or seconds since the run began."""

AXES: tuple[Axis, ...] = get_args(Axis)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """When epochs ended.

    Attributes:
        minibatches: (epochs + 1,) float64: minibatches done at the run's begin (0) and at each epoch's end,
            never falling. An epoch that is in progress, or one that is only planned, may be the last.
        seconds: (epochs + 1,) float64: seconds since the run's begin at the same moments, never falling; NaN
            where nobody noted them.
    """

    minibatches: Float64s
    seconds: Float64s

    def epochs_at(self, minibatches: Float64s) -> Float64s:
        """Return the moments at which so many minibatches were done, in epochs.

        Beyond the last known epoch, minibatches go on at its pace; where no epoch has any, all are at 0.
        """
        pace = np.diff(self.minibatches)
        moving = np.flatnonzero(pace > 0)
        if not moving.size:
            return np.zeros_like(minibatches)
        within = np.searchsorted(self.minibatches[moving + 1], minibatches).clip(max=moving.size - 1)
        epoch = moving[within]
        done: Float64s = epoch + (minibatches - self.minibatches[epoch]) / pace[epoch]
        return done

    def places(self, moments: Float64s, axis: Axis) -> Float64s:
        """Return where moments lie on an axis.

        Args:
            moments: in epochs since the run began.
            axis: "epoch": the moments themselves; "minibatch": minibatches done; "time": seconds since the
                run began.

        Returns:
            Of the shape of `moments`; NaN where it is not known.
        """
        if axis == "epoch":
            return moments
        ends = self.minibatches if axis == "minibatch" else self.seconds
        known = np.flatnonzero(np.isfinite(ends))
        if known.size < 2:
            return np.full_like(moments, np.nan)
        last = known[-2:]
        pace = (ends[last[1]] - ends[last[0]]) / (last[1] - last[0])
        beyond = np.maximum(moments - known[-1], 0) * pace
        places: Float64s = np.interp(moments, known, ends[known]) + beyond
        return places
