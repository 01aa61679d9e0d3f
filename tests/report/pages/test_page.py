"""What a page is made of, and what stays when it is brought up to date."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.report_runs import about, each_epoch, run, timeline, train_cost
from trainsignal.report.pages.page import RunPage
from trainsignal.report.pages.toolkit import document, models
from trainsignal.report.records import CallbackTime, Histogram, LayerMaps
from trainsignal.report.timeline import Timeline


def figures(page: RunPage) -> list[Any]:
    """Return the charts and heat maps of a page."""
    return list(page.root.select({"type": models.Plot}))


def histogram() -> Histogram:
    steps = np.arange(3.0)
    return Histogram("Linear_0_0_W", np.arange(-2, 2), np.ones((4, 3), np.float32), steps, steps + 1, "epoch")


def maps() -> LayerMaps:
    picture = np.zeros((2, 2, 1), np.uint8)
    return LayerMaps("0000", (picture,), picture[None], np.ones(1), np.zeros((1, 2), np.int64))


def test_a_run_without_series_has_its_overview_alone() -> None:
    page = RunPage([run(series=())], "epoch")

    assert len(page.root.children) == 1
    assert figures(page) == []


def test_charts_stand_under_what_they_are_about() -> None:
    page = RunPage([run(train_cost(), each_epoch("learning_rate", [0.1]))], "epoch")

    headings = {div.text for div in page.root.select({"type": models.Div}) if div.text.startswith("<h2>")}
    assert sorted(headings) == ["<h2>Costs and metrics</h2>", "<h2>Rates, times and the rest</h2>"]


def test_histograms_maps_and_times_of_a_single_run_are_shown() -> None:
    times = (CallbackTime("Mine", 1.0, 0),)
    bare = RunPage([run()], "epoch")
    full = RunPage([run(histograms=(histogram(),), feature_maps=(maps(),), callback_times=times)], "epoch")

    assert len(full.root.children) == len(bare.root.children) + 3


def test_several_runs_have_a_table_instead_of_an_overview() -> None:
    page = RunPage([run(name="one", histograms=(histogram(),)), run(name="two")], "epoch")

    assert "<h1>2 runs</h1>" in page.root.children[0].text
    assert page.title == "one and two"
    assert RunPage([run(), run(), run()], "epoch").title == "3 runs"


def test_what_was_there_stays_the_same_element_when_more_comes() -> None:
    page = RunPage([run(train_cost(10))], "epoch")
    before, figure = list(page.root.children), figures(page)[0]

    page.update([run(train_cost(20), each_epoch("metrics/Accuracy", [0.5]), histograms=(histogram(),))])

    assert [one for one in page.root.children if one in before] == before
    assert figure in figures(page)
    assert len(figures(page)) > 2


UNTIMED = Timeline(timeline().minibatches, np.full(5, np.nan))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"about": about(resumed_at=(15,), status="killed")},
        {"about": about(resumed_at=(15,), status="killed"), "timeline": UNTIMED},
        {"histograms": (histogram(),), "feature_maps": (maps(),)},
    ],
    ids=["curves", "marks", "marks at no known time", "histograms and pictures"],
)
def test_nothing_is_sent_anew_where_a_page_stays_as_it_is(changes: dict[str, Any]) -> None:
    page = RunPage([run(**changes)], "epoch")
    drawn = document.Document()
    drawn.add_root(page.root)
    changed: list[Any] = []
    drawn.on_change(changed.append)

    page.update([run(**changes)])

    assert changed == []


@pytest.mark.filterwarnings("error")
def test_bokeh_finds_nothing_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    drawn = document.Document()
    for runs in ([run()], [run(series=())], [run(), run()]):
        drawn.add_root(RunPage(runs, "epoch").root)

    drawn.validate()

    assert caplog.messages == []


def test_several_runs_are_brought_up_to_date_together() -> None:
    page = RunPage([run(name="one"), run(name="two")], "epoch")
    page.update([run(name="one"), run(name="two", about=about(status="failed"))])

    assert "failed" in page.root.children[0].text
