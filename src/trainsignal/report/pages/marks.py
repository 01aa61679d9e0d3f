"""Where runs were resumed and where they ended early: vertical lines through all charts of a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from trainsignal.report.colours import colour_of
from trainsignal.report.pages.curves import fill
from trainsignal.report.pages.points import Columns
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Run
from trainsignal.report.timeline import AXES
from trainsignal.report.wording import ending

_EARLY = ("stopped", "interrupted", "preempted", "failed", "killed")

_GREY = "#808080"

_RESUMED, _ENDED = "dotted", "dashed"


class Marks:
    """The marked moments of runs, shared by all charts.

    Args:
        runs: those that are drawn.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._source: Any = models.ColumnDataSource()
        self.update(runs)

    def draw(self, figure: Any, axis: str) -> None:
        """Draw them in a figure whose x axis is a moment's."""
        look = {"x": axis, "line_color": "colour", "line_dash": "dash", "line_width": 1.2}
        drawn = models.GlyphRenderer(
            data_source=self._source,
            glyph=models.VSpan(**look),
            muted_glyph=models.VSpan(**look),
            selection_glyph=None,
            nonselection_glyph=None,
            level="underlay",
            name="marks",
        )
        figure.renderers.append(drawn)

    def update(self, runs: Sequence[Run]) -> None:
        """Mark the moments of the runs as they are now."""
        marked = [mark for index in range(len(runs)) for mark in _marks(runs, index)]
        columns: Columns = {axis: np.array([mark[axis] for mark in marked], np.float64) for axis in AXES}
        for name in ("colour", "dash", "text"):
            columns[name] = np.array([mark[name] for mark in marked], np.object_)
        fill(self._source, columns)


def _marks(runs: Sequence[Run], index: int) -> Iterator[dict[str, Any]]:
    """Yield a row of the source for each marked moment of a run."""
    run = runs[index]
    about = run.about
    several = len(runs) > 1
    told = [(_RESUMED, done, "resumed") for done in about.resumed_at if done > 0]
    if about.status in _EARLY:
        told.append((_ENDED, about.minibatches_done, ending(about)))
    for dash, done, text in told:
        moment = run.timeline.epochs_at(np.array([float(done)]))
        if done == 0:  # epochs without minibatches, as boosting rounds are
            moment = np.array([float(about.epochs_complete)])
        yield {
            **{axis: float(run.timeline.places(moment, axis)[0]) for axis in AXES},
            "colour": colour_of(index) if several else _GREY,
            "dash": dash,
            "text": f"{run.name}: {text}" if several else text,
        }
