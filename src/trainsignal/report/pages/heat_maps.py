"""Histograms of parameters over time: a heat map each, and a slider for the step that is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainsignal.report.pages import markup
from trainsignal.report.pages.heat_map import Steps, heat_map
from trainsignal.report.pages.heat_map_cells import Cells, cells
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Histogram, RowAxis, Run

_MOST_CELLS = 400_000
"""Of all heat maps of a page together; beyond, columns become fewer."""

_MOST_SHOWN = 16
"""Histograms that stand below one another; of more, a reader chooses one."""


_WORDS: dict[RowAxis, tuple[str, str]] = {
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
        self._title: Any = markup.element()
        self._title.text = "<h2>Magnitudes of parameters</h2>" + _EXPLANATION
        self._by_axis: dict[RowAxis, _OnOneAxis] = {}
        self.update(run)

    def update(self, run: Run) -> None:
        """Show the histograms of the run as it is now; what a reader chose stays, unless there are others."""
        histograms = [one for one in run.histograms if one.counts.size]
        drawn = _all_cells(histograms)
        axes: dict[RowAxis, None] = dict.fromkeys(one.axis for one in histograms)
        self._by_axis = {axis: self._by_axis.get(axis) or _OnOneAxis(axis) for axis in axes}
        for axis, shown in self._by_axis.items():
            own = [one for one in histograms if one.axis == axis]
            shown.update({one.name: drawn[one.name] for one in own}, max(float(one.ends[-1]) for one in own))
        children = [self._title, *(one.model for one in self._by_axis.values())]
        if children != self.model.children:
            self.model.children = children
        self.model.visible = bool(histograms)


class _OnOneAxis:
    """The heat maps whose steps are the same thing, minibatches or epochs; they have one slider.

    Args:
        axis: what their steps are.

    Attributes:
        model: Bokeh's layout.
    """

    def __init__(self, axis: RowAxis) -> None:
        self.model: Any = models.Column(sizing_mode="stretch_width")
        self._axis: RowAxis = axis
        self._sources: dict[str, Any] = {}

    def update(self, drawn: Mapping[str, Cells], end: float) -> None:
        """Show these histograms, by name; `end`: how many steps there are by now."""
        if list(drawn) != list(self._sources):
            self._steps = _steps(self._axis)
            self._sources = {name: models.ColumnDataSource(data) for name, data in drawn.items()}
            self.model.children = _contents(self._sources, self._steps)
        for name, data in drawn.items():
            if not _are_equal(self._sources[name].data, data):
                self._sources[name].data = data
        _stretch(self._steps, end)


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


def _steps(axis: RowAxis) -> Steps:
    """Return what the histograms of an axis share, the last step chosen."""
    word, axis_label = _WORDS[axis]
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
    return Steps(word, axis_label, models.Range1d(), slider)


def _stretch(steps: Steps, end: float) -> None:
    """Make room for so many steps; the last one stays chosen where it was."""
    slider, shown = steps.slider, steps.range
    if shown.reset_end in (None, shown.end):
        shown.end = end
    shown.update(reset_start=0, reset_end=end)
    was_last = slider.value >= slider.end
    slider.update(visible=end > 1, end=max(1.0, end - 1))
    if was_last:
        slider.value = slider.end


def _contents(sources: Mapping[str, Any], steps: Steps) -> list[Any]:
    """Return slider and figures: of all histograms, or of one that can be chosen."""
    if len(sources) <= _MOST_SHOWN:
        return [steps.slider, *(heat_map(source, steps) for source in sources.values())]
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
    return [choice, steps.slider, heat_map(shown, steps)]


_EXPLANATION = (
    '<p class="soft">How many of a parameter\'s numbers are of which magnitude, as shares of all of them; '
    "beside it the shares at one step, chosen by the slider or by a click.</p>"
)
