"""Showing a page in the user's browser."""

from __future__ import annotations

import webbrowser

import pytest

from trainsignal.report.browser import open_in_browser


@pytest.mark.parametrize("is_there", [True, False])
def test_it_is_told_whether_there_is_a_browser(is_there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    def show(address: str) -> bool:
        opened.append(address)
        return is_there

    monkeypatch.setattr(webbrowser, "open", show)

    assert open_in_browser("file:///run.html") is is_there
    assert opened == ["file:///run.html"]


def test_no_display_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(address: str) -> bool:
        raise webbrowser.Error("no display")

    monkeypatch.setattr(webbrowser, "open", fail)

    assert not open_in_browser("file:///run.html")
