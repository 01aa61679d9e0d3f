"""Replacing files so that a kill leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.files import check_target, expand, keep_aside, remove_stale, replacing


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_new_content_replaces_the_old_on_leaving_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("old")

    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"

    assert path.read_text() == "new"
    assert names(tmp_path) == ["run.h5"]


def test_error_in_the_body_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("old")

    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError

    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.h5"]


def test_file_is_synced_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.h5"
    present_at_sync: list[bool] = []
    sync = os.fsync

    def noting(descriptor: int) -> None:
        present_at_sync.append(path.exists())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    with replacing(path) as temporary:
        temporary.write_text("new")

    assert present_at_sync == [False, True]  # the file, then its folder


def test_folder_that_cannot_be_synced_does_not_hurt_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    sync = os.fsync

    def refusing_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", refusing_folders)
    with replacing(path) as temporary:
        temporary.write_text("new")

    assert path.read_text() == "new"
    assert names(tmp_path) == ["run.h5"]


def test_folder_that_cannot_be_opened_does_not_hurt_the_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_any = os.open

    def as_windows_does(path: Path, flags: int) -> int:
        if path.is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_any(path, flags)

    monkeypatch.setattr(os, "open", as_windows_does)
    with replacing(tmp_path / "run.h5") as temporary:
        temporary.write_bytes(b"new")

    assert names(tmp_path) == ["run.h5"]


def test_file_that_cannot_be_synced_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.h5"
    path.write_text("old")

    def full_disk(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"), replacing(path) as temporary:
        temporary.write_text("new")

    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.h5"]


def test_file_is_synced_by_a_descriptor_that_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows refuses to sync any other."""
    fcntl = pytest.importorskip("fcntl")
    modes: list[int] = []

    def noting(descriptor: int) -> None:
        modes.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr(os, "fsync", noting)
    with replacing(tmp_path / "run.h5") as temporary:
        temporary.write_text("new")

    assert modes == [os.O_RDWR, os.O_RDONLY]  # the file, then its folder


ALIVE, DEAD, ANOTHER_USERS = 17, 18, 19


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which process 17 runs, 18 is gone, and 19 belongs to another user."""

    def kill(process: int, signal: int) -> None:
        assert signal == 0
        if process == DEAD:
            raise ProcessLookupError
        if process == ANOTHER_USERS:
            raise PermissionError
        if process > 2**31:
            raise OverflowError

    monkeypatch.setattr(os, "kill", kill)


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize(
    ("process", "is_removed"),
    [(DEAD, True), (ALIVE, False), (ANOTHER_USERS, False), (os.getpid(), True), (10**30, True)],
    ids=["dead", "alive", "another_users", "this_one", "no_id"],
)
def test_temporary_is_stale_once_no_other_process_can_be_writing_it(
    process: int, is_removed: bool, tmp_path: Path
) -> None:
    (tmp_path / f".run.h5.{process}.tmp").touch()

    remove_stale(tmp_path / "run.h5")

    assert (names(tmp_path) == []) is is_removed


@pytest.mark.usefixtures("processes")
def test_only_temporaries_of_the_path_are_stale(tmp_path: Path) -> None:
    others = [".run1.h5.18.tmp", ".run[1].h5.x.tmp", ".run[1]_2.h5.18.tmp", "run[1].h5"]
    for name in (".run[1].h5.18.tmp", *others):
        (tmp_path / name).touch()

    remove_stale(tmp_path / "run[1].h5")

    assert names(tmp_path) == sorted(others)


@pytest.mark.usefixtures("processes")
def test_temporaries_of_numbered_files_are_stale_on_request(tmp_path: Path) -> None:
    others = [".run_best.h5.18.tmp", ".run_2.h5.17.tmp", "run_2.h5"]
    for name in (".run_2.h5.18.tmp", ".run_10.h5.18.tmp", ".run.h5.18.tmp", *others):
        (tmp_path / name).touch()

    remove_stale(tmp_path / "run.h5", numbered=True)

    assert names(tmp_path) == sorted(others)


def test_home_and_variables_are_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("USERPROFILE", "/home/me")
    monkeypatch.setenv("RUN", "first")

    assert expand("~/$RUN/m.h5") == Path("/home/me/first/m.h5")
    assert expand(Path("m.h5")) == Path("m.h5")


@pytest.mark.parametrize("path", [None, 3, b"m.h5", ["m.h5"]], ids=repr)
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        expand(path)
    assert str(caught.value) == f"{path!r} is no path: give text, or a pathlib.Path"


def test_a_home_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="there is no user of that name"):
        expand("~nobody-of-that-name/m.h5")


def test_existing_file_gets_the_first_free_number_and_keeps_its_name(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("old")
    (tmp_path / "run.1.h5").write_text("older")

    aside = keep_aside(path)

    assert aside == tmp_path / "run.2.h5"
    assert aside.read_text() == path.read_text() == "old"
    assert (tmp_path / "run.1.h5").read_text() == "older"


def test_nothing_to_keep_aside(tmp_path: Path) -> None:
    assert keep_aside(tmp_path / "run.h5") is None
    assert names(tmp_path) == []


def test_file_is_renamed_where_the_file_system_has_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.h5"
    path.write_text("old")
    (tmp_path / "run.1.h5").write_text("older")

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)

    assert keep_aside(path) == tmp_path / "run.2.h5"
    assert (tmp_path / "run.2.h5").read_text() == "old"
    assert (tmp_path / "run.1.h5").read_text() == "older"


def test_missing_folder_is_refused_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"the archive .*does not exist.*mkdir -p"):
        check_target(tmp_path / "missing" / "run.h5", "the archive")


def test_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigurationError, match="is not a folder"):
        check_target(tmp_path / "file" / "run.h5", "the archive")


def test_target_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Name a file inside it"):
        check_target(tmp_path, "the archive")


def test_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere

    with pytest.raises(ConfigurationError, match="no permission"):
        check_target(tmp_path / "run.h5", "the archive")
