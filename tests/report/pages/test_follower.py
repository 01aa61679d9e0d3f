"""An archive that changes: what a look finds."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.support.runs import FakeClock
from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.report.pages.follower import WRITER_CHECK_S, Follower
from trainsignal.report.reading import read_run
from trainsignal.report.records import Run
from trainsignal.report.wording import moment


class CountedReads:
    """Reads archives, and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, path: Path) -> Run:
        self.count += 1
        return read_run(path)


def publish(path: Path, costs: list[float], **more: list[float]) -> None:
    """Replace the archive at `path`, as a run does."""
    aside = path.with_name("aside")
    with h5py.File(str(aside), "w") as file:
        for key, values in {"cost/train": costs, **more}.items():
            file[key] = np.array(values, np.float32)
            file[key].attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH
        file.require_group(keys.TIME_MARKERS)
    os.replace(aside, path)  # noqa: PTH105


def costs(run: Run | None, key: str = "cost/train") -> list[float]:
    """Return the values of a series."""
    assert run is not None
    return [float(value) for one in run.series if one.key == key for value in one.values]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.h5"


def test_a_file_that_is_not_there_yet_is_waited_for(path: Path) -> None:
    follower = Follower(path)
    assert follower.look().run is None
    assert follower.look().notice == f"waiting for {path}"
    publish(path, [2, 1])
    assert costs(follower.look().run) == [2, 1]
    assert follower.look().notice is None


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "missing" / "run.h5", tmp_path / "file" / "run.h5"):
        assert Follower(path).look().notice == f"waiting for {path}"


def test_a_file_that_has_not_changed_is_not_read_again(path: Path) -> None:
    publish(path, [2])
    read = CountedReads()
    follower = Follower(path, read=read)
    first = follower.look()
    assert follower.look() is first
    assert read.count == 1


def test_each_publish_is_seen_at_the_next_look(path: Path) -> None:
    publish(path, [3])
    follower = Follower(path)
    follower.look()
    publish(path, [3, 2])
    second = follower.look()
    assert costs(second.run) == [3, 2]
    publish(path, [3, 2, 1], gan=[5, 6, 7])
    assert costs(follower.look().run) == [3, 2, 1]
    assert costs(follower.look().run, "gan") == [5, 6, 7]
    assert costs(second.run) == [3, 2]


def test_a_publish_of_the_same_size_and_time_is_seen_by_its_inode(path: Path) -> None:
    publish(path, [3])
    before = path.stat()
    follower = Follower(path)
    follower.look()
    publish(path, [4])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert costs(follower.look().run) == [4]


def test_a_file_that_vanishes_leaves_what_was_read_and_says_when(path: Path) -> None:
    publish(path, [2, 1])
    clock = FakeClock(1_790_000_000.0)
    follower = Follower(path, clock=clock)
    follower.look()
    path.unlink()
    clock.now += 60
    gone = follower.look()
    assert costs(gone.run) == [2, 1]
    assert gone.notice == f"the file is gone; this is what was read at {moment(1_790_000_000.0)}"
    assert follower.look() is gone


def test_a_file_that_returns_is_read_again(path: Path) -> None:
    publish(path, [2, 1])
    read = CountedReads()
    follower = Follower(path, read=read)
    follower.look()
    path.rename(path.with_name("elsewhere"))
    follower.look()
    path.with_name("elsewhere").rename(path)
    assert follower.look().notice is None
    assert read.count == 2


def test_a_file_that_is_cut_short_leaves_what_was_read_until_it_is_whole(path: Path) -> None:
    publish(path, [2, 1])
    whole = path.read_bytes()
    follower = Follower(path)
    follower.look()
    os.truncate(path, 100)
    cut = follower.look()
    assert costs(cut.run) == [2, 1]
    assert cut.notice is not None
    assert "; this is what was read at " in cut.notice
    path.write_bytes(whole)
    assert follower.look().notice is None


def test_a_file_that_never_was_an_archive_is_told_of(path: Path) -> None:
    path.write_text("no archive")
    follower = Follower(path)
    seen = follower.look()
    assert seen.run is None
    with pytest.raises(ArchiveError) as error:
        read_run(path)
    assert seen.notice == str(error.value)


def test_a_file_that_cannot_be_read_is_tried_at_each_look(path: Path) -> None:
    publish(path, [2])
    failing = [ArchiveError("locked"), ArchiveError("locked"), None]

    def read(path: Path) -> Run:
        if error := failing.pop(0):
            raise error
        return read_run(path)

    follower = Follower(path, read=read)
    locked = follower.look()
    assert locked.notice == "locked"
    assert follower.look() is locked
    assert costs(follower.look().run) == [2]


def test_a_path_that_nobody_can_ask_about_is_told_of(tmp_path: Path) -> None:
    notice = Follower(tmp_path / ("x" * 300)).look().notice
    assert notice is not None
    assert "name too long" in notice.lower()


def test_a_writer_that_dies_is_noticed_though_the_file_stays(path: Path) -> None:
    publish(path, [2])
    clock, writer, read = FakeClock(), ["alive"], CountedReads()
    follower = Follower(path, read=read, clock=clock, writer_of=lambda _: writer[0])
    follower.look()
    writer[0] = "gone"
    clock.now += WRITER_CHECK_S / 2
    follower.look()
    assert read.count == 1
    clock.now += WRITER_CHECK_S / 2
    follower.look()
    assert read.count == 2


def test_a_clock_that_is_set_back_hides_no_death_of_a_writer(path: Path) -> None:
    publish(path, [2])
    clock, writer, read = FakeClock(), ["alive"], CountedReads()
    follower = Follower(path, read=read, clock=clock, writer_of=lambda _: writer[0])
    follower.look()
    writer[0] = "gone"
    clock.now -= 3600
    follower.look()
    assert read.count == 2


def test_nothing_is_open_and_nothing_lies_about_between_looks(path: Path) -> None:
    publish(path, [2])
    follower = Follower(path)
    follower.look()
    opened = [os.readlink(f"/proc/self/fd/{one}") for one in os.listdir("/proc/self/fd") if _is_there(one)]  # noqa: PTH115, PTH208
    assert str(path) not in opened
    assert [one.name for one in path.parent.iterdir()] == ["run.h5"]


def test_two_threads_that_look_at_once_read_once(path: Path) -> None:
    publish(path, [2])
    begun, go_on = threading.Event(), threading.Event()
    reads = CountedReads()

    def read(path: Path) -> Run:
        begun.set()
        assert go_on.wait(10)
        return reads(path)

    follower = Follower(path, read=read)
    threads = [threading.Thread(target=follower.look) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert reads.count == 1


def _is_there(descriptor: str) -> bool:
    """Say whether a descriptor still is open; the one that listed them is not."""
    return os.path.lexists(f"/proc/self/fd/{descriptor}")
