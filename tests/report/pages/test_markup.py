"""HTML of ours on a page."""

from __future__ import annotations

from pathlib import Path

from tests.support.browser import browser_page
from tests.support.pieces import shown
from trainsignal.report.pages import markup


def test_what_a_reader_unfolded_stays_so_when_the_text_changes(tmp_path: Path) -> None:
    element = markup.element()
    element.text = markup.folded("more", "more", "<p>inside</p>") + markup.folded(
        "other", "other", "<p>else</p>"
    )

    with browser_page() as tab:
        tab.open(shown(tmp_path, element))
        tab.page.get_by_text("more").click()
        tab.page.locator(".bk-Div[data-more]").wait_for()
        tab.page.evaluate("Bokeh.documents[0].roots()[0].text += '<p>changed</p>'")
        tab.page.get_by_text("changed").wait_for()
        tab.page.locator("details[data-name=more][open]").wait_for()

        assert tab.page.get_by_text("inside").is_visible()
        assert not tab.page.get_by_text("else").is_visible()
        tab.page.get_by_text("more").click()
        tab.page.locator(".bk-Div:not([data-more])").wait_for()
        tab.page.evaluate("Bokeh.documents[0].roots()[0].text += '<p>again</p>'")
        tab.page.get_by_text("again").wait_for()
        assert not tab.page.get_by_text("inside").is_visible()
        assert tab.console == []


def test_text_that_looks_like_tex_stays_as_it_is_and_nothing_is_fetched(tmp_path: Path) -> None:
    element = markup.element()
    element.text = "<p>$$x^2$$ and \\(y\\)</p>"

    with browser_page() as tab:
        tab.open(shown(tmp_path, element))

        assert tab.page.locator("p").inner_text() == "$$x^2$$ and \\(y\\)"
        assert tab.requests == []
