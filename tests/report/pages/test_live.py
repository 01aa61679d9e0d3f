"""What `trainsignal view` shows: pages as documents, and serving them until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import webbrowser
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bokeh.server.callbacks import TimeoutCallback

from trainsignal import keys
from trainsignal.errors import ConfigurationError
from trainsignal.report.pages.follower import Follower
from trainsignal.report.pages.live import FollowedRun, pages_of, serve
from trainsignal.report.pages.toolkit import document, models


def write_archive(path: Path, rows: int = 3, run_id: str | None = None) -> None:
    """Write an archive with a cost for each of so many minibatches."""
    with h5py.File(str(path), "w") as file:
        if run_id is not None:
            file.create_group(keys.CONFIG).attrs[keys.RUN_ID] = run_id
        file["cost/train"] = np.arange(rows, dtype=np.float32)
        file["cost/train"].attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH


def drawn(page: Any) -> Any:
    """Return the document of a page that is looked at for the first time."""
    drawn_on = document.Document()
    page.begin(drawn_on, page.look())
    return drawn_on


def costs(drawn_on: Any) -> list[float]:
    """Return the values of the line that is drawn."""
    sources = drawn_on.select({"type": models.ColumnDataSource})
    (values,) = [one.data["value"] for one in sources if "value" in one.data]
    found: list[float] = values.tolist()
    return found


def words(drawn_on: Any) -> str:
    """Return the HTML of all elements of ours that can be seen."""
    return " ".join(one.text for one in drawn_on.select({"type": models.Div}) if one.visible)


def test_a_run_that_is_not_there_yet_is_waited_for_and_then_shown(tmp_path: Path) -> None:
    page = FollowedRun(Follower(tmp_path / "run.h5"), "epoch")
    shown = drawn(page)
    assert f"waiting for {tmp_path}/run.h5" in words(shown)
    assert shown.title == "run.h5"
    write_archive(tmp_path / "run.h5")
    page.update(page.look())
    assert shown.title == "run"
    assert "waiting" not in words(shown)
    assert "<h1>run</h1>" in words(shown)


def test_a_run_is_brought_up_to_date_in_the_elements_that_are_there(tmp_path: Path) -> None:
    write_archive(tmp_path / "run.h5")
    page = FollowedRun(Follower(tmp_path / "run.h5"), "epoch")
    shown = drawn(page)
    figure = shown.select_one({"type": models.Plot})
    assert costs(shown) == [0, 1, 2]
    write_archive(tmp_path / "run.h5", rows=5)
    page.update(page.look())
    assert costs(shown) == [0, 1, 2, 3, 4]
    assert shown.select_one({"type": models.Plot}) is figure


def test_another_run_in_the_place_of_the_first_is_drawn_from_the_beginning(tmp_path: Path) -> None:
    write_archive(tmp_path / "run.h5", run_id="first")
    page = FollowedRun(Follower(tmp_path / "run.h5"), "minibatch")
    shown = drawn(page)
    first = shown.select_one({"type": models.Plot})
    first.x_range.start, first.x_range.end = 1, 2
    write_archive(tmp_path / "run.h5", rows=4, run_id="first")
    page.update(page.look())
    assert shown.select_one({"type": models.Plot}) is first
    write_archive(tmp_path / "run.h5", rows=9, run_id="second")
    page.update(page.look())
    (figure,) = shown.select({"type": models.Plot})
    assert costs(shown) == list(range(9))
    assert np.isnan([figure.x_range.start, figure.x_range.end]).all()
    assert words(shown).count("<h1>") == 1
    figure.x_range.start, figure.x_range.end = 1, 2
    (later,) = {one for one in shown.session_callbacks if isinstance(one, TimeoutCallback)}
    later.callback()  # of the zoom into the second run, which is followed as the first was


def test_a_file_that_is_gone_is_told_above_what_was_read(tmp_path: Path) -> None:
    write_archive(tmp_path / "run.h5")
    page = FollowedRun(Follower(tmp_path / "run.h5"), "epoch")
    shown = drawn(page)
    (tmp_path / "run.h5").unlink()
    page.update(page.look())
    assert "the file is gone; this is what was read at " in words(shown)
    assert "<h1>run</h1>" in words(shown)


def test_a_name_that_is_no_text_and_markup_in_one_are_shown_as_they_are(tmp_path: Path) -> None:
    for name in ("\udcff.h5", "<img src=x>.h5"):
        path = tmp_path / name
        waiting = words(drawn(FollowedRun(Follower(path), "epoch")))
        write_archive(path)
        shown = words(drawn(FollowedRun(Follower(path), "epoch")))
        for text in (waiting, shown):
            assert "<img" not in text
            assert text.encode()
            assert "\\udcff" in text or "&lt;img src=x&gt;" in text


def test_what_is_zoomed_into_is_drawn_in_detail_once_nothing_changes_anymore(tmp_path: Path) -> None:
    write_archive(tmp_path / "run.h5", rows=200_000)
    page = FollowedRun(Follower(tmp_path / "run.h5"), "minibatch")
    shown = drawn(page)
    assert len(costs(shown)) < 10_000
    x_range = shown.select_one({"type": models.Plot}).x_range
    for start in (50_000, 100_000):
        x_range.start, x_range.end = start, start + 500
    (later,) = [one for one in shown.session_callbacks if isinstance(one, TimeoutCallback)]
    later.callback()
    assert set(range(100_000, 100_500)) <= set(costs(shown))


def test_a_folder_gives_the_pages_of_its_runs_alone(tmp_path: Path) -> None:
    inside, outside = tmp_path / "runs", tmp_path / "outside.h5"
    inside.mkdir()
    write_archive(inside / "run.h5")
    write_archive(outside)
    pages = pages_of(inside, "epoch")
    assert "<h1>run</h1>" in words(drawn(pages["/run"]({"name": "run.h5"})))
    for name in ("../outside.h5", str(outside), "", "other.h5", "RUN.h5", "./run.h5", "\0", "run.h5/"):
        shown = words(drawn(pages["/run"]({"name": name})))
        assert "There is no run" in shown
        assert "<h1>" not in shown
    assert "There is no run" in words(drawn(pages["/run"]({})))


def test_from_a_run_of_a_folder_a_link_leads_back(tmp_path: Path) -> None:
    write_archive(tmp_path / "run.h5")
    back = '<a href="./">All runs</a>'
    make = pages_of(tmp_path, "epoch")["/run"]
    assert back in words(drawn(make({"name": "run.h5"})))
    assert back in words(drawn(make({"name": "none.h5"})))
    assert back not in words(drawn(pages_of(tmp_path / "run.h5", "epoch")["/"]({})))


def test_an_unknown_name_is_told_as_text(tmp_path: Path) -> None:
    page = pages_of(tmp_path, "epoch")["/run"]({"name": "<script>alert(1)</script>\udcff"})
    shown = drawn(page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\udcff" in words(shown)
    page.update(page.look())
    assert "There is no run" in words(shown)


def test_visitors_of_one_run_share_what_is_read(tmp_path: Path) -> None:
    write_archive(tmp_path / "run.h5")
    for pages, asked in (
        (pages_of(tmp_path, "epoch"), {"name": "run.h5"}),
        (pages_of(tmp_path / "run.h5", "epoch"), {}),
    ):
        make = pages["/run" if asked else "/"]
        first, second = make(asked), make(asked)
        assert first.look() is second.look()


class Told:
    """Takes what the user is told, and presses Ctrl-C after so many lines."""

    def __init__(self, lines: int = 1) -> None:
        self.lines: list[str] = []
        self._until = lines

    def __call__(self, text: str) -> None:
        self.lines.append(text)
        if len(self.lines) == self._until:
            os.kill(os.getpid(), signal.SIGINT)


def test_the_address_is_told_and_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    told = Told()
    write_archive(tmp_path / "run.h5")
    serve(tmp_path / "run.h5", port=0, tell=told)
    (line,) = told.lines
    address, _, rest = line.partition(" ")
    assert address.startswith("http://127.0.0.1:") and address.endswith("/")
    assert rest == f"shows {tmp_path / 'run.h5'}; Ctrl-C ends it"
    with socket.create_server(("127.0.0.1", int(address.split(":")[2].rstrip("/")))):
        pass  # nobody listens there any more


def test_an_archive_that_is_not_there_yet_is_told_in_the_terminal_too(tmp_path: Path) -> None:
    told = Told()
    serve(tmp_path / "run.h5", port=0, tell=told)
    (line,) = told.lines
    assert line.endswith(f"/ waits for {tmp_path / 'run.h5'}, which is not there yet; Ctrl-C ends it")


@pytest.mark.parametrize("name", ["$HOME.h5", "~"])
def test_a_name_that_was_found_is_not_filled_in(tmp_path: Path, name: str) -> None:
    write_archive(tmp_path / name)
    assert costs(drawn(pages_of(tmp_path / name, "epoch")["/"]({}))) == [0, 1, 2]


def test_a_home_is_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    told = Told()
    serve("~/run.h5", port=0, tell=told)
    assert f"/ waits for {tmp_path / 'run.h5'}," in told.lines[0]


def test_the_page_is_opened_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    told = Told(lines=2)

    def show(address: str) -> bool:
        opened.append(address)
        told("shown")
        return True

    monkeypatch.setattr(webbrowser, "open", show)
    serve(tmp_path, port=0, open_browser=True, tell=told)
    assert opened == [told.lines[0].partition(" ")[0]]


def test_without_a_browser_the_user_is_told_to_open_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(address: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    for show in (fail, lambda _: False):
        monkeypatch.setattr(webbrowser, "open", show)
        told = Told(lines=2)
        serve(tmp_path, port=0, open_browser=True, tell=told)
        address = told.lines[0].partition(" ")[0]
        assert told.lines[1] == f"no browser could be opened: open {address} yourself"


def test_a_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} is in use"):
            serve(tmp_path, port=port)


def test_the_list_of_a_folder_may_have_a_title(tmp_path: Path) -> None:
    assert "<h1>Runs at a broker</h1>" in words(
        drawn(pages_of(tmp_path, "epoch", title="Runs at a broker")["/"]({}))
    )
    assert f"<h1>Runs in {tmp_path}</h1>" in words(drawn(pages_of(tmp_path, "epoch")["/"]({})))
