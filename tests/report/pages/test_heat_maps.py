"""Histograms over time, and the distribution at a step, also as a browser shows them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.support.browser import browser_page
from tests.support.pieces import HOSTILE, shown
from tests.support.report_runs import run
from trainsignal.report.pages.charts import Charts
from trainsignal.report.pages.heat_maps import HeatMaps
from trainsignal.report.pages.toolkit import models
from trainsignal.report.records import Histogram, Run

TWO_STEPS = ((4, 1), (0, 3))
"""At the first step all is in the lower bin, at the second a quarter."""


def histogram(name: str = "Linear_0_W", counts: Any = TWO_STEPS, **changes: Any) -> Histogram:
    """Return a histogram of bins from 2**-2 on, a column an epoch."""
    array = np.array(counts, np.float32)
    bins, columns = array.shape
    given: dict[str, Any] = {
        "exponents": np.arange(bins) - 2,
        "begins": np.arange(columns, dtype=np.float64),
        "ends": np.arange(columns) + 1.0,
        "axis": "epoch",
    }
    return Histogram(name, counts=array, **(given | changes))


UNEVEN = histogram(
    counts=[[4, 1, 0], [0, 3, 2]], begins=np.array([0.0, 10, 20]), ends=np.array([10.0, 20, 23])
)
"""Columns of ten steps each, and a last one of three."""


def run_with(*histograms: Histogram) -> Run:
    return run(histograms=histograms)


def only(maps: HeatMaps, kind: Any) -> Any:
    """Return the one model of a kind."""
    (found,) = maps.model.select({"type": kind})
    return found


def named(maps: HeatMaps, name: str) -> list[Any]:
    """Return the figures of a name, in their order."""
    return list(maps.model.select({"name": name}))


def sources_of(maps: HeatMaps) -> list[Any]:
    """Return the data sources of heat maps, in no order."""
    sources = maps.model.select({"type": models.ColumnDataSource})
    return [one for one in sources if "image" in one.data]


def test_without_histograms_it_is_hidden_until_there_are_some() -> None:
    maps = HeatMaps(run_with())
    assert not maps.model.visible

    maps.update(run_with(histogram()))
    assert maps.model.visible
    assert len(sources_of(maps)) == 1


def test_a_histogram_without_steps_is_not_drawn_yet() -> None:
    maps = HeatMaps(run_with(histogram(counts=np.zeros((2, 0)))))

    assert not maps.model.visible


@pytest.mark.parametrize(
    ("axis", "word", "axis_label"),
    [
        ("minibatch", "minibatch", "minibatches done"),
        ("epoch", "epoch", "epochs done"),
        ("row", "step", "steps done"),
    ],
)
def test_the_last_step_is_chosen_at_first_and_steps_are_named_by_their_axis(
    axis: str, word: str, axis_label: str
) -> None:
    maps = HeatMaps(run_with(histogram(axis=axis)))
    slider = only(maps, models.Slider)

    assert (slider.start, slider.end, slider.value, slider.title, slider.visible) == (0, 1, 1, word, True)
    assert named(maps, "heat map")[0].xaxis.axis_label == axis_label


def test_a_single_step_leaves_nothing_to_choose() -> None:
    assert not only(HeatMaps(run_with(histogram(counts=[[1], [2]]))), models.Slider).visible


def test_heat_maps_share_the_range_of_all_steps() -> None:
    first, second = named(
        HeatMaps(run_with(histogram("short"), histogram("long", np.ones((2, 5))))), "heat map"
    )

    assert first.x_range is second.x_range
    assert (first.x_range.start, first.x_range.end) == (0, 5)


def test_heat_maps_of_minibatches_and_of_epochs_have_a_range_and_a_slider_each() -> None:
    by_minibatch = histogram("hist/W", np.ones((2, 60)), axis="minibatch")
    maps = HeatMaps(run_with(by_minibatch, histogram("hist_2/W", axis="epoch")))
    ranges = {one.xaxis.axis_label: one.x_range.end for one in named(maps, "heat map")}
    sliders = {one.title: one.end for one in maps.model.select({"type": models.Slider})}

    assert ranges == {"minibatches done": 60, "epochs done": 2}
    assert sliders == {"minibatch": 59, "epoch": 1}


def test_histograms_of_another_axis_leave_those_that_are_there() -> None:
    maps = HeatMaps(run_with(histogram("hist/W")))
    (before,) = named(maps, "heat map")
    maps.update(run_with(histogram("hist/W"), histogram("hist_2/W", axis="minibatch")))

    assert before in named(maps, "heat map")
    assert len(named(maps, "heat map")) == 2


def test_an_update_brings_new_steps_into_the_same_figures_and_the_last_stays_chosen() -> None:
    maps = HeatMaps(run_with(histogram()))
    (source,), slider = sources_of(maps), only(maps, models.Slider)
    maps.update(run_with(histogram(counts=[[4, 1, 2], [0, 3, 6]])))

    assert sources_of(maps) == [source]
    assert source.data["image"][0].tolist() == [[1, 0.25, 0.25], [0, 0.75, 0.75]]
    assert (slider.end, slider.value) == (2, 2)


def test_another_choice_and_a_zoom_stay() -> None:
    maps = HeatMaps(run_with(histogram()))
    slider = only(maps, models.Slider)
    steps = named(maps, "heat map")[0].x_range
    slider.value, steps.end = 0, 1
    maps.update(run_with(histogram(counts=np.ones((2, 3)))))

    assert (slider.end, slider.value) == (2, 0)
    assert (steps.end, steps.reset_end) == (1, 3)


def test_what_did_not_change_is_not_sent_again() -> None:
    maps = HeatMaps(run_with(histogram("a"), histogram("b")))
    heard: list[str] = []
    for source in sources_of(maps):
        source.on_change("data", lambda attr, old, new: heard.append(new["title"][0]))
    maps.update(run_with(histogram("a"), histogram("b", [[1, 1], [1, 1]])))

    assert heard == ["b"]


def test_new_histograms_are_added() -> None:
    maps = HeatMaps(run_with(histogram("a")))
    maps.update(run_with(histogram("a"), histogram("b")))

    assert {source.data["title"][0] for source in sources_of(maps)} == {"a", "b"}


@pytest.mark.parametrize(("count", "figures"), [(16, 32), (17, 2)])
def test_of_more_than_sixteen_one_is_chosen(count: int, figures: int) -> None:
    maps = HeatMaps(run_with(*(histogram(f"layer_{number}_W") for number in range(count))))

    assert len(list(maps.model.select({"type": models.Plot}))) == figures


def test_a_page_has_no_more_than_four_hundred_thousand_cells() -> None:
    many = [histogram(f"layer_{number}_W", np.ones((64, 300))) for number in range(100)]
    maps = HeatMaps(run_with(*many))

    drawn = {
        source.data["title"][0]: sum(image.size for image in source.data["image"])
        for source in sources_of(maps)
    }
    assert len(drawn) == 100
    assert 200_000 < sum(drawn.values()) <= 400_000


IN_BROWSER = """
window.named = (name) => [...Bokeh.documents[0]._all_models.values()].filter((one) => one.name === name);
window.placeOf = ([x, y]) => {
  const all = (views) => views.flatMap((view) => [view, ...all(view.child_views ?? [])]);
  const view = all(Bokeh.index.roots).find((one) => one.model.name === "heat map");
  const box = view.el.getBoundingClientRect();
  return [box.left + view.frame.x_scale.compute(x), box.top + view.frame.y_scale.compute(y)];
};
undefined; // no function, which Playwright would call
"""


def open_in(tab: Any, folder: Path, *histograms: Histogram) -> None:
    """Show histograms in a browser, and wait until the distributions are drawn."""
    tab.open(shown(folder, HeatMaps(run_with(*histograms)).model))
    tab.page.evaluate(IN_BROWSER)
    tab.page.wait_for_function("named('distribution')[0].title.text !== ''")


def distribution(tab: Any) -> dict[str, Any]:
    """Return title and data of the first distribution."""
    found: dict[str, Any] = tab.page.evaluate(
        """() => {
          const [{title, renderers}] = named("distribution");
          return {title: title.text, ...renderers[0].data_source.data};
        }"""
    )
    return found


def place(tab: Any, x: float, y: float) -> tuple[int, int]:
    """Return where in the window data coordinates of the first heat map lie, in pixels."""
    left, top = tab.page.evaluate("placeOf", [x, y])
    return round(left), round(top)


def wait_for_title(tab: Any, title: str) -> None:
    tab.page.wait_for_function("title => named('distribution')[0].title.text === title", arg=title)


def test_in_a_browser_shares_are_colours_and_what_is_not_there_is_transparent(tmp_path: Path) -> None:
    with browser_page(color_scheme="dark") as tab:
        open_in(tab, tmp_path, histogram())
        pixels = np.asarray(Image.open(io.BytesIO(tab.page.screenshot())).convert("RGB"))

        def colour(x: float, y: float) -> list[int]:
            left, top = place(tab, x, y)
            return list(pixels[top, left].tolist())

        np.testing.assert_allclose(colour(0.5, -2), (253, 231, 37), atol=2)  # where Viridis ends: all
        assert colour(0.5, -1) == [20, 23, 26]  # the page
        np.testing.assert_allclose(colour(1.5, -2), (59, 82, 139), atol=2)  # Viridis at a quarter
        np.testing.assert_allclose(colour(1.5, -1), (94, 201, 98), atol=4)  # at three quarters
        assert (tab.console, tab.requests) == ([], [])


def test_the_slider_and_a_click_choose_the_step_of_the_distribution(tmp_path: Path) -> None:
    with browser_page() as tab:
        open_in(tab, tmp_path, UNEVEN)
        assert distribution(tab) == {
            "title": "epoch 20\u201322", "exponent": [-2, -1], "share": [0, 1], "total": [2, 2],
        }  # fmt: skip
        tab.page.locator(".noUi-handle").press("Home")
        wait_for_title(tab, "epoch 0\u20139")
        assert distribution(tab)["share"] == [1, 0]
        for x, title in ((15.5, "epoch 10\u201319"), (4, "epoch 0\u20139"), (22.5, "epoch 20\u201322")):
            tab.page.mouse.click(*place(tab, x, -1.5))
            wait_for_title(tab, title)
            slider = "Bokeh.documents[0].get_model_by_name('slider').value"
            assert tab.page.evaluate(slider) == pytest.approx(x, abs=1)
        assert tab.console == []


def test_hover_tells_step_power_share_and_count(tmp_path: Path) -> None:
    with browser_page() as tab:
        open_in(tab, tmp_path, histogram(counts=[[1, 1000], [0, 3000], [1, 0]]))
        tooltip = tab.page.locator(".bk-Tooltip")

        tab.page.mouse.move(*place(tab, 1.5, -1))
        tooltip.get_by_text("2⁻¹").wait_for()
        told = " ".join(tooltip.locator(".bk-tooltip-content, .bk-content").last.inner_text().split())
        assert told == "epoch 1 magnitude 2⁻¹ share 75 % count 3,000 of 4,000"
        tab.page.mouse.move(*place(tab, 0.5, -2))
        tooltip.get_by_text("≤ 2⁻² or zero").wait_for()
        tab.page.mouse.move(*place(tab, 0.5, 0))
        tooltip.get_by_text("≥ 2⁰").wait_for()
        bars = tab.page.locator(".bk-Figure").last.bounding_box()
        tab.page.mouse.move(bars["x"] + bars["width"] / 2, bars["y"] + bars["height"] / 2)
        tooltip.get_by_text("3,000 of 4,000").wait_for()
        assert tab.console == []


def test_hover_looks_as_the_readout_of_the_charts_does(tmp_path: Path) -> None:
    chart = Charts([run()], "epoch").sections[0].models[0]
    style = ("color", "background-color", "padding", "border-top", "border-radius", "font-size", "box-shadow")
    look = "(box, names) => names.map((name) => getComputedStyle(box).getPropertyValue(name))"
    with browser_page(color_scheme="dark") as tab:
        tab.open(shown(tmp_path, chart, HeatMaps(run(histograms=(histogram(),))).model))
        figures = [figure.bounding_box() for figure in tab.page.locator(".bk-Figure").all()[:2]]
        looks = []
        for box, named in zip(figures, ("#readout > div:last-child", ".bk-Tooltip"), strict=True):
            tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            told = tab.page.locator(named)
            told.wait_for()
            looks.append(told.evaluate(look, style))
            soft = told.locator(":is(td, span):text-is('epoch')").evaluate(
                "(one) => getComputedStyle(one).color"
            )
            assert soft == "rgb(162, 171, 180)"  # --soft, in the dark
    assert looks[0] == looks[1]


def test_steps_that_are_wide_are_told_from_first_to_last_on_hover(tmp_path: Path) -> None:
    with browser_page() as tab:
        open_in(tab, tmp_path, UNEVEN)
        tab.page.mouse.move(*place(tab, 12, -1))
        tab.page.locator(".bk-Tooltip").get_by_text("10\u201319").wait_for()
        tab.page.mouse.move(*place(tab, 22.5, -1))
        tab.page.locator(".bk-Tooltip").get_by_text("20\u201322").wait_for()
        assert tab.page.locator(".bk-Tooltip").get_by_text("2 of 2").is_visible()


def test_one_of_many_is_shown_when_it_is_chosen_and_when_it_changes(tmp_path: Path) -> None:
    many = [histogram(f"layer_{number}_W") for number in range(16)]
    odd = histogram(HOSTILE, [[0, 0], [5, 5]], exponents=np.array([3, 4]))

    with browser_page() as tab:
        open_in(tab, tmp_path, *many, odd)
        tab.page.locator("select").select_option(HOSTILE)
        tab.page.wait_for_function("named('heat map')[0].title.text.startsWith('<img')")
        assert distribution(tab)["exponent"] == [4]
        tab.page.mouse.move(*place(tab, 0.5, 4))
        tab.page.locator(".bk-Tooltip").get_by_text("≥ 2⁴").wait_for()
        tab.page.evaluate(
            """() => {
              const chosen = named("choice")[0].js_property_callbacks["change:value"][0].args.sources[16];
              chosen.data = {...chosen.data, y: [7.5]};
            }"""
        )
        tab.page.wait_for_function("named('distribution')[0].renderers[0].data_source.data.exponent[0] === 8")
        assert tab.page.locator("img").count() == 0
        assert (tab.console, tab.requests) == ([], [])


def test_on_a_narrow_window_the_distribution_stands_below_and_nothing_sticks_out(tmp_path: Path) -> None:
    with browser_page(width=420) as tab:
        open_in(tab, tmp_path, histogram())
        above, below = (figure.bounding_box() for figure in tab.page.locator(".bk-Figure").all())

        assert below["y"] >= above["y"] + above["height"]
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 420
