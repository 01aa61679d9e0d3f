"""Histograms of parameters over time: a heat map each, and one slider for the step that is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainsignal.report.pages import markup
from trainsignal.report.pages.heat_map import Steps, heat_map
from trainsignal.report.pages.heat_map_cells import Cells, cells
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Histogram, Run

_MOST_CELLS = 400_000
"""Of all heat maps of a page together; beyond, columns become fewer."""

_MOST_SHOWN = 16
"""Histograms that stand below one another; of more, a reader chooses one."""


_WORDS = {
    "minibatch": ("minibatch", "minibatches done"),
    "epoch": ("epoch", "epochs done"),
    "row": ("step", "steps done"),
}
"""What a step is called, and the axis of steps, by what a column of the histograms is."""


class HeatMaps:
    """Heat maps of all histograms; hidden where there are none.

    Args:
        run: whose histograms.

    Attributes:
        model: Bokeh's layout.
    """

    def __init__(self, run: Run) -> None:
        self.model: Any = models.Column(sizing_mode="stretch_width")
        self._steps: Steps | None = None
        self._sources: dict[str, Any] = {}
        self.update(run)

    def update(self, run: Run) -> None:
        """Show the histograms of the run as it is now; what a reader chose stays, unless there are others."""
        histograms = [one for one in run.histograms if one.counts.size]
        self.model.visible = bool(histograms)
        drawn = _all_cells(histograms)
        if self._steps is None or list(drawn) != list(self._sources):
            self._steps = _steps(histograms)
            self._sources = {name: models.ColumnDataSource(data) for name, data in drawn.items()}
            self.model.children = _contents(self._sources, self._steps)
            return
        for name, data in drawn.items():
            if not _are_equal(self._sources[name].data, data):
                self._sources[name].data = data
        _stretch(self._steps, histograms)


def _all_cells(histograms: Sequence[Histogram]) -> dict[str, Cells]:
    """Return what to draw by name, in so few columns that all together are not too many cells."""
    bins = sum(len(one.exponents) for one in histograms)
    return {one.name: cells(one, max(1, _MOST_CELLS // bins)) for one in histograms}


def _are_equal(one: Mapping[str, Sequence[Any]], other: Cells) -> bool:
    return len(one["x"]) == len(other["x"]) and all(
        np.array_equal(mine, others)
        for name in other
        for mine, others in zip(one[name], other[name], strict=True)
    )


def _steps(histograms: Sequence[Histogram]) -> Steps:
    """Return what the histograms share, the last step chosen."""
    word, axis_label = _WORDS[histograms[0].axis if histograms else "row"]
    slider = models.Slider(
        name="slider",
        start=0,
        end=1,
        value=1,
        step=1,
        title=word,
        format="0,0",
        sizing_mode="stretch_width",
        max_width=900,
    )
    steps = Steps(word, axis_label, models.Range1d(), slider)
    _stretch(steps, histograms)
    return steps


def _stretch(steps: Steps, histograms: Sequence[Histogram]) -> None:
    """Make room for all steps; the last one stays chosen where it was."""
    end = max((float(one.ends[-1]) for one in histograms), default=0.0)
    slider, shown = steps.slider, steps.range
    if shown.reset_end in (None, shown.end):
        shown.end = end
    shown.reset_start, shown.reset_end = 0, end
    was_last = slider.value >= slider.end
    slider.visible = end > 1
    slider.end = max(1.0, end - 1)
    if was_last:
        slider.value = slider.end


def _contents(sources: Mapping[str, Any], steps: Steps) -> list[Any]:
    """Return title, slider and figures: of all histograms, or of one that can be chosen."""
    title = markup.element()
    title.text = "<h2>Magnitudes of parameters</h2>" + _EXPLANATION
    if len(sources) <= _MOST_SHOWN:
        return [title, steps.slider, *(heat_map(source, steps) for source in sources.values())]
    names = list(sources)
    shown = models.ColumnDataSource(dict(sources[names[0]].data))
    choice = models.Select(
        name="choice",
        title=f"parameter, of {len(names):,}",
        value="0",
        sizing_mode="stretch_width",
        max_width=360,
    )
    choice.options = [(str(place), name) for place, name in enumerate(names)]
    show = models.CustomJS(
        code="shown.setv({data: sources[choice.value].data}, {sync: false}); // a server need not hear of it",
        args={"shown": shown, "sources": list(sources.values()), "choice": choice},
    )
    choice.js_on_change("value", show)
    for source in sources.values():
        source.js_on_change("data", show)
    return [title, choice, steps.slider, heat_map(shown, steps)]


_EXPLANATION = (
    '<p class="soft">How many of a parameter\'s numbers are of which magnitude, as shares of all of them; '
    "beside it the shares at one step, chosen by the slider or by a click.</p>"
)
