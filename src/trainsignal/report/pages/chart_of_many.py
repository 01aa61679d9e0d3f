"""One chart that shows one of many, as a reader chooses: all their points lie in the page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from trainsignal.report.colours import colour_of, dash_of
from trainsignal.report.grouping import ChartGroup
from trainsignal.report.pages.chart import Chart, Common, PointsOf, renderers
from trainsignal.report.pages.chart_words import headings, legend_label, needs_legend, styles, tag
from trainsignal.report.pages.curves import fill
from trainsignal.report.pages.markup import resource
from trainsignal.report.pages.toolkit import models


class ChartOfMany:
    """A chart for several groups, and what chooses among them.

    Args:
        groups: two or more, of one axis.
        common: shared with the other charts.

    Attributes:
        model: the choice above the chart.
        figure: of the chart.
        chart: with as many curves as any group has lines.
    """

    def __init__(self, groups: Sequence[ChartGroup], common: Common) -> None:
        fullest = max(groups, key=lambda group: len(group.lines))
        self.chart = Chart(fullest, common)
        self._stored: list[list[Any]] = [[models.ColumnDataSource() for _ in group.lines] for group in groups]
        self._choice: Any = models.Select(
            options=[(str(index), group.title) for index, group in enumerate(groups)],
            value=str(groups.index(fullest)),
            title=f"{len(groups):,} more series",
            sizing_mode="stretch_width",
        )
        self._show: Any = models.CustomJS(args={}, code=resource("chart_of_many.js"))
        self._y_scales = common.y_scales
        self._digests = common.digests
        self._is_shown = False
        self._choice.js_on_change("value", self._show)
        for source in chain(*self._stored):
            source.js_on_change("data", self._show)
        self.figure: Any = self.chart.figure
        self.model: Any = models.Column(
            children=[self._choice, self.chart.figure], sizing_mode="stretch_width"
        )

    def update(self, groups: Sequence[ChartGroup], points: PointsOf) -> None:
        """Store what the groups' lines are now; the browser shows those of the chosen one.

        Args:
            groups: those of the constructor, as they are now.
            points: gives the points of a line.
        """
        if not self._is_shown:
            self.chart.update([groups[int(self._choice.value)]], points)
            self._is_shown = True
        for group, sources in zip(groups, self._stored, strict=True):
            for line, (colour, dash), source in zip(group.lines, styles(group), sources, strict=True):
                source.tags = [{**tag(line), "colour": colour_of(colour), "dash": dash_of(dash)}]
                fill(source, points(line))
        told = [
            {
                **headings(group, self._digests),
                "unit": group.unit or "",
                "labels": [legend_label(line) for line in group.lines],
                "needs_legend": needs_legend(group),
            }
            for group in groups
        ]
        if self._show.args.get("groups") != told:
            self._show.args = {
                "groups": told,
                "stored": self._stored,
                "choice": self._choice,
                "figure": self.chart.figure,
                "note": self.chart.note,
                "legend": self.chart.legend,
                "curves": [renderers(curve) for curve in self.chart.curves],
                "y_switch": self._y_scales.switch,
                "y_toggle": self._y_scales.toggle,
            }
