"""What stands in place of a chart whose lines have no value that could be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from trainsignal.report.grouping import ChartGroup
from trainsignal.report.pages import markup
from trainsignal.report.pages.chart import PointsOf, not_drawn


class ChartOfNothing:
    """A sentence.

    Attributes:
        model: Bokeh's element.
        figure: none.
    """

    figure = None

    def __init__(self) -> None:
        self.model: Any = markup.element()

    def update(self, groups: Sequence[ChartGroup], points: PointsOf) -> None:
        """Say what is not drawn of the one group."""
        [group] = groups
        self.model.text = f'<p class="soft">{escape(group.title)}: {escape(not_drawn(group.lines))}</p>'
