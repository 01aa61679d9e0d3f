from __future__ import annotations

import errno
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trainsignal.errors import ArchiveError, ArchiveLockedError
from trainsignal.shared_data import lock as lock_module
from trainsignal.shared_data.lock import ArchiveLock

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def exit_status_of_child(run: Callable[[], None]) -> int:
    """Fork, `run` in the child, and return 0 if it came to its end."""
    child = os.fork()
    if child == 0:
        try:
            run()
        except BaseException:  # noqa: BLE001 - told by the status
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_the_lock_file_holds_the_process_and_is_gone_after_release(tmp_path: Path) -> None:
    lock = ArchiveLock(tmp_path / "run.h5")
    assert (tmp_path / "run.h5.lock").read_text() == f"{os.getpid()}\n"
    lock.release()
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_release_closes_the_lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    monkeypatch.setattr(lock_module, "_lock", opened.append)
    lock = ArchiveLock(tmp_path / "run.h5")
    os.fstat(opened[0])
    lock.release()
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(opened[0])


def test_a_second_run_in_the_same_process_is_refused(tmp_path: Path) -> None:
    first = ArchiveLock(tmp_path / "run.h5")
    with pytest.raises(ArchiveLockedError) as caught:
        ArchiveLock(tmp_path / "run.h5")
    message = str(caught.value)
    assert str(tmp_path / "run.h5") in message
    assert f"another run in this process ({os.getpid()})" in message
    assert "another output_file" in message
    first.release()
    ArchiveLock(tmp_path / "run.h5").release()


def test_another_process_that_holds_it_is_named_and_its_kill_frees_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from trainsignal.shared_data.lock import ArchiveLock\n"
        "lock = ArchiveLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run.h5")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(ArchiveLockedError, match=f"by process {holder.pid}, which holds"):
            ArchiveLock(tmp_path / "run.h5")
        holder.kill()
    assert (tmp_path / "run.h5.lock").exists()  # nobody was left to remove it
    ArchiveLock(tmp_path / "run.h5").release()


def test_a_run_that_was_forgotten_does_not_hold_the_path_for_ever(tmp_path: Path) -> None:
    lock = ArchiveLock(tmp_path / "run.h5")
    del lock
    gc.collect()
    ArchiveLock(tmp_path / "run.h5").release()


def test_a_lock_file_removed_by_its_holder_while_we_waited_is_not_mistaken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_file = tmp_path / "run.h5.lock"
    take = lock_module._lock
    removed: list[bool] = []

    def take_just_after_release(descriptor: int) -> None:
        if not removed:  # the holder unlinks, and a third run makes a new file, between open and lock
            removed.append(True)
            lock_file.unlink()
        take(descriptor)

    monkeypatch.setattr(lock_module, "_lock", take_just_after_release)
    lock = ArchiveLock(tmp_path / "run.h5")
    monkeypatch.undo()
    with pytest.raises(ArchiveLockedError):
        ArchiveLock(tmp_path / "run.h5")
    lock.release()


def test_a_folder_that_is_gone_is_told_as_an_archive_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot lock") as caught:
        ArchiveLock(tmp_path / "gone" / "run.h5")
    assert caught.value.errno == errno.ENOENT


def test_a_file_system_without_locks_is_told_and_nothing_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []

    def refuse(descriptor: int) -> None:
        opened.append(descriptor)
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module, "_lock", refuse)
    with pytest.raises(ArchiveError, match="No locks available") as caught:
        ArchiveLock(tmp_path / "run.h5")
    assert not isinstance(caught.value, ArchiveLockedError)
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(opened[0])


def test_release_after_the_folder_was_removed_is_quiet(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    lock = ArchiveLock(tmp_path / "runs" / "run.h5")
    lock.path.unlink()
    (tmp_path / "runs").rmdir()
    lock.release()


@needs_fork
def test_a_forked_child_neither_releases_the_lock_nor_removes_its_file(tmp_path: Path) -> None:
    lock = ArchiveLock(tmp_path / "run.h5")
    assert exit_status_of_child(lock.release) == 0
    assert lock.path.exists()
    with pytest.raises(ArchiveLockedError):
        ArchiveLock(tmp_path / "run.h5")
    lock.release()


@needs_fork
def test_a_worker_that_outlives_its_trainer_does_not_hold_the_lock(tmp_path: Path) -> None:
    ready_read, ready_write = os.pipe()
    alive_read, alive_write = os.pipe()
    trainer = os.fork()
    if trainer == 0:
        lock = ArchiveLock(tmp_path / "run.h5")
        os.close(alive_write)
        if os.fork() == 0:
            os.write(ready_write, b"w")
            os.read(alive_read, 1)  # until the test closes its end
            os._exit(0)
        os.read(alive_read, 1)
        lock.release()
        os._exit(0)
    os.close(alive_read)
    assert os.read(ready_read, 1) == b"w"
    with pytest.raises(ArchiveLockedError, match=f"process {trainer}"):
        ArchiveLock(tmp_path / "run.h5")
    os.kill(trainer, signal.SIGKILL)
    os.waitpid(trainer, 0)
    ArchiveLock(tmp_path / "run.h5").release()
    for descriptor in (alive_write, ready_read, ready_write):
        os.close(descriptor)
