"""One histogram over time: its heat map, and beside it the distribution at the step that a slider chose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trainsignal.report.pages import markup
from trainsignal.report.pages.heat_map_cells import Cells
from trainsignal.report.pages.toolkit import events, models, palettes, plotting

_HEIGHT = 240
"""Pixels."""

_BAR_COLOUR = "#4a90d9"
_CHOSEN_COLOUR = "#e8590c"
"""Both readable on white and on near-black."""

_NO_SHARE = 1e-12
"""Below any share; what is not there stays transparent."""


_BESIDE = "display: grid; grid-template-columns: auto auto; gap: 0 8px; text-align: right"


@dataclass(frozen=True, slots=True)
class Steps:
    """What all histograms of one axis share.

    Attributes:
        word: what a step is: "minibatch".
        axis_label: of the axis of steps: "minibatches done".
        range: Bokeh's range of steps.
        slider: chooses a step.
    """

    word: str
    axis_label: str
    range: Any
    slider: Any


def heat_map(source: Any, steps: Steps) -> Any:
    """Return two figures side by side, one below the other on a narrow page.

    Args:
        source: Bokeh's data source with `Cells` as data; the figures follow it.
        steps: what this histogram shares with others.
    """
    data: Cells = source.data
    powers = models.Range1d()
    colours = models.LinearColorMapper(
        palette=palettes.Viridis256, low=_NO_SHARE, low_color=(0, 0, 0, 0.0), high=data["most"][0]
    )
    bars = models.ColumnDataSource({"exponent": [], "share": [], "total": []})
    wording = models.CustomJSHover(code=_script("heat_map_hover.js"), args={"source": source, "bars": bars})
    left = _over_time(source, steps, powers, colours, wording)
    right = _at_a_step(bars, powers, wording)
    chosen = models.BoxAnnotation(
        fill_color=None, line_color=_CHOSEN_COLOUR, line_width=1.5, line_alpha=1, level="overlay"
    )
    left.add_layout(chosen)
    drawing = models.CustomJS(
        code=_script("heat_map.js"),
        args={
            "source": source, "bars": bars, "slider": steps.slider, "heat_map": left, "distribution": right,
            "powers": powers, "colours": colours, "chosen": chosen, "word": steps.word,
        },
    )  # fmt: skip
    source.js_on_change("data", drawing)
    steps.slider.js_on_change("value", drawing)
    right.js_on_change("inner_width", drawing)  # so it is drawn as soon as there is room for it
    return models.Row(left, right, sizing_mode="stretch_width", stylesheets=[":host { flex-wrap: wrap; }"])


def _over_time(source: Any, steps: Steps, powers: Any, colours: Any, wording: Any) -> Any:
    """Return the heat map: powers of two over steps, shares as colours."""
    figure = _figure(
        "heat map", powers, "3 1 420px", x_range=steps.range, x_axis_label=steps.axis_label,
        title=source.data["title"][0], tools="pan,box_zoom,wheel_zoom,reset,save", active_drag="box_zoom",
        active_scroll=None,
    )  # fmt: skip
    figure.xaxis.formatter = models.CustomJSTickFormatter(code=markup.resource("minibatch_ticks.js"))
    figure.xaxis.ticker = models.AdaptiveTicker(min_interval=1, mantissas=[1, 2, 5])
    image = figure.image(
        source=source, color_mapper=colours, **{name: name for name in ("image", "x", "y", "dw", "dh")}
    )
    told = [
        (steps.word, "$x{step}"),
        ("magnitude", "$y{power}"),
        ("share", "@image{share}"),
        ("count", "@image{count}"),
    ]
    figure.add_tools(_hover(image, told, wording))
    bar = models.ColorBar(
        color_mapper=colours,
        formatter=models.NumeralTickFormatter(format="0.[00] %"),
        title="share",
        title_text_font_style="normal",
        width=10,
    )
    figure.add_layout(bar, "right")
    to_step = models.CustomJS(
        args={"slider": steps.slider},
        code="slider.value = Math.max(slider.start, Math.min(slider.end, Math.floor(cb_obj.x)));",
    )
    figure.js_on_event(events.Tap, to_step)
    figure.js_on_event(events.DoubleTap, to_step)  # what Bokeh makes of two clicks in quick succession
    return figure


def _at_a_step(bars: Any, powers: Any, wording: Any) -> Any:
    """Return the distribution: a bar for each power of two."""
    figure = _figure(
        "distribution", powers, "1 1 240px", x_range=models.DataRange1d(start=0), x_axis_label="share",
        title="", tools="", toolbar_location=None,
    )  # fmt: skip
    drawn = figure.hbar(source=bars, y="exponent", right="share", height=0.85, color=_BAR_COLOUR)
    told = [("magnitude", "@exponent{power}"), ("share", "@share{share}"), ("count", "@share{count}")]
    figure.add_tools(_hover(drawn, told, wording))
    figure.xaxis.ticker = models.BasicTicker(desired_num_ticks=4)
    figure.xaxis.formatter = models.NumeralTickFormatter(format="0.[00] %")
    return figure


def _hover(drawn: Any, told: Sequence[tuple[str, str]], wording: Any) -> Any:
    """Return what tells of the place at the pointer, in a box that looks as the readout of the charts does.

    Args:
        drawn: what is pointed at.
        told: what each line is called, and the field that it tells, as Bokeh writes it.
        wording: puts the fields in words.
    """
    lines = "".join(
        f'<span style="color: var(--soft)">{name}</span><span>{field}</span>' for name, field in told
    )
    return models.HoverTool(
        visible=False,
        attachment="vertical",
        show_arrow=False,
        renderers=[drawn],
        tooltips=f'<div style="{_BESIDE}">{lines}</div>',
        formatters={field.partition("{")[0]: wording for _, field in told},
    )


def _figure(name: str, powers: Any, flex: str, **more: Any) -> Any:
    """Return an empty figure over powers of two; `name` is for those who look for it."""
    figure = plotting.figure(
        name=name, y_range=powers, y_axis_label="magnitude", height=_HEIGHT, sizing_mode="stretch_width",
        styles={"flex": flex, "min-width": "0"}, **more,
    )  # fmt: skip
    figure.yaxis.ticker = models.BasicTicker(min_interval=1, num_minor_ticks=0)
    figure.yaxis.formatter = models.CustomJSTickFormatter(code=_script("power_tick.js"))
    figure.grid.visible = False
    figure.toolbar.update(logo=None, autohide=True)
    return figure


def _script(name: str) -> str:
    """Return a script that puts steps, counts and powers of two in words."""
    return markup.resource("words.js") + markup.resource(name)
