"""Replacing files so that a kill leaves the old one or the new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.files import check_target, keep_aside, remove_stale, replacing


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


def test_only_temporaries_of_the_path_are_stale(tmp_path: Path) -> None:
    for name in (".run[1].h5.17.tmp", ".run[1].h5.18.tmp", ".run1.h5.17.tmp", "run[1].h5"):
        (tmp_path / name).touch()

    remove_stale(tmp_path / "run[1].h5")

    assert names(tmp_path) == [".run1.h5.17.tmp", "run[1].h5"]


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
