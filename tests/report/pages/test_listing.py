"""The archives of a folder: which are listed, what is told of them, and what is never found."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.report_runs import about, each_epoch
from tests.support.runs import FakeClock, quiet, six_calls
from trainsignal.errors import ArchiveError
from trainsignal.report.pages import listing
from trainsignal.report.pages.listing import (
    DEEPEST,
    READING_S,
    SEARCH_EVERY_S,
    Entry,
    Folder,
    Listing,
    ListingPage,
)
from trainsignal.report.pages.toolkit import document
from trainsignal.report.records import Summary

NEON = Path(__file__).parents[2] / "data" / "neon"


class Summaries:
    """Tells the same of each archive, and notes which were read.

    Args:
        clock: goes on by `seconds` at each.
        seconds: that reading takes.
    """

    def __init__(self, clock: FakeClock | None = None, seconds: float = 0.0) -> None:
        self.read: list[str] = []
        self._clock = clock
        self._seconds = seconds

    def __call__(self, path: Path) -> Summary:
        self.read.append(path.name)
        if self._clock is not None:
            self._clock.now += self._seconds
        if path.name.startswith("other"):
            raise ArchiveError("no archive")
        return Summary(about(), each_epoch("cost/loss", [2.0, 0.5]))


def touched(folder: Path, *names: str) -> None:
    """Make empty files, each a second younger than the one before."""
    for age, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1_790_000_000 + age, 1_790_000_000 + age))


def names(seen: Listing) -> list[str]:
    return [entry.name for entry in seen.entries]


def page_of(folder: Folder) -> Any:
    """Return the HTML of the page of a folder."""
    page = ListingPage(folder)
    shown = document.Document()
    page.begin(shown, page.look())
    return shown.roots[0].text


def test_a_run_is_listed_with_its_state_its_progress_and_its_last_loss(tmp_path: Path) -> None:
    six_calls(quiet(output_file=str(tmp_path / "run.h5")), epochs=2, minibatches=3)
    shutil.copy(NEON / "mlp.h5", tmp_path / "neon.h5")
    told = {entry.name: entry.told for entry in Folder(tmp_path).look().entries}
    assert told["run.h5"] == ("completed", "2 of 2 epochs, 6 minibatches", "")
    with h5py.File(str(NEON / "mlp.h5")) as file:
        last = float(file["cost/loss"][-1])
    assert told["neon.h5"] is not None
    assert told["neon.h5"][0] == "unknown"
    assert float(told["neon.h5"][2]) == pytest.approx(last, rel=1e-5)


def test_files_that_are_no_archives_are_not_listed(tmp_path: Path) -> None:
    six_calls(quiet(output_file=str(tmp_path / "run.h5")))
    (tmp_path / "notes.h5").write_text("no archive")
    (tmp_path / "empty.hdf5").touch()
    (tmp_path / "run.txt").touch()
    with h5py.File(str(tmp_path / "data.h5"), "w") as file:
        file["images"] = np.zeros((3, 3, 3))
    assert names(Folder(tmp_path).look()) == ["run.h5"]


def test_the_newest_comes_first_and_folders_are_part_of_the_name(tmp_path: Path) -> None:
    touched(tmp_path, "b.h5", "sub/a.HDF5", "a.h5", "sub/deep/c.hdf5")
    folder = Folder(tmp_path, read=Summaries())
    assert names(folder.look()) == ["sub/deep/c.hdf5", "a.h5", "sub/a.HDF5", "b.h5"]
    assert [entry.changed_at - 1_790_000_000 for entry in folder.look().entries] == [3, 2, 1, 0]


def test_hidden_deep_and_strange_files_are_passed_over(tmp_path: Path) -> None:
    deepest = "/".join(f"level{depth}" for depth in range(DEEPEST))
    touched(tmp_path, f"{deepest}/run.h5", f"{deepest}/more/run.h5", ".hidden.h5", ".git/run.h5", "h5", ".h5")
    (tmp_path / "folder.h5").mkdir()
    os.mkfifo(tmp_path / "pipe.h5")
    assert names(Folder(tmp_path, read=Summaries()).look()) == [f"{deepest}/run.h5"]


def test_only_so_many_folders_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "run.h5", *(f"folder{number}/run.h5" for number in range(9)))
    monkeypatch.setattr(listing, "MOST_FOLDERS", 4)
    assert len(names(Folder(tmp_path, read=Summaries()).look())) == 4


def test_links_that_lead_out_or_nowhere_are_passed_over(tmp_path: Path) -> None:
    inside = tmp_path / "runs"
    touched(tmp_path, "outside.h5", "elsewhere/run.h5", "runs/run.h5")
    (inside / "out.h5").symlink_to(tmp_path / "outside.h5")
    (inside / "folder").symlink_to(tmp_path / "elsewhere")
    (inside / "nowhere.h5").symlink_to(inside / "missing.h5")
    (inside / "loop.h5").symlink_to(inside / "loop.h5")
    (inside / "latest.h5").symlink_to("run.h5")
    folder = Folder(inside, read=Summaries())
    assert sorted(names(folder.look())) == ["latest.h5", "run.h5"]
    for name in ("out.h5", "folder/run.h5", "nowhere.h5", "loop.h5"):
        assert folder.find(name) is None


def test_a_name_that_looks_like_a_variable_is_read_as_it_is(tmp_path: Path) -> None:
    shutil.copy(NEON / "mlp.h5", tmp_path / "$HOME.h5")
    assert names(Folder(tmp_path).look()) == ["$HOME.h5"]


def test_a_folder_that_is_a_link_itself_is_listed(tmp_path: Path) -> None:
    touched(tmp_path, "runs/run.h5")
    (tmp_path / "link").symlink_to(tmp_path / "runs")
    folder = Folder(tmp_path / "link", read=Summaries())
    assert names(folder.look()) == ["run.h5"]
    assert folder.find("run.h5") == tmp_path / "runs" / "run.h5"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../outside.h5",
        "sub/../run.h5",
        "./run.h5",
        "/etc/passwd",
        "run.h5/",
        "RUN.H5",
        "run.h5\0",
    ],
)
def test_only_names_of_the_list_are_found(tmp_path: Path, name: str) -> None:
    touched(tmp_path, "outside.h5", "runs/run.h5", "runs/sub/run.h5")
    folder = Folder(tmp_path / "runs")
    assert folder.find("sub/run.h5") == tmp_path / "runs" / "sub" / "run.h5"
    assert folder.find(name) is None
    assert folder.find(str(tmp_path / "outside.h5")) is None


def test_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    touched(tmp_path, "a.h5", "b.h5", "other.h5")
    clock, read = FakeClock(), Summaries()
    folder = Folder(tmp_path, read=read, clock=clock)
    first = folder.look()
    assert sorted(read.read) == ["a.h5", "b.h5", "other.h5"]
    clock.now += SEARCH_EVERY_S
    assert folder.look() is first
    (tmp_path / "a.h5").write_text("more")
    touched(tmp_path, "new.h5")
    clock.now += SEARCH_EVERY_S
    assert sorted(names(folder.look())) == ["a.h5", "b.h5", "new.h5"]
    assert sorted(read.read[3:]) == ["a.h5", "new.h5"]


def test_a_writer_that_dies_is_told_though_its_archive_stays(tmp_path: Path) -> None:
    touched(tmp_path, "a.h5")
    clock, read = FakeClock(), Summaries()
    folder = Folder(tmp_path, read=read, clock=clock)
    folder.look()
    (tmp_path / "a.h5.lock").write_text(f"{os.getpid()}\n")
    clock.now += SEARCH_EVERY_S
    folder.look()
    assert read.read == ["a.h5", "a.h5"]


def test_what_vanishes_is_no_longer_listed(tmp_path: Path) -> None:
    touched(tmp_path, "a.h5", "b.h5")
    clock = FakeClock()
    folder = Folder(tmp_path, read=Summaries(), clock=clock)
    folder.look()
    (tmp_path / "b.h5").unlink()
    clock.now += SEARCH_EVERY_S
    assert names(folder.look()) == ["a.h5"]
    shutil.rmtree(tmp_path)
    clock.now += SEARCH_EVERY_S
    assert names(folder.look()) == []


def test_looks_that_follow_closely_search_once(tmp_path: Path) -> None:
    clock = FakeClock()
    folder = Folder(tmp_path, read=Summaries(), clock=clock)
    folder.look()
    touched(tmp_path, "a.h5")
    clock.now += SEARCH_EVERY_S / 2
    assert names(folder.look()) == []
    clock.now += SEARCH_EVERY_S / 2
    assert names(folder.look()) == ["a.h5"]


def test_many_archives_are_read_by_and_by_the_newest_first(tmp_path: Path) -> None:
    touched(tmp_path, *(f"{number}.h5" for number in range(5)))
    clock = FakeClock()
    read = Summaries(clock, seconds=READING_S / 2)
    folder = Folder(tmp_path, read=read, clock=clock)
    seen = folder.look()
    assert read.read == ["4.h5", "3.h5"]
    assert names(seen) == ["4.h5", "3.h5", "2.h5", "1.h5", "0.h5"]
    assert [entry.told is None for entry in seen.entries] == [False, False, True, True, True]
    for _ in range(2):
        clock.now += SEARCH_EVERY_S
        seen = folder.look()
    assert sorted(read.read) == ["0.h5", "1.h5", "2.h5", "3.h5", "4.h5"]
    assert all(entry.told is not None for entry in seen.entries)


def test_of_more_than_can_be_listed_the_newest_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST", 2)
    touched(tmp_path, "a.h5", "b.h5", "c.h5", "d.h5", "other1.h5", "other2.h5", "other3.h5")
    folder = Folder(tmp_path, read=Summaries())
    assert names(folder.look()) == ["d.h5", "c.h5"]
    assert folder.look().left_out == 2
    assert "2 older ones are not listed" in page_of(folder)


def test_a_folder_without_runs_says_so(tmp_path: Path) -> None:
    assert "There is no archive here yet." in page_of(Folder(tmp_path))


def test_names_are_shown_as_text_and_linked_as_they_are(tmp_path: Path) -> None:
    strange = ["<img src=x>&\"'.h5", "a+b %20?#.h5", "\udcff.h5", "ü 🎲/run.h5"]
    touched(tmp_path / "<b>", *strange)
    html = page_of(Folder(tmp_path / "<b>", read=Summaries()))
    assert "<img" not in html and "<b>" not in html
    assert "&lt;img src=x&gt;&amp;&quot;&#x27;.h5</a>" in html
    assert ">\\udcff.h5</a>" in html
    for link in (
        "%3Cimg%20src%3Dx%3E%26%22%27.h5",
        "a%2Bb%20%2520%3F%23.h5",
        "%FF.h5",
        "%20%F0%9F%8E%B2/run.h5",
    ):
        assert link in html


def test_an_archive_that_was_not_read_yet_is_listed_by_its_name(tmp_path: Path) -> None:
    page = ListingPage(Folder(tmp_path))
    shown = document.Document()
    page.begin(shown, Listing((), 0))
    page.update(Listing((Entry("run.h5", 1_790_000_000.0, None),), 0))
    assert "run.h5</a>" in shown.roots[0].text
    assert "completed" not in shown.roots[0].text


def _returned(summary: Summary, _: Path) -> Summary:
    return summary


def test_a_loss_that_is_no_number_is_told(tmp_path: Path) -> None:
    touched(tmp_path, "run.h5")
    losses = each_epoch("cost/loss", [2.0, float("nan")])
    for loss, told in ((losses, "NaN"), (replace(losses, values=losses.values[:0]), ""), (None, "")):
        summary = Summary(about(), loss)
        folder = Folder(tmp_path, read=partial(_returned, summary))
        (entry,) = folder.look().entries
        assert entry.told is not None
        assert entry.told[2] == told


def test_the_list_may_have_a_title_of_its_own(tmp_path: Path) -> None:
    titles: list[str] = []
    for title in (None, "Runs at <redis://host>"):
        page, shown = ListingPage(Folder(tmp_path), title), document.Document()
        page.begin(shown, page.look())
        titles += [shown.title, shown.roots[0].text.partition("</h1>")[0]]
    assert titles == [
        f"Runs in {tmp_path.name}", f"<h1>Runs in {tmp_path}",
        "Runs at <redis://host>", "<h1>Runs at &lt;redis://host&gt;",
    ]  # fmt: skip


def test_archives_may_be_shown_by_other_names_than_their_own(tmp_path: Path) -> None:
    touched(tmp_path, "a%20b.h5")
    page = ListingPage(Folder(tmp_path, read=Summaries()), name_of=lambda name: f"<{name}>")
    shown = document.Document()
    page.begin(shown, page.look())
    assert '<a href="run?name=a%2520b.h5">&lt;a%20b.h5&gt;</a>' in shown.roots[0].text
