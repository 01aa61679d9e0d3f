"""A real headless Chromium for tests of pages: what it prints, what it asks for, what it shows."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass
class BrowserPage:
    """A tab: Playwright's `page`, and what was heard of it.

    Attributes:
        page: `playwright.sync_api.Page`.
        console: errors and warnings on the console, and exceptions that nobody caught.
        requests: addresses that were asked for, but for the page itself and what stands in it.
    """

    page: Any
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        """Go to an address and wait until Bokeh has drawn everything."""
        self.page.goto(address)
        self.page.wait_for_function("window.Bokeh?.documents.length > 0 && Bokeh.documents[0].is_idle")


@contextlib.contextmanager
def browser_page(
    *, color_scheme: Literal["light", "dark"] = "light", width: int = 1200, height: int = 800
) -> Generator[BrowserPage]:
    """Yield an empty tab of a new browser, of a size in pixels; skip the test where there is no Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            page = browser.new_page(color_scheme=color_scheme, viewport={"width": width, "height": height})
            heard = BrowserPage(page)
            page.on(
                "console",
                lambda message: (
                    heard.console.append(message.text) if message.type in ("error", "warning") else None
                ),
            )
            page.on("pageerror", lambda error: heard.console.append(str(error)))
            page.on(
                "request",
                lambda request: (
                    None
                    if request.is_navigation_request() or request.url.startswith(("data:", "blob:"))
                    else heard.requests.append(request.url)
                ),
            )
            yield heard
        finally:
            browser.close()
