"""All charts of a page: series as curves, in sections, brought up to date in place."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from trainsignal.report.grouping import GROUP_AXES, SECTIONS, ChartGroup, Line, Section, group_series
from trainsignal.report.pages.chart import Chart, Common
from trainsignal.report.pages.chart_of_many import ChartOfMany
from trainsignal.report.pages.chart_of_nothing import ChartOfNothing
from trainsignal.report.pages.points import Columns, columns
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Run
from trainsignal.report.timeline import Axis

_MOST_CHARTS = 24
"""A section with more has the others in one chart, in which a reader chooses."""

_ALL_POINTS = 70_000
"""Over all lines of a page, which so stays small."""

_MOST_POINTS, _FEWEST_POINTS = 2_000, 20
"""Of a line."""


_Chart: TypeAlias = Chart | ChartOfMany | ChartOfNothing


@dataclass(frozen=True, slots=True, eq=False)
class ChartSection:
    """Charts under one heading.

    Attributes:
        name: what they are about.
        models: figures, and what belongs to them, each as wide as its place.
    """

    name: Section
    models: tuple[Any, ...]


class Charts:
    """The charts of one run, or of several compared.

    Args:
        runs: those that are drawn.
        axis: what they are drawn against at first.

    Attributes:
        controls: a row of buttons for all charts: what they are drawn against, and log scale.
        sections: the charts, in order.
    """

    def __init__(self, runs: Sequence[Run], axis: Axis) -> None:
        self._common = Common(runs, axis)
        self._charts: dict[Hashable, _Chart] = {}
        self._groups: dict[Hashable, Sequence[ChartGroup]] = {}
        self.controls: Any = models.Row(
            children=[self._common.x_axes.chooser, self._common.y_scales.toggle],
            name="controls",
            margin=(14, 0, 0, 0),
        )
        self.sections: list[ChartSection] = []
        self.update(runs)

    @property
    def x_range(self) -> Any:
        """Bokeh's range that all charts share; on a served page it tells what a visitor looks at."""
        return self._common.x_axes.range

    def update(self, runs: Sequence[Run]) -> bool:
        """Bring the charts up to date with the runs; what is looked at stays, in full detail.

        A chart whose lines are the same ones stays the same model.

        Args:
            runs: as many as before.

        Returns:
            Whether charts came or went, so that `sections` has others.
        """
        self._runs = runs
        self._common.x_axes.update(runs)
        self._common.marks.update(runs)
        before, self._charts, self._groups = self._charts, {}, {}
        sections: list[ChartSection] = []
        groups = group_series(runs)
        self._digest(groups)
        for name in SECTIONS:
            shown: list[Any] = []
            for bundle in self._bundles([group for group in groups if group.section == name]):
                identity = tuple(self._identity(group) for group in bundle)
                chart = before.get(identity) or self._chart_of(bundle)
                self._charts[identity], self._groups[identity] = chart, bundle
                shown.append(chart.model)
            if shown:
                sections.append(ChartSection(name, tuple(shown)))
        self.show_detail()
        if list(self._charts) == list(before):
            return False
        self.sections = sections
        figures = [chart.figure for chart in self._charts.values() if chart.figure is not None]
        self._common.y_scales.switch_all(figures)
        self._common.x_axes.switch_all([figure for figure in figures if figure.x_range is self.x_range])
        return True

    def show_detail(self) -> None:
        """Show as many points of what a visitor has zoomed into as a whole line has otherwise."""
        window = self._common.x_axes.window

        def points(line: Line) -> Columns:
            digest = self._common.digests[line.series]
            return columns(line.series, digest, self._runs[line.run].timeline, window)

        for identity, chart in self._charts.items():
            chart.update(self._groups[identity], points)

    def _digest(self, groups: Sequence[ChartGroup]) -> None:
        """Look through the series that are new."""
        series = [line.series for group in groups for line in group.lines]
        points = int(np.clip(_ALL_POINTS // max(len(series), 1), _FEWEST_POINTS, _MOST_POINTS))
        self._common.digests.update(series, points)

    def _bundles(self, groups: Sequence[ChartGroup]) -> list[list[ChartGroup]]:
        """Return the groups of a section, those that share a chart in one list."""
        if len(groups) <= _MOST_CHARTS:
            return [[group] for group in groups]
        alone = [[group] for group in groups[: _MOST_CHARTS - 1]]
        rest = groups[_MOST_CHARTS - 1 :]
        alone += [[group] for group in rest if not self._has_values(group)]
        drawn = [group for group in rest if self._has_values(group)]
        by_axis = ([group for group in drawn if group.axis == axis] for axis in GROUP_AXES)
        return alone + [bundle for bundle in by_axis if bundle]

    def _chart_of(self, bundle: Sequence[ChartGroup]) -> _Chart:
        if len(bundle) > 1:
            return ChartOfMany(bundle, self._common)
        if self._has_values(bundle[0]):
            return Chart(bundle[0], self._common)
        return ChartOfNothing(self._common.digests)

    def _has_values(self, group: ChartGroup) -> bool:
        """Return whether there is anything to draw."""
        return any(self._common.digests[line.series].rows.size for line in group.lines)

    def _identity(self, group: ChartGroup) -> Hashable:
        """Return what a chart is built for; all else may change as a run goes on."""
        lines = tuple(
            (line.run, line.label, line.series.key, line.series.holds_from_begin) for line in group.lines
        )
        return group.section, group.title, group.unit, group.axis, self._has_values(group), lines
