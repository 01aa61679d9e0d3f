"""`RunPage`: all that is shown of one run, or of several compared, as one column of Bokeh's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trainsignal.report.pages import markup
from trainsignal.report.pages.callback_times import CallbackTimes
from trainsignal.report.pages.charts import Charts, ChartSection
from trainsignal.report.pages.comparison import Comparison
from trainsignal.report.pages.heat_maps import HeatMaps
from trainsignal.report.pages.overview import Overview
from trainsignal.report.pages.pictures import Pictures
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Run
from trainsignal.report.timeline import Axis

_GRID = {
    "display": "grid",
    "grid-template-columns": "repeat(auto-fit, minmax(min(100%, 460px), 1fr))",
    "gap": "8px 28px",
}
"""Two charts beside each other where there is room."""

_FIRST = ("costs", "metrics", "branches", "gan")
"""Sections of what was learned; the others are of how."""


class RunPage:
    """The page of one run, or of several compared.

    Of several it has a table and charts, each with all runs; histograms, feature maps and times of callbacks
    are those of a single run.

    Args:
        runs: at least one.
        axis: what they are drawn against at first.

    Attributes:
        root: Bokeh's column.
    """

    def __init__(self, runs: Sequence[Run], axis: Axis) -> None:
        self._charts = Charts(runs, axis)
        self._learned, self._other = _Grid("Costs and metrics"), _Grid("Rates, times and the rest")
        self._parts: list[HeatMaps | Pictures | CallbackTimes] = []
        if len(runs) == 1:
            self._parts = [HeatMaps(runs[0]), Pictures(runs[0]), CallbackTimes(runs[0])]
        self._head = Overview(runs[0]) if len(runs) == 1 else Comparison(runs)
        self.root: Any = models.Column(sizing_mode="stretch_width")
        self.title = " and ".join(run.name for run in runs) if len(runs) < 3 else f"{len(runs)} runs"
        self._arrange()

    @property
    def charts(self) -> Charts:
        """The charts of the page."""
        return self._charts

    def update(self, runs: Sequence[Run]) -> None:
        """Bring the page up to date with as many runs, read anew."""
        if isinstance(self._head, Overview):
            self._head.update(runs[0])
        else:
            self._head.update(runs)
        for part in self._parts:
            part.update(runs[0])
        self._charts.update(runs)
        self._arrange()

    def _arrange(self) -> None:
        """Put in its place what has something to show; what is there already stays the same element."""
        self._learned.fill([one for one in self._charts.sections if one.name in _FIRST])
        self._other.fill([one for one in self._charts.sections if one.name not in _FIRST])
        self._charts.controls.visible = bool(self._charts.sections)
        below = [self._charts.controls, self._learned.model, self._other.model]
        below += [part.model for part in self._parts]
        shown = [self._head.model, *(model for model in below if model.visible)]
        if shown != self.root.children:
            self.root.children = shown


class _Grid:
    """Charts under a heading, beside each other where there is room."""

    def __init__(self, heading: str) -> None:
        title = markup.element()
        title.text = f"<h2>{heading}</h2>"
        self._charts: Any = models.Column(sizing_mode="stretch_width", styles=_GRID)
        self.model: Any = models.Column(title, self._charts, sizing_mode="stretch_width")

    def fill(self, sections: Sequence[ChartSection]) -> None:
        """Show the charts of sections; none: nothing, not even the heading."""
        charts = [chart for section in sections for chart in section.models]
        if charts != self._charts.children:
            self._charts.children = charts
        self.model.visible = bool(sections)
