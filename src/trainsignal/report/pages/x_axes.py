"""What charts are drawn against: epochs, minibatches or time; switched for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.report.pages.markup import resource
from trainsignal.report.pages.points import Window
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Run
from trainsignal.report.timeline import AXES, Axis

_LABELS: dict[Axis, str] = {
    "epoch": "epochs done",
    "minibatch": "minibatches done",
    "time": "time since the run began",
}

_PADDING = 0.03
"""Of the range, left empty at both ends together."""


class XAxes:
    """The range that all charts of a page share, and the buttons that choose what it means.

    Args:
        runs: those that are drawn.
        axis: chosen at first, if any run knows it; else epochs.

    Attributes:
        chooser: the buttons.
        range: shared, so that all charts are panned and zoomed together.
    """

    def __init__(self, runs: Sequence[Run], axis: Axis) -> None:
        self.range: Any = models.DataRange1d(range_padding=_PADDING)
        self._tickers: dict[Axis, Any] = {
            "epoch": models.BasicTicker(),
            "minibatch": models.BasicTicker(min_interval=1),
            "time": _time_ticker(),
        }
        self._formatters: dict[Axis, Any] = {
            "epoch": models.BasicTickFormatter(),
            "minibatch": models.CustomJSTickFormatter(code=resource("minibatch_ticks.js")),
            "time": models.CustomJSTickFormatter(code=resource("time_ticks.js")),
        }
        known = _known_axes(runs)
        self.chooser: Any = models.RadioButtonGroup(
            labels=known, active=known.index(axis) if axis in known else 0, name="axis"
        )
        self._switch: Any = models.CustomJS(args={}, code=resource("x_axes.js"))
        self.chooser.js_on_change("active", self._switch)

    @property
    def axis(self) -> Axis:
        """What the charts are drawn against now."""
        axis: Axis = self.chooser.labels[self.chooser.active]
        return axis

    @property
    def window(self) -> Window | None:
        """What of it is looked at, as far as the browser has told; None: not yet, or everything."""
        start, end = self.range.start, self.range.end
        if start is None or end is None or not np.isfinite([start, end]).all():
            return None
        return Window(self.axis, start, end)

    def dress(self, figure: Any) -> None:
        """Give a figure, drawn over the shared range, the ticks of the present axis."""
        axis = self.axis
        figure.xaxis.ticker = self._tickers[axis]
        figure.xaxis.formatter = self._formatters[axis]
        figure.xaxis.axis_label = _LABELS[axis]

    def switch_all(self, figures: Sequence[Any]) -> None:
        """Have the buttons switch these figures."""
        self._switch.args = {
            "figures": list(figures),
            "range": self.range,
            "tickers": self._tickers,
            "formatters": self._formatters,
            "labels": _LABELS,
        }

    def update(self, runs: Sequence[Run]) -> None:
        """Offer the axes that are known by now; the chosen one stays."""
        known = _known_axes(runs)
        chosen = self.axis
        if known != self.chooser.labels:
            self.chooser.update(labels=known, active=known.index(chosen) if chosen in known else 0)


def _known_axes(runs: Sequence[Run]) -> list[Axis]:
    """Return the axes on which at least one run has a place for its end; epochs always."""
    return [
        axis
        for axis in AXES
        if axis == "epoch" or any(run.timeline.places(_end(run), axis)[0] > 0 for run in runs)
    ]


def _end(run: Run) -> npt.NDArray[np.float64]:
    return np.array([run.timeline.minibatches.size - 1.0])


def _time_ticker() -> Any:
    """Return what chooses round seconds, minutes and hours."""
    return models.CompositeTicker(
        tickers=[
            models.AdaptiveTicker(mantissas=[1, 2, 5], base=10, max_interval=0.5),
            models.AdaptiveTicker(
                mantissas=[1, 2, 5, 10, 15, 20, 30], base=60, min_interval=1, max_interval=1800
            ),
            models.AdaptiveTicker(
                mantissas=[1, 2, 3, 4, 6, 12], base=24, min_interval=3600, max_interval=43200
            ),
            models.AdaptiveTicker(mantissas=[1, 2, 5], base=10, min_interval=86400),
        ]
    )
