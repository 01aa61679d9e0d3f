"""`trainsignal view` in a process of its own, looked at in a browser while a run trains in a third one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.browser import BrowserPage, browser_page
from tests.support.driven_run import DrivenRun
from tests.support.pieces import HOSTILE
from tests.support.processes import python
from trainsignal import keys

LIMIT_MS = 30_000
"""How long anything may take on a machine that is busy; two seconds are usual at most."""

FIND = """
const roots = window.Bokeh?.documents[0]?.roots() ?? [];
const models = roots.flatMap((root) => [...root.references()]);
const charts = models.filter((model) => model.type == "Figure" && model.title != null);
const chart = (title) => charts.find((one) => one.title.text == title);
const points = (one) => one?.renderers.find(({glyph}) => glyph.type == "Line").data_source.data;
const values = (title) => Array.from(points(chart(title))?.value ?? []);
"""
"""What tests ask the page's Bokeh: charts by their title, and the values of their first line."""


class View:
    """`trainsignal view` of a path, at any free port.

    Args:
        path: what is looked at.
        options: further words of the command line.
        environment: changes.
    """

    def __init__(self, path: Path, *options: str, **environment: str) -> None:
        self.process = python("trainsignal.cli", "view", path, "--port", 0, *options, **environment)
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.match(r"(http://\S+/) (shows|waits for) ", self.line)
        if found is None:
            raise AssertionError(self.process.communicate(timeout=60))
        self.address = found[1]

    def end(self) -> tuple[int, str, str]:
        """Press Ctrl-C; return status, output and errors."""
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors


@contextlib.contextmanager
def view(path: Path, tab: BrowserPage | None = None, *options: str) -> Generator[View]:
    """Yield a view, shown in a tab; then have the tab leave it, and see that nobody complained of anything.

    Args:
        path: what is looked at.
        tab: asks for nothing but the server's files; None: for tests that open it by themselves.
        options: further words of the command line.
    """
    viewed = View(path, *options)
    try:
        if tab is not None:
            tab.console.clear()
            tab.requests.clear()
            tab.open(viewed.address)
        yield viewed
        if tab is not None:
            tab.page.goto("about:blank")
            assert tab.console == []
            assert tab.requests
            assert all(one.startswith(f"{viewed.address}static/") for one in tab.requests)
        assert viewed.end() == (0, "", "")
    finally:
        viewed.process.kill()
        viewed.process.communicate()


@contextlib.contextmanager
def run_at(archive: Path, epochs: int = 4) -> Generator[DrivenRun]:
    """Yield a run in a process of its own, which is gone afterwards."""
    run = DrivenRun(archive, epochs)
    try:
        yield run
    finally:
        run.kill()


@pytest.fixture(scope="module")
def tab() -> Generator[BrowserPage]:
    with browser_page() as page:
        yield page


def wait(tab: BrowserPage, condition: str) -> None:
    """Wait until a JavaScript expression is true, which sees what is in `FIND`."""
    tab.page.wait_for_function(f"() => {{ {FIND} return {condition} }}", timeout=LIMIT_MS)


def ask(tab: BrowserPage, expression: str) -> Any:
    """Return a JavaScript expression, which sees what is in `FIND`."""
    return tab.page.evaluate(f"() => {{ {FIND} return {expression} }}")


def wait_for(tab: BrowserPage, text: str) -> None:
    """Wait until a text can be seen."""
    tab.page.get_by_text(text).first.wait_for(timeout=LIMIT_MS)


def status(tab: BrowserPage) -> str:
    """Return the state of the run that the page tells."""
    text: str = tab.page.locator(".pill").inner_text()
    return text


def test_a_run_is_followed_from_before_it_begins_until_after_its_file_is_gone(
    tmp_path: Path, tab: BrowserPage
) -> None:
    archive = tmp_path / "run.h5"
    with view(archive, tab):
        wait_for(tab, f"waiting for {archive}")
        with run_at(archive, epochs=2) as run:
            wait_for(tab, "in progress")
            run.tell("minibatch 4", "minibatch 2", "publish")
            wait(tab, "values('Cost').join() == '4,3'")  # means of the costs so far
            run.tell("epoch", "minibatch 0", "publish")
            wait(tab, "values('Cost').at(-1) == 2")
            wait_for(tab, "1 of 2 epochs, 3 minibatches")
            assert (tmp_path / "run.h5.lock").read_text() == f"{run.pid}\n"
            figure = ask(tab, "chart('Cost').id")
            run.tell("series mine/noise", "publish")
            wait(tab, "charts.length == 2")
            assert ask(tab, "chart('Cost').id") == figure
            run.end()
            wait_for(tab, "completed")
        archive.rename(tmp_path / "elsewhere.h5")
        wait_for(tab, "the file is gone; this is what was read at ")
        assert ask(tab, "values('Cost').length") == 3
        (tmp_path / "elsewhere.h5").rename(archive)
        tab.page.get_by_text("the file is gone").wait_for(state="hidden", timeout=LIMIT_MS)
        assert status(tab) == "completed"
    assert not (tmp_path / "run.h5.lock").exists()


def test_a_run_whose_process_is_killed_is_told_killed(tmp_path: Path, tab: BrowserPage) -> None:
    with run_at(tmp_path / "run.h5") as run, view(tmp_path / "run.h5", tab):
        run.tell("minibatch 1", "publish")
        wait_for(tab, "in progress")
        run.kill()
        tab.page.locator(".pill", has_text="killed").wait_for(timeout=LIMIT_MS)


def test_an_archive_of_another_run_takes_the_place_of_the_first(tmp_path: Path, tab: BrowserPage) -> None:
    write_costs(tmp_path / "run.h5", "cost/train", [1, 2, 3])
    write_costs(tmp_path / "next.h5", "cost/other", [7, 8])
    with view(tmp_path / "run.h5", tab):
        wait(tab, "values('Cost').join() == '1,2,3'")
        os.replace(tmp_path / "next.h5", tmp_path / "run.h5")  # noqa: PTH105
        wait(tab, "charts.some((one) => points(one).value.join() == '7,8')")
        wait(tab, "charts.length == 1")


def test_what_is_zoomed_into_is_shown_in_full_detail(tmp_path: Path, tab: BrowserPage) -> None:
    rows = 200_000
    write_costs(tmp_path / "run.h5", "cost/train", np.random.default_rng(0).normal(size=rows))
    with view(tmp_path / "run.h5", tab, "--axis", "minibatch"):
        wait(tab, "values('Cost').length > 0")
        assert ask(tab, "values('Cost').length") < rows / 10
        tab.page.evaluate(
            f"() => {{ {FIND} const seen = chart('Cost').x_range; seen.start = 100000; seen.end = 100400; }}"
        )
        wait(
            tab,
            "points(chart('Cost')).minibatch.filter((one) => one >= 100000 && one <= 100400).length == 401",
        )


def test_two_visitors_see_the_same_run(tmp_path: Path, tab: BrowserPage) -> None:
    with run_at(tmp_path / "run.h5") as run, view(tmp_path / "run.h5", tab) as shown:
        other = BrowserPage(tab.page.context.browser.new_page())
        other.open(shown.address)
        run.tell("minibatch 5", "publish")
        wait(tab, "values('Cost').join() == '5'")
        wait(other, "values('Cost').join() == '5'")
        other.page.close()
        run.tell("minibatch 3", "publish")
        wait(tab, "values('Cost').join() == '5,4'")


def test_names_from_an_archive_run_nothing(tmp_path: Path, tab: BrowserPage) -> None:
    path = tmp_path / "<img src=x onerror=console.error(1)>.h5"
    with h5py.File(str(path), "w") as file:
        group = file.create_group(keys.HISTOGRAMS)
        group.attrs.update(
            {keys.BINS: 64, keys.OFFSET: -48, keys.TIME_STEPS: 2, keys.TIME_MARKERS: "minibatch"}
        )
        name = HOSTILE.replace("/", "")
        group[name] = np.ones((64, 2), np.int32)
        for key in (f"cost/{name}", f"metrics/{name}", name):
            file[key] = np.arange(3, dtype=np.float32)
            file[key].attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH
        config = file.create_group(keys.CONFIG)
        config.attrs.update(
            {"total_epochs": 1, "exit_reason": "failed", "exit_detail": HOSTILE, "exit_author": HOSTILE}
        )
    with view(path, tab):
        wait_for(tab, HOSTILE)
        assert tab.page.locator("img").count() == 0
    with view(tmp_path, tab):
        wait_for(tab, path.name)
        tab.page.get_by_role("link").click()
        wait_for(tab, HOSTILE)


def test_the_runs_of_a_folder_are_listed_and_shown_by_a_click(tmp_path: Path, tab: BrowserPage) -> None:
    folder = tmp_path / "runs"
    (folder / "first try").mkdir(parents=True)
    write_costs(tmp_path / "outside.h5", "cost/train", [9])
    with view(folder, tab) as shown:
        wait_for(tab, "There is no archive here yet.")
        write_costs(folder / "first try" / "a+b é.h5", "cost/train", [1, 2])
        with run_at(folder / "run.h5", epochs=1) as run:
            wait_for(tab, "in progress")
            run.end()
        wait_for(tab, "completed")
        tab.page.get_by_role("link", name="first try/a+b é.h5").click()
        wait(tab, "values('Cost').join() == '1,2'")
        assert "/run?name=" in tab.page.url
        tab.open(f"{shown.address}run?name=../outside.h5")
        wait_for(tab, "There is no run '../outside.h5' in this folder.")
        tab.page.get_by_role("link", name="All runs").click()
        wait_for(tab, "run.h5")


def test_a_server_that_is_gone_for_a_moment_is_found_again(tmp_path: Path, tab: BrowserPage) -> None:
    with run_at(tmp_path / "run.h5") as run:
        run.tell("minibatch 5", "publish")
        with view(tmp_path / "run.h5") as shown:
            port = shown.address.rstrip("/").rpartition(":")[2]
            tab.open(shown.address)
            wait(tab, "values('Cost').join() == '5'")
        wait_for(tab, "the server is gone: waiting for it")
        run.tell("minibatch 3", "publish")
        with view(tmp_path / "run.h5", None, "--port", port):
            wait(tab, "values('Cost').join() == '5,4'")
            run.tell("minibatch 1", "publish")
            wait(tab, "values('Cost').join() == '5,4,3'")
            tab.page.goto("about:blank")


def test_without_a_display_the_address_is_told_once_more(tmp_path: Path) -> None:
    shown = View(tmp_path, "--open", PATH="", DISPLAY="", WAYLAND_DISPLAY="")
    assert shown.process.stdout is not None
    told = shown.process.stdout.readline()
    assert told == f"no browser could be opened: open {shown.address} yourself\n"
    assert shown.end() == (0, "", "")


def test_a_port_that_is_taken_is_told_and_nothing_else(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = python("trainsignal.cli", "view", tmp_path, "--port", port)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert output == ""
    assert errors == (
        f"trainsignal view: port {port} is in use: give another one by --port, or --port 0 for any free one\n"
    )


def write_costs(path: Path, key: str, costs: Any) -> None:
    """Write an archive with a cost for each minibatch."""
    with h5py.File(str(path), "w") as file:
        file[key] = np.asarray(costs, np.float32)
        file[key].attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH
