"""The report as one file, in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import report_runs
from tests.support.browser import browser_page
from tests.support.pieces import HOSTILE
from trainsignal.errors import ArchiveError
from trainsignal.report.pages.static import page_of, write_report

DRAWN = "Bokeh.documents[0]._all_models.values()"


def test_a_report_is_named_as_its_run_and_several_as_a_comparison(tmp_path: Path) -> None:
    one, other = report_runs.run(name="a/b: c"), report_runs.run(name="other")

    assert (
        write_report([one], tmp_path / "new" / "folder", "epoch")
        == tmp_path / "new" / "folder" / "a-b- c.html"
    )
    assert write_report([one, other], tmp_path, "epoch") == tmp_path / "comparison.html"


@pytest.mark.parametrize("name", ["page.html", "page.HTM", "new/folder/my page.html"])
def test_a_place_that_ends_as_pages_do_is_the_page(tmp_path: Path, name: str) -> None:
    assert write_report([report_runs.run()], tmp_path / name, "epoch") == tmp_path / name
    assert (tmp_path / name).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_a_folder_that_is_called_like_a_page_stays_a_folder(tmp_path: Path) -> None:
    (tmp_path / "old.html").mkdir()

    assert write_report([report_runs.run()], tmp_path / "old.html", "epoch") == tmp_path / "old.html/run.html"


def test_an_earlier_report_is_replaced_and_another_file_kept(tmp_path: Path) -> None:
    (tmp_path / "run.html").write_text("<p>mine</p>")

    write_report([report_runs.run()], tmp_path, "epoch")
    write_report([report_runs.run()], tmp_path, "epoch")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.1.html", "run.html"]
    assert (tmp_path / "run.1.html").read_text() == "<p>mine</p>"


def test_a_folder_that_is_a_file_is_said_to_be_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ArchiveError, match="cannot write the report"):
        write_report([report_runs.run()], tmp_path / "file", "epoch")


def test_a_page_opens_without_asking_for_anything_or_complaining(tmp_path: Path) -> None:
    page = write_report([report_runs.run()], tmp_path, "epoch")

    with browser_page() as tab:
        tab.open(page.as_uri())

        assert tab.console == []
        assert tab.requests == []
        assert tab.page.title() == "run"
        assert tab.page.locator(".pill").inner_text() == "completed"
        assert tab.page.get_by_text("metrics/Accuracy").is_visible()


def test_a_page_forbids_the_browser_to_fetch(tmp_path: Path) -> None:
    page = write_report([report_runs.run()], tmp_path, "epoch")

    with browser_page() as tab:
        tab.open(page.as_uri())
        outcome = tab.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'came', () => 'refused')")

    assert outcome == "refused"
    assert any("Content Security Policy" in line for line in tab.console)


def test_names_of_a_stranger_are_shown_and_run_nothing(tmp_path: Path) -> None:
    series = report_runs.each_epoch(f"metrics/{HOSTILE}", [1.0, 2.0])
    page = write_report([report_runs.run(series, report_runs.train_cost(), name=HOSTILE)], tmp_path, "epoch")

    with browser_page() as tab:
        tab.open(page.as_uri())

        assert tab.page.title() == " ".join(HOSTILE.split())
        assert not tab.page.evaluate("'hacked' in window")
        assert tab.console == []
        assert tab.requests == []


def test_figures_take_the_colours_that_the_browser_prefers(tmp_path: Path) -> None:
    page = write_report([report_runs.run()], tmp_path, "epoch")
    title = f"Array.from({DRAWN}).find((model) => model.type === 'Title' && model.text).text_color"

    with browser_page(color_scheme="light") as tab:
        tab.open(page.as_uri())
        light = tab.page.evaluate(title), tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
        tab.page.emulate_media(color_scheme="dark")
        tab.page.wait_for_function(f"{title} !== {light[0]!r}")
        dark = tab.page.evaluate(title), tab.page.evaluate("getComputedStyle(document.body).backgroundColor")

    assert light == ("#1f2328", "rgb(255, 255, 255)")
    assert dark == ("#e4e7ea", "rgb(20, 23, 26)")


@pytest.mark.parametrize("width", [420, 1200])
def test_nothing_is_wider_than_the_window(tmp_path: Path, width: int) -> None:
    page = write_report([report_runs.run(), report_runs.run(name="other")], tmp_path, "epoch")

    with browser_page(width=width) as tab:
        tab.open(page.as_uri())

        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_is_mostly_bokeh_itself() -> None:
    assert len(page_of([report_runs.run()], "epoch")) < 2_500_000
