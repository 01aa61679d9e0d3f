"""A series as a curve in a figure: a line, dots where a line would not show, and a star at its best value."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainsignal.report.colours import colour_of, dash_of
from trainsignal.report.grouping import Line
from trainsignal.report.pages.points import Columns
from trainsignal.report.pages.toolkit import models

_MUTED = 0.1


class Curve:
    """One line of a chart.

    Args:
        figure: in which it is drawn.
        line: what is drawn.
        colour, dash: 0-based numbers; there are fewer colours and dashes, so they come again.
        axis: name of the column that says where points lie.

    Attributes:
        source: its points, see `points.columns`, and in its tags what the readout tells of it.
        line, dots, stars: Bokeh's renderers.
    """

    def __init__(self, figure: Any, line: Line, colour: int, dash: int, axis: str) -> None:
        self._colour = colour_of(colour)
        self.source: Any = models.ColumnDataSource()
        look = {"line_color": self._colour, "line_width": 1.5, "line_dash": dash_of(dash)}
        if line.series.holds_from_begin:
            self.line: Any = self._draw(figure, models.Step, mode="after", **at(axis), **look)
        else:
            self.line = self._draw(figure, models.Line, **at(axis), **look)
        filled = {"line_color": self._colour, "fill_color": self._colour}
        self.dots: Any = self._draw(figure, models.Scatter, marker="circle", size="dot", **at(axis), **filled)
        self.stars: Any = self._draw(figure, models.Scatter, marker="star", size="star", **at(axis), **filled)

    def _draw(self, figure: Any, glyph: Any, **look: Any) -> Any:
        """Add a renderer to the figure, with what it looks like when it is muted."""
        faint = {name.replace("color", "alpha"): _MUTED for name in look if name.endswith("color")}
        renderer = models.GlyphRenderer(
            data_source=self.source,
            glyph=glyph(**look),
            muted_glyph=glyph(**look, **faint),
            selection_glyph=None,
            nonselection_glyph=None,
        )
        figure.renderers.append(renderer)
        return renderer

    def update(self, columns: Columns, tag: dict[str, object]) -> None:
        """Show these points; nothing is sent to a browser that has them already.

        Args:
            columns: see `points.columns`.
            tag: what the readout tells of the line.
        """
        self.source.tags = [{**tag, "colour": self._colour}]
        fill(self.source, columns)
        for marks, column in ((self.dots, "dot"), (self.stars, "star")):
            marks.visible = bool(columns[column].any())


def at(axis: str) -> dict[str, str]:
    """Return the columns that say where points lie."""
    return {"x": axis, "y": "value"}


def fill(source: Any, columns: Columns) -> None:
    """Put columns into a source, unless they are there."""
    before = source.data
    if before.keys() != columns.keys() or not all(
        np.array_equal(before[name], columns[name], equal_nan=columns[name].dtype.kind == "f")
        for name in columns
    ):
        source.data = columns
