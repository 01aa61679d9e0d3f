"""The process that writes an archive: whether it lives."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from trainsignal.report.writer import FRESH_S, WriterLife, status_of, writer_life

HERE, ELSEWHERE = platform.node(), f"not-{platform.node()}"
CHANGED_AT = 1.5e9


@pytest.fixture
def ended_process() -> int:
    """Return the id of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of an archive without a lock."""
    path = tmp_path / "run.h5"
    path.write_bytes(b"")
    os.utime(path, (CHANGED_AT, CHANGED_AT))
    return path


def life(path: Path, lock: str | bytes, *, seconds_later: float = 1.0) -> WriterLife:
    path.with_name("run.h5.lock").write_bytes(lock.encode() if isinstance(lock, str) else lock)
    return writer_life(path, clock=lambda: CHANGED_AT + seconds_later)


def test_a_process_of_this_machine_is_looked_up(path: Path, ended_process: int) -> None:
    assert life(path, f"{os.getpid()}\n") == WriterLife(os.getpid(), is_alive=True, is_fresh=True)
    assert life(path, f"{ended_process}\n") == WriterLife(ended_process, is_alive=False, is_fresh=True)


def test_an_archive_is_fresh_for_ten_minutes(path: Path) -> None:
    assert FRESH_S == 600
    assert life(path, "7", seconds_later=599).is_fresh
    assert not life(path, "7", seconds_later=600).is_fresh


@pytest.mark.parametrize("lock", ["", "0", "-1", "abc", b"\xff\xfe"])
def test_a_lock_that_names_no_process_tells_nothing(lock: str | bytes, path: Path) -> None:
    assert life(path, lock).process is None


def test_a_number_that_no_process_has_is_of_none_that_lives(path: Path) -> None:
    assert not life(path, "9" * 40).is_alive


def test_without_a_lock_nothing_is_known_of_the_writer(path: Path) -> None:
    assert writer_life(path).process is None


def test_of_a_lock_whose_archive_is_gone_nothing_is_known(path: Path) -> None:
    path.unlink()
    assert life(path, str(os.getpid())).process is None


def test_what_can_be_no_archive_has_no_writer(tmp_path: Path) -> None:
    loop = tmp_path / "loop.h5"
    loop.symlink_to(loop)
    assert writer_life(loop).process is writer_life(Path("/")).process is None


def test_the_lock_of_an_archive_behind_a_link_is_found(path: Path, tmp_path: Path) -> None:
    path.with_name("run.h5.lock").write_text(f"{os.getpid()}\n")
    (tmp_path / "link.h5").symlink_to(path)
    assert writer_life(tmp_path / "link.h5").process == os.getpid()


@pytest.mark.parametrize(
    ("writer", "host", "status"),
    [
        (WriterLife(7, is_alive=True, is_fresh=False), HERE, "in progress"),
        (WriterLife(7, is_alive=False, is_fresh=True), HERE, "killed"),
        (WriterLife(7, is_alive=False, is_fresh=True), ELSEWHERE, "in progress"),
        (WriterLife(7, is_alive=True, is_fresh=False), ELSEWHERE, "unknown"),
        (WriterLife(7, is_alive=False, is_fresh=True), None, "in progress"),
        (WriterLife(7, is_alive=True, is_fresh=False), None, "unknown"),
        (WriterLife(None, is_alive=False, is_fresh=False), HERE, "unknown"),
    ],
)
def test_only_of_a_run_on_this_machine_it_is_known_whether_its_process_lives(
    writer: WriterLife, host: str | None, status: str
) -> None:
    assert status_of(writer, host) == status


def test_machines_without_a_name_are_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "node", lambda: "")
    assert status_of(WriterLife(7, is_alive=False, is_fresh=False), "") == "unknown"
