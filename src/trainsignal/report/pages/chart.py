"""One chart: a figure with a curve for each of its lines, a legend that mutes, and a readout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from trainsignal.report.grouping import ChartGroup, Line
from trainsignal.report.pages.curves import COLOURS, Curve
from trainsignal.report.pages.marks import Marks
from trainsignal.report.pages.markup import resource
from trainsignal.report.pages.points import Columns, is_sparse
from trainsignal.report.pages.toolkit import events, label, models, plotting
from trainsignal.report.pages.x_axes import XAxes
from trainsignal.report.pages.y_scales import YScales
from trainsignal.report.records import Run
from trainsignal.report.timeline import Axis

_HEIGHT = 320
"""In pixels, with the legend."""

_LONGEST_TITLE = 60
_LONGEST_Y_LABEL = 28
_LONGEST_LABEL = 40


PointsOf: TypeAlias = Callable[[Line], Columns]
"""Gives the points of a line, see `points.columns`."""


class Common:
    """What all charts of a page share.

    Args:
        runs: those that are drawn.
        axis: what they are drawn against at first.
    """

    def __init__(self, runs: Sequence[Run], axis: Axis) -> None:
        self.x_axes = XAxes(runs, axis)
        self.y_scales = YScales()
        self.marks = Marks(runs)
        self.readout: Any = models.CustomJS(code=resource("readout.js"))


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
        self.figure: Any = plotting.figure(
            height=_HEIGHT,
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
        is_log_possible = any((line.series.values > 0).any() for line in group.lines)
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

    @property
    def model(self) -> Any:
        """What stands on the page."""
        return self.figure

    def update(self, groups: Sequence[ChartGroup], points: PointsOf) -> None:
        """Show what the lines of the one group are now; what is shown already is not sent again."""
        [group] = groups
        for curve, line in zip(self.curves, group.lines, strict=True):
            curve.update(points(line), tag(line))
        words = headings(group)
        self.figure.title.text = words["title"]
        self.figure.yaxis.axis_label = words["y_label"]
        self.note.update(text=words["note"], visible=bool(words["note"]))
        self.legend.visible = needs_legend(group)
        for item, line in zip(self.legend.items, group.lines, strict=True):
            item.label = {"value": legend_label(line)}


def renderers(curve: Curve) -> list[Any]:
    """Return what draws a curve: line, dots and stars."""
    return [curve.line, curve.dots, curve.stars]


def headings(group: ChartGroup) -> dict[str, str]:
    """Return what stands around a group's curves: "title", "y_label" and "note", which may be empty."""
    unit = "" if group.unit in (None, "bytes") else f" ({group.unit})"
    return {
        "title": label(_shortened(group.title, _LONGEST_TITLE)),
        "y_label": label(_shortened(group.y_label, _LONGEST_Y_LABEL) + unit),
        "note": not_drawn(group.lines),
    }


def tag(line: Line) -> dict[str, object]:
    """Return what the readout tells of a line."""
    return {
        "label": line.label,
        "unit": line.series.unit or "",
        "axis": line.series.axis,
        "holds": line.series.holds_from_begin,
    }


def legend_label(line: Line) -> str:
    """Return what the legend calls a line."""
    return label(_shortened(line.label, _LONGEST_LABEL))


def needs_legend(group: ChartGroup) -> bool:
    """Return whether a legend says more than the title."""
    return [line.label.casefold() for line in group.lines] != [group.title.casefold()]


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def styles(group: ChartGroup) -> list[tuple[int, int]]:
    """Return colour and dash of each line: of runs that are compared each has a colour, else each series."""
    names = list(dict.fromkeys(line.name for line in group.lines))
    if group.runs > 1:
        return [(line.run, names.index(line.name)) for line in group.lines]
    return [(index, index // len(COLOURS)) for index in range(len(group.lines))]


def _legend(curves: Sequence[Curve]) -> Any:
    """Return a legend outside of the curves, whose items mute theirs."""
    return models.Legend(
        items=[models.LegendItem(label="", renderers=[curve.line]) for curve in curves],
        orientation="horizontal",
        location="left",
        click_policy="mute",
        glyph_height=14,
        stylesheets=[resource("chart.css")],
    )


def not_drawn(lines: Sequence[Line]) -> str:
    """Return how many values are not drawn; nothing if all are."""
    all_values = [line.series.values for line in lines if not is_sparse(line.series)]
    missing = sum(int(np.isnan(values).sum()) for values in all_values)
    infinite = sum(int(np.isinf(line.series.values).sum()) for line in lines)
    told = [f"{missing:,} NaN or missing"] if missing else []
    told += [f"{infinite:,} infinite"] if infinite else []
    return f"not drawn: {', '.join(told)}" if told else ""
