"""Charts as a browser shows them: values at the pointer, zoom, legends, axes, log scale, choice of one."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.browser import BrowserPage, browser_page
from tests.support.pieces import HOSTILE, shown
from tests.support.report_runs import about, each_epoch, run, train_cost
from trainsignal.report.pages import charts
from trainsignal.report.pages.charts import Charts
from trainsignal.report.pages.markup import resource
from trainsignal.report.records import Run, Series
from trainsignal.report.wording import duration

FIND = """
const all = [...Bokeh.documents[0]._all_models.values()];
const figure = (title) => all.find((model) => model.type == "Figure" && model.title.text == title);
const view = (title) => Bokeh.index.find_one(figure(title));
const lines = (title) => figure(title).renderers.filter((one) => ["Line", "Step"].includes(one.glyph.type));
"""
"""What tests ask a page's Bokeh: figures and their lines, by title."""


@pytest.fixture(scope="module")
def tab() -> Generator[BrowserPage]:
    with browser_page() as page:
        yield page


class Page:
    """A page with the charts of runs, open in a tab."""

    def __init__(self, tab: BrowserPage, folder: Path, *runs: Run, axis: Any = "epoch") -> None:
        charts = Charts(runs, axis)
        figures = [model for section in charts.sections for model in section.models]
        tab.console.clear()
        tab.requests.clear()
        tab.open(shown(folder, charts.controls, *figures))
        self.tab, self.browser = tab, tab.page

    def ask(self, code: str, *given: Any) -> Any:
        """Return what JavaScript gives, which sees what is in `FIND`, and `given`."""
        return self.browser.evaluate(f"(given) => {{ {FIND} return {code} }}", list(given))

    def settle(self) -> None:
        """Wait until everything is drawn."""
        self.browser.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
        self.browser.wait_for_function("Bokeh.documents[0].is_idle")

    def place(self, title: str, x: float, y: float) -> tuple[float, float]:
        """Return where in the window a point of a figure is, in pixels."""
        self.ask("view(given[0]).el.scrollIntoView({block: 'center'})", title)
        self.settle()
        at = self.ask(
            "(({frame, canvas_view}) => { const box = canvas_view.el.getBoundingClientRect(); "
            "return [box.left + frame.x_scale.compute(given[1]), box.top + frame.y_scale.compute(given[2])]; "
            "})(view(given[0]))",
            title, x, y,
        )  # fmt: skip
        return at[0], at[1]

    def point_at(self, title: str, x: float, y: float) -> str:
        """Move the pointer to a point of a figure; return what the readout says, in one line."""
        self.browser.mouse.move(*self.place(title, x, y))
        return " ".join(self.browser.locator("#readout").inner_text().split())

    def press(self, label: str) -> None:
        self.browser.locator(".bk-btn", has_text=label).first.click()
        self.settle()

    def x_range(self, title: str) -> list[float]:
        found: list[float] = self.ask("[figure(given[0]).x_range.start, figure(given[0]).x_range.end]", title)
        return found

    def ticks(self, title: str, side: str) -> list[str]:
        """Return the labels along an axis, from low to high."""
        found: list[str] = self.ask(
            "(() => { const [wanted] = figure(given[0])[given[1]];"
            "const axis = view(given[0]).axis_views.find(({model}) => model == wanted);"
            "const ticks = axis.tick_coords.major[given[1] == 'left' ? 1 : 0];"
            "return axis.model.formatter.doFormat([...ticks], {loc: 0}); })()",
            title, side,
        )  # fmt: skip
        return found

    def is_quiet(self) -> bool:
        """Return whether nothing was complained about, and nothing fetched."""
        return self.tab.console == [] and self.tab.requests == []


def test_the_readout_tells_exact_values_and_moments_of_all_lines(tab: BrowserPage, tmp_path: Path) -> None:
    loss = each_epoch("cost/loss", [0.1, 0.7, 0.2], direction="min")
    cost = Series("cost/train", np.linspace(1, 2, 40) / 3, "minibatch")
    page = Page(tab, tmp_path, run(cost, loss))
    said = page.point_at("Cost", 2, 0.7)
    assert f"train {cost.values[19]!r} 1 20 30 s".replace("np.float64(", "").replace(")", "") in said
    assert "loss 0.7 1 20 30 s" in said  # float32: no digits that are none of its own
    assert "loss 0.1 ★ 0 10 15 s" in page.point_at("Cost", 1, 0.1)
    assert page.is_quiet()


def test_the_readout_goes_with_the_pointer(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run())
    assert page.point_at("Cost", 2, 0.5)
    page.browser.mouse.move(2, 2)
    assert page.browser.locator("#readout").inner_text() == ""
    assert page.point_at("Cost", 2, 0.5)
    page.browser.mouse.wheel(0, 10)
    page.browser.wait_for_function("document.getElementById('readout').childElementCount == 0")


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        ([1.5 * 2**30, 2**30], "bytes", "process 1.5 GiB (1,610,612,736)"),
        ([12.5, 10], "percent", "process 12.5 %"),
        ([0.25, 1], "seconds", "process 0.25 s"),
        ([0.25, 1], "mice", "process 0.25 mice"),
    ],
    ids=["bytes", "percent", "seconds", "others"],
)
def test_the_readout_tells_units(
    tab: BrowserPage, tmp_path: Path, values: list[float], unit: str, said: str
) -> None:
    page = Page(
        tab, tmp_path, run(Series("system/memory", np.array(values), "epoch", np.arange(2), unit=unit))
    )
    assert said in page.point_at("Memory", 1, values[0])


def test_the_readout_tells_rows_where_nobody_knows_what_they_are(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run(Series("mine/a", np.array([3.0, 4.0]), "row")))
    assert page.point_at("mine/a", 1, 4) == "row mine/a 4 1"


def test_the_readout_tells_the_rate_that_holds(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run(each_epoch("learning_rate", [0.5, 0.25], holds_from_begin=True)))
    assert "0.5 0 0 0 s" in page.point_at("Learning rate", 0.9, 0.4)


def test_the_readout_tells_marks(tab: BrowserPage, tmp_path: Path) -> None:
    stopped = about(
        status="stopped", author="<b>me</b>", detail="@{x}", minibatches_done=30, resumed_at=(20,)
    )
    page = Page(tab, tmp_path, run(about=stopped))
    assert page.point_at("Cost", 3, 0.5).endswith("stopped by <b>me</b>: @{x}")
    assert page.point_at("Cost", 2, 0.5).endswith("resumed")


def test_of_many_lines_the_readout_tells_the_nearest(tab: BrowserPage, tmp_path: Path) -> None:
    labels = [each_epoch(f"metrics/per_label/P/label{label:02}", [label, label]) for label in range(20)]
    page = Page(tab, tmp_path, run(*labels))
    said = page.point_at("P of each label", 1, 17)
    assert "label17" in said
    assert "label02" not in said
    assert "and 12 more" in said


def test_zoom_goes_for_all_charts_and_reset_takes_it_back(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run())
    before = page.x_range("Accuracy")
    begin, end = page.place("Cost", 1, 1.5), page.place("Cost", 2, 0.5)
    page.browser.mouse.move(*begin)
    page.browser.mouse.down()
    page.browser.mouse.move(*end, steps=3)
    page.browser.mouse.up()
    page.settle()
    assert page.x_range("Accuracy") == pytest.approx([1, 2], abs=0.05)
    assert page.x_range("Cost") == page.x_range("Accuracy")
    page.ask("view('Cost').reset()")
    page.settle()
    assert page.x_range("Accuracy") == pytest.approx(before)
    assert page.is_quiet()


def test_a_wheel_over_a_chart_scrolls_the_page(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run(train_cost(), *(each_epoch(f"metrics/m{i}", [1, 2]) for i in range(4))))
    page.browser.mouse.move(*page.place("Cost", 2, 1))
    page.browser.evaluate("scrollTo(0, 0)")
    before = page.x_range("Cost")
    page.browser.mouse.wheel(0, 200)
    page.browser.wait_for_function("scrollY > 0")
    assert page.x_range("Cost") == before


def test_a_click_in_the_legend_mutes_a_line_with_its_marks(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run())
    page.browser.locator(".bk-item", has_text="loss").click()
    page.settle()
    assert page.ask("figure('Cost').renderers.filter(({muted}) => muted).map(({glyph}) => glyph.type)") == [
        "Line",
        "Scatter",
        "Scatter",
    ]
    assert "loss" not in page.point_at("Cost", 2, 0.75)
    assert page.is_quiet()


def test_all_charts_are_switched_to_another_axis(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run(about=about(resumed_at=(20,))))
    assert page.ticks("Accuracy", "below") == ["1", "2", "3", "4"]
    page.press("minibatch")
    for title in ("Cost", "Accuracy"):
        assert page.x_range(title) == pytest.approx([0.415, 40.585])  # 1 to 40, and 3 % more
        assert page.ask("figure(given[0]).below[0].axis_label", title) == "minibatches done"
    assert page.ask(
        "figure('Cost').renderers.flatMap(({glyph, muted_glyph}) => [glyph, muted_glyph])"
        ".every(({x}) => x.field == 'minibatch')"
    )
    page.press("time")
    assert page.ticks("Accuracy", "below") == ["10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]
    assert page.point_at("Cost", 30, 0.75).endswith("resumed")
    assert page.is_quiet()


def test_a_muted_line_moves_along_when_the_axis_is_switched(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run())
    page.browser.locator(".bk-item", has_text="train").click()
    page.press("minibatch")
    drawn = page.ask("[...view('Cost').views.find_one(lines('Cost')[0]).muted_glyph.sx]")
    wanted = page.ask("[1, 40].map((x) => view('Cost').frame.x_scale.compute(x))")
    assert [drawn[0], drawn[-1]] == pytest.approx(wanted)


def test_log_scale_fits_what_is_above_zero_and_leaves_the_rest_linear(
    tab: BrowserPage, tmp_path: Path
) -> None:
    loss = each_epoch("cost/loss", [100, 0, 0.01])
    page = Page(tab, tmp_path, run(loss, each_epoch("metrics/below", [-1, -2])))
    page.press("log scale")
    assert page.ask("[figure('Cost').y_scale.type, figure('below').y_scale.type]") == [
        "LogScale",
        "LinearScale",
    ]
    start, end = page.ask("[figure('Cost').y_range.start, figure('Cost').y_range.end]")
    assert 0.001 < start < 0.01
    assert 100 < end < 1000
    assert page.ticks("Cost", "left") == ["0.01", "0.1", "1", "10", "100"]
    assert "loss 0.01" in page.point_at("Cost", 3, 0.01)
    page.press("log scale")
    start, end = page.ask("[figure('Cost').y_range.start, figure('Cost').y_range.end]")
    assert start == pytest.approx(-5)  # 10 % of 100, on both sides together
    assert end == pytest.approx(105)
    assert page.is_quiet()


@pytest.mark.parametrize(
    ("script", "ticks", "words"),
    [
        ("time_ticks.js", [0, 0.5, 1], ["0", "0.5 s", "1 s"]),
        ("time_ticks.js", [-60, 60, 180], ["-1 min", "1 min", "3 min"]),
        ("time_ticks.js", [60, 90, 120], ["60 s", "90 s", "120 s"]),
        ("time_ticks.js", [120, 150], ["2:00 min", "2:30 min"]),
        ("time_ticks.js", [3600, 7200], ["1 h", "2 h"]),
        ("time_ticks.js", [1800, 3600, 5400], ["0:30 h", "1:00 h", "1:30 h"]),
        ("time_ticks.js", [7200, 7205], ["2:00:00 h", "2:00:05 h"]),
        ("time_ticks.js", [5], ["5 s"]),
        ("minibatch_ticks.js", [0, 500], ["0", "500"]),
        ("minibatch_ticks.js", [0, 5000, 20000], ["0", "5k", "20k"]),
        ("minibatch_ticks.js", [1_500_000, 2_000_000], ["1.5M", "2M"]),
        ("byte_ticks.js", [0, 2**30, 2**31], ["0", "1 GiB", "2 GiB"]),
        ("byte_ticks.js", [1000 * 2**20, 1020 * 2**20], ["1,000 MiB", "1,020 MiB"]),
        ("byte_ticks.js", [512], ["512 bytes"]),
        ("log_ticks.js", [0.001, 0.02, 50000], ["0.001", "0.02", "50000"]),
        ("log_ticks.js", [1e-7, 5e6], ["10⁻⁷", "5·10⁶"]),
    ],
)  # fmt: skip
def test_ticks_are_worded_as_fine_as_they_are_apart(
    tab: BrowserPage, script: str, ticks: list[float], words: list[str]
) -> None:
    said = tab.page.evaluate(
        "([code, ticks]) => { const word = new Function('tick', 'index', 'ticks', code); "
        "return ticks.map((tick, index) => word(tick, index, ticks)); }",
        [resource("words.js") + resource(script), ticks],
    )
    assert said == words


@pytest.mark.parametrize("seconds", [0, 0.3126, 45.2, 59.94, 59.96, 60, 192, 3600, 11_520, 86_400, 190_800.4])
def test_the_readout_tells_a_length_of_time_as_the_rest_of_the_page_does(
    tab: BrowserPage, seconds: float
) -> None:
    words = resource("words.js") + resource("readout_words.js")
    said = tab.page.evaluate(
        "([code, seconds]) => new Function('seconds', code + '; return duration(seconds)')(seconds)",
        [words, seconds],
    )
    assert said == duration(seconds)


@pytest.mark.parametrize(
    ("start", "end", "ticks"),
    [
        (0.95, 9.4, [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9]),
        (0.5, 60, [0.5, 1, 2, 5, 10, 20, 50]),
        (0.5, 2e5, [1, 10, 100, 1e3, 1e4, 1e5]),
        (1e-9, 1.1e9, [1e-9, 1e-6, 1e-3, 1, 1e3, 1e6, 1e9]),
        (0.9, 0.97, [0.9, 0.92, 0.94, 0.96]),
        (0, 10, []),
    ],
    ids=["one decade", "few", "several", "many", "a part of a decade", "a range that is none yet"],
)
def test_ticks_of_a_log_scale_are_round_and_not_too_many(
    tab: BrowserPage, start: float, end: float, ticks: list[float]
) -> None:
    found = tab.page.evaluate(
        "([code, start, end]) => new Function('cb_data', code)({start, end})",
        [resource("log_ticker.js"), start, end],
    )
    assert found == ticks


def test_a_value_that_never_changes_is_drawn_at_its_height(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run(each_epoch("metrics/flat", [0.001, 0.001])))
    start, end = page.ask("[figure('flat').y_range.start, figure('flat').y_range.end]")
    assert 0 < start < 0.001 < end < 0.002


def test_the_readout_is_gone_when_what_is_looked_at_changes(tab: BrowserPage, tmp_path: Path) -> None:
    page = Page(tab, tmp_path, run(each_epoch("metrics/a", [1, 2])))
    assert "a 2" in page.point_at("a", 2, 2)
    page.ask("(figure('a').x_range.start = 0.5)")
    page.settle()
    assert page.ask("document.getElementById('readout').childElementCount") == 0


def test_a_reader_chooses_among_many(tab: BrowserPage, tmp_path: Path) -> None:
    memory = each_epoch("metrics/memory", [2**30, 2**31], unit="bytes", direction="min")
    charts = [each_epoch(f"metrics/m{index}", [index, index + 1]) for index in range(30)]
    page = Page(tab, tmp_path, run(*charts, memory))
    page.press("log scale")
    page.browser.locator("select").select_option(label="m27")
    page.settle()
    assert "m27 28" in page.point_at("m27", 2, 28)
    assert page.ask("figure('m27').y_scale.type") == "LogScale"
    page.browser.locator("select").select_option(label="memory")
    page.settle()
    assert page.ask("figure('memory').y_scale.type") == "LinearScale"
    assert page.ticks("memory", "left")[-1] == "2,000 MiB"
    assert "★" in page.point_at("memory", 1, 2**30)
    assert page.ask("figure('memory').below[0].axis_label") == "epochs done"
    assert page.is_quiet()


def test_among_many_of_several_runs_only_those_that_have_it_are_shown(
    tab: BrowserPage, tmp_path: Path
) -> None:
    charts = [each_epoch(f"metrics/m{index}", [1, 2]) for index in range(25)]
    page = Page(
        tab, tmp_path, run(*charts, name="a"), run(*charts, each_epoch("metrics/own", [3, 4]), name="b")
    )
    page.browser.locator("select").select_option(label="own")
    page.settle()
    said = page.point_at("own", 2, 4)
    assert "b 4" in said
    assert "a 2" not in said
    assert page.ask("figure('own').below[1].items.map(({visible}) => visible)") == [True, False]
    assert page.ask("lines('own')[0].glyph.line_color.value") == page.ask(
        "lines('m1')[1].glyph.line_color.value"
    )


def test_among_many_a_run_has_its_dash_whatever_is_chosen(
    tab: BrowserPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(charts, "_MOST_CHARTS", 2)
    both, own = [each_epoch(f"metrics/{name}", [1, 2]) for name in "ab"], each_epoch("metrics/own", [3, 4])
    runs = [run(*both, *([own] if number == 8 else []), name=f"run {number}") for number in range(9)]
    page = Page(tab, tmp_path, *runs)
    page.browser.locator("select").select_option(label="own")
    page.settle()
    for attribute in ("line_color", "line_dash"):
        its_look, everywhere, of_the_first = [
            page.ask(f"lines(given[0])[given[1]].glyph.{attribute}.value", title, place)
            for title, place in (("own", 0), ("a", 8), ("a", 0))
        ]
        assert its_look == everywhere
        assert (its_look == of_the_first) is (attribute == "line_color")
    assert page.is_quiet()


def test_hostile_names_are_shown_as_they_are_and_run_nothing(tab: BrowserPage, tmp_path: Path) -> None:
    name = HOSTILE.replace("/", "%2F")
    names = [
        f"metrics/val_{name}",
        f"metrics/{name}",
        f"metrics/per_label/{name}/{name}",
        f"{name}",
        f"gan/{name}",
    ]
    series = [each_epoch(one, [1, 2]) for one in names]
    extra = [each_epoch(f"mine/{name}{index}", [1, 2], unit=name) for index in range(26)]
    page = Page(tab, tmp_path, run(*series, *extra, name=name), run(*series, name="b"))
    texts = page.browser.locator(".bk-label").all_inner_texts()
    assert any("<img src=x" in text for text in texts)
    title = page.ask(
        "all.find(({type, title}) => type == 'Figure' && title.text.includes('val_') == false).title.text"
    )
    said = page.point_at(title, 2, 2)
    assert HOSTILE.replace("  ", " ") in said
    assert page.browser.locator("img").count() == 0
    assert page.is_quiet()


@pytest.mark.parametrize("width", [1200, 420])
def test_legends_stay_outside_of_curves_and_within_the_chart(
    tab: BrowserPage, tmp_path: Path, width: int
) -> None:
    labels = [each_epoch(f"metrics/per_label/P/{'label' * 3}{label}", [label, label]) for label in range(40)]
    tab.page.set_viewport_size({"width": width, "height": 800})
    page = Page(tab, tmp_path, run(*labels))
    curves = page.ask(
        "(({frame, canvas_view}) => { const box = canvas_view.el.getBoundingClientRect(); "
        "return {bottom: box.top + frame.bbox.bottom, right: box.right}; })(view('P of each label'))"
    )
    legend = page.ask(
        "Bokeh.index.find_one(figure('P of each label').below[1]).el.getBoundingClientRect().toJSON()"
    )
    assert legend["top"] > curves["bottom"]
    assert legend["right"] <= curves["right"] + 1
    assert legend["height"] < 100  # the rest of it scrolls
    assert page.is_quiet()
