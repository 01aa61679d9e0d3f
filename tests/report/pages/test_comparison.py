"""Several runs in a table that sorts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.browser import browser_page
from tests.support.pieces import HOSTILE, shown
from tests.support.report_runs import STARTED_AT, about, each_epoch, run, train_cost
from trainsignal.report.pages.comparison import Comparison
from trainsignal.report.wording import moment


def loss(*values: float) -> Any:
    return each_epoch("cost/loss", list(values), direction="min")


def cells_of(html: str) -> list[list[str]]:
    """Return the text of the cells, a list a row, the headers first."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    return [[" ".join(re.sub(r"<[^>]*>", " ", cell).split()) for cell in row] for row in cells]


def names(tab: Any) -> list[str]:
    """Return the names of the runs as the rows stand now."""
    return [str(name).strip() for name in tab.page.locator("tbody tr td:first-child").all_inner_texts()]


def test_a_row_has_what_the_run_was_and_its_last_and_best_values() -> None:
    runs = [
        run(train_cost(), loss(1.5, 0.5, 0.75), name="a"),
        run(loss(2.0), name="b", about=about(status="failed", epochs_complete=1, started_at=None)),
    ]

    assert cells_of(Comparison(runs).model.text) == [
        [
            "run",
            "status",
            "epochs",
            "duration",
            "cost/loss last",
            "cost/loss best",
            "cost/train last",
            "started",
        ],
        ["a", "completed", "4", "1 min", "0.75", "0.5", "0", moment(STARTED_AT)],
        ["b", "failed", "1", "&ndash;", "2", "2", "&ndash;", "&ndash;"],
    ]


def test_the_series_that_most_runs_have_get_columns_and_the_others_are_counted() -> None:
    many = [each_epoch(f"metrics/m{number}", [1.0]) for number in range(5)]
    html = Comparison([run(*many, name="a"), run(many[3], many[4], loss(1.0), name="b")]).model.text

    heads = cells_of(html)[0][4:-1]
    assert heads == ["metrics/m3 last", "metrics/m4 last", "metrics/m0 last", "metrics/m1 last"]
    assert "2 more series" in html


def test_missing_values_are_dashes_and_others_are_told_as_they_are() -> None:
    runs = [run(loss(np.nan), name="a"), run(loss(1.0), name="b", about=about(ended_at=np.inf))]
    rows = cells_of(Comparison(runs).model.text)

    assert rows[1][4:6] == ["NaN", "&ndash;"]
    assert rows[2][3] == "inf"


def test_an_update_shows_what_is_now() -> None:
    comparison = Comparison([run(name="a"), run(name="b")])
    assert "0.125" not in comparison.model.text

    comparison.update([run(name="a"), run(loss(0.125), name="b")])
    assert "0.125" in comparison.model.text


def test_a_click_sorts_numbers_as_numbers_and_what_is_missing_stays_last(tmp_path: Path) -> None:
    runs = [
        run(loss(10.0), name="ten"),
        run(train_cost(), name="none"),
        run(loss(9.0), name="nine"),
        run(loss(0.001), name="least"),
    ]

    with browser_page() as tab:
        tab.open(shown(tmp_path, Comparison(runs).model))
        header = tab.page.locator("th", has_text="cost/loss").first
        assert names(tab) == ["ten", "none", "nine", "least"]
        header.locator("button").click()
        assert names(tab) == ["least", "nine", "ten", "none"]
        assert header.get_attribute("aria-sort") == "ascending"
        header.locator("button").press("Enter")
        assert names(tab) == ["ten", "nine", "least", "none"]
        assert header.get_attribute("aria-sort") == "descending"
        tab.page.locator("th button").first.click()
        assert names(tab) == ["least", "nine", "none", "ten"]
        assert header.get_attribute("aria-sort") is None
        assert (tab.console, tab.requests) == ([], [])


def test_names_sort_as_people_count(tmp_path: Path) -> None:
    runs = [run(name=name) for name in ("run 10", "run 9", "Run 1")]

    with browser_page() as tab:
        tab.open(shown(tmp_path, Comparison(runs).model))
        tab.page.locator("th button").first.click()

        assert names(tab) == ["Run 1", "run 9", "run 10"]


def test_the_chosen_order_stays_when_values_change(tmp_path: Path) -> None:
    runs = [run(loss(1.0), name="a"), run(loss(2.0), name="b")]
    comparison = Comparison(runs)
    address = shown(tmp_path, comparison.model)
    comparison.update([replace(runs[0], series=(loss(3.0),)), runs[1]])

    with browser_page() as tab:
        tab.open(address)
        button = tab.page.locator("th button").nth(4)
        button.click()
        button.click()
        assert names(tab) == ["b", "a"]
        tab.page.evaluate("text => { Bokeh.documents[0].roots()[0].text = text }", comparison.model.text)
        tab.page.locator("th[aria-sort=descending]").wait_for()

        assert names(tab) == ["a", "b"]


def test_hostile_names_stay_text_and_a_wide_table_scrolls_by_itself(tmp_path: Path) -> None:
    hostile = each_epoch(f"metrics/{HOSTILE}", [1.0], direction="max", unit=HOSTILE)
    runs = [run(hostile, name=HOSTILE), run(hostile, name="b")]

    with browser_page(width=420, color_scheme="dark") as tab:
        tab.open(shown(tmp_path, Comparison(runs).model))
        for button in tab.page.locator("th button").all():
            button.click()

        assert HOSTILE in names(tab)
        assert tab.page.locator("img").count() == 0
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 420
        assert (tab.console, tab.requests) == ([], [])
