"""What stands in place of a chart whose lines have no value that could be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from trainsignal.report.grouping import ChartGroup
from trainsignal.report.pages import markup
from trainsignal.report.pages.chart_words import not_drawn
from trainsignal.report.pages.digests import Digests


class ChartOfNothing:
    """A sentence.

    Args:
        digests: of the series on the page.

    Attributes:
        model: Bokeh's element.
        figure: none.
    """

    figure = None

    def __init__(self, digests: Digests) -> None:
        self._digests = digests
        self.model: Any = markup.element()

    def update(self, groups: Sequence[ChartGroup], points: object) -> None:
        """Say what is not drawn of the one group."""
        [group] = groups
        told = not_drawn(self._digests[line.series] for line in group.lines)
        self.model.text = f'<p class="soft">{escape(group.title)}: {told}</p>'
