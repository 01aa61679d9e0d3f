"""One chart: a figure with a curve for each of its lines, a legend that mutes, and a readout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from trainsignal.report.grouping import ChartGroup, Line
from trainsignal.report.pages.chart_words import headings, legend_label, needs_legend, styles, tag
from trainsignal.report.pages.curves import Curve
from trainsignal.report.pages.digests import Digests
from trainsignal.report.pages.marks import Marks
from trainsignal.report.pages.markup import resource
from trainsignal.report.pages.points import Columns
from trainsignal.report.pages.toolkit import events, models, plotting
from trainsignal.report.pages.x_axes import XAxes
from trainsignal.report.pages.y_scales import YScales
from trainsignal.report.records import Floats, Run
from trainsignal.report.timeline import Axis

_HEIGHT = 320
"""In pixels, with a legend of two rows."""

_LEGEND_COLUMNS, _LEGEND_ROW = 3, 20
"""About so many items stand beside each other, in rows of so many pixels."""

_FLAT_SPAN = 0.2
"""What a chart of a single value shows around it, as a part of the value."""

PointsOf: TypeAlias = Callable[[Line], Columns]
"""Gives the points of a line, see `points.columns`."""


class Common:
    """What all charts of a page share.

    Args:
        runs: those that are drawn.
        axis: what they are drawn against at first.
    """

    def __init__(self, runs: Sequence[Run], axis: Axis) -> None:
        self.digests = Digests()
        self.x_axes = XAxes(runs, axis)
        self.y_scales = YScales()
        self.marks = Marks(runs)
        self.readout: Any = models.CustomJS(
            code="".join(map(resource, ("words.js", "readout_words.js", "readout.js")))
        )
        self.forget: Any = models.CustomJS(code="document.getElementById('readout')?.replaceChildren()")


class Chart:
    """The figure of a group of lines; it has no points until it is updated.

    Args:
        group: with the lines that it will have.
        common: shared with the other charts.

    Attributes:
        figure: Bokeh's.
        curves: one a line.
        note: below the title: what is not drawn.
        legend: below the curves.
    """

    def __init__(self, group: ChartGroup, common: Common) -> None:
        is_linked = group.axis == "moment"
        more_rows = max(0, -(-len(group.lines) // _LEGEND_COLUMNS) - 2)
        self.figure: Any = plotting.figure(
            height=_HEIGHT + _LEGEND_ROW * more_rows,
            sizing_mode="stretch_width",
            tools="pan,box_zoom,wheel_zoom,reset,save",
            active_drag="box_zoom",
            active_scroll=None,
            **({"x_range": common.x_axes.range} if is_linked else {}),
        )
        self.figure.toolbar.update(logo=None, autohide=True)
        axis = common.x_axes.axis
        if is_linked:
            common.x_axes.dress(self.figure)
            common.marks.draw(self.figure, axis)
        else:
            self.figure.xaxis.axis_label = "row"
        self._digests = common.digests
        is_log_possible = any(self._digests[line.series].is_mostly_positive for line in group.lines)
        common.y_scales.dress(self.figure, group.unit, is_log_possible=is_log_possible)
        self.curves = [
            Curve(self.figure, line, colour, dash, axis)
            for line, (colour, dash) in zip(group.lines, styles(group), strict=True)
        ]
        self.note: Any = models.Title(text_font_size="12px", text_font_style="normal", visible=False)
        self.figure.add_layout(self.note, "above")
        self.legend: Any = _legend(self.curves)
        self.figure.add_layout(self.legend, "below")
        mute = models.CustomJS(
            args={"curves": [renderers(curve) for curve in self.curves]}, code=resource("mute.js")
        )
        for curve in self.curves:
            curve.line.js_on_change("muted", mute)
        for event in (events.MouseMove, events.MouseLeave, events.Tap):
            self.figure.js_on_event(event, common.readout)
        for shown in (self.figure.x_range, self.figure.y_range):
            for edge in ("start", "end"):
                shown.js_on_change(edge, common.forget)

    @property
    def model(self) -> Any:
        """What stands on the page."""
        return self.figure

    def update(self, groups: Sequence[ChartGroup], points: PointsOf) -> None:
        """Show what the lines of the one group are now; what is shown already is not sent again."""
        [group] = groups
        values: list[Any] = []
        for curve, line in zip(self.curves, group.lines, strict=True):
            columns = points(line)
            curve.update(columns, tag(line))
            values.append(columns["value"])
        self.figure.y_range.default_span = _span_of_one(np.concatenate(values))
        words = headings(group, self._digests)
        self.figure.title.text = words["title"]
        self.figure.yaxis.axis_label = words["y_label"]
        self.note.update(text=words["note"], visible=bool(words["note"]))
        self.legend.visible = needs_legend(group)
        for item, line in zip(self.legend.items, group.lines, strict=True):
            item.label = {"value": legend_label(line)}


def _span_of_one(values: Floats) -> float:
    """Return how much to show around values that are all the same one."""
    largest = np.abs(values[np.isfinite(values)]).max(initial=0)
    return float(_FLAT_SPAN * largest) or 1.0


def renderers(curve: Curve) -> list[Any]:
    """Return what draws a curve: line, dots and stars."""
    return [curve.line, curve.dots, curve.stars]


def _legend(curves: Sequence[Curve]) -> Any:
    """Return a legend outside of the curves, whose items mute theirs."""
    return models.Legend(
        items=[models.LegendItem(label="", renderers=[curve.line]) for curve in curves],
        orientation="horizontal",
        location="left",
        click_policy="mute",
        glyph_height=14,
        glyph_width=26,  # so that dashes are told apart
        stylesheets=[resource("chart.css")],
    )
