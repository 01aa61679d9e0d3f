from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from trainsignal.errors import ArchiveError, ArchiveLockedError, ConfigurationError, RunStateError
from trainsignal.shared_data.archive import Archive, save_image


def publish_if_due(archive: Archive) -> bool:
    if not archive.is_due:
        return False
    archive.publish()
    return True


class Clock:
    """A clock that stands still unless moved, and that each look moves on by `step_s`."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.now_s = 1000.0
        self.step_s = step_s

    def __call__(self) -> float:
        self.now_s += self.step_s
        return self.now_s


class Image:
    """Bytes that change with every look: b"1", b"2", …"""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> bytes:
        self.looks += 1
        return str(self.looks).encode()


def claimed(path: Path, clock: Clock | None = None) -> Archive:
    archive = Archive(path, Image(), clock or Clock())
    archive.claim()
    return archive


def full_disk(descriptor: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_nothing_is_touched_before_the_claim(tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_text("old")
    (tmp_path / ".run.h5.99999999.tmp").write_text("stale")
    archive = Archive(tmp_path / "run.h5", Image())
    assert not publish_if_due(archive)
    archive.release()
    assert names(tmp_path) == [".run.h5.99999999.tmp", "run.h5"]


def test_claiming_locks_and_removes_what_a_killed_run_left(tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_text("old")
    (tmp_path / ".run.h5.99999999.tmp").write_text("stale")
    archive = claimed(tmp_path / "run.h5")
    archive.claim()
    assert names(tmp_path) == ["run.h5", "run.h5.lock"]
    assert (tmp_path / "run.h5").read_text() == "old"
    with pytest.raises(ArchiveLockedError):
        claimed(tmp_path / "run.h5")
    archive.release()
    archive.release()
    claimed(tmp_path / "run.h5").release()


def test_publishing_without_a_claim_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunStateError, match="Call claim"):
        Archive(tmp_path / "run.h5", Image()).publish()


def test_leftovers_that_cannot_be_removed_leave_the_path_unclaimed(tmp_path: Path) -> None:
    (tmp_path / ".run.h5.99999999.tmp").mkdir()
    with pytest.raises(ArchiveError, match="cannot claim"):
        claimed(tmp_path / "run.h5")
    assert names(tmp_path) == [".run.h5.99999999.tmp"]


def test_a_folder_that_does_not_exist_is_told_at_the_claim(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        claimed(tmp_path / "gone" / "run.h5")


def test_publishing_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    archive = claimed(tmp_path / "run.h5")
    assert archive.publish() is None
    assert archive.publish() is None
    assert (tmp_path / "run.h5").read_bytes() == b"2"
    archive.release()
    assert names(tmp_path) == ["run.h5"]


def test_the_file_of_an_earlier_run_is_kept_once_under_a_number(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run.h5").write_text("old")
    archive = claimed(tmp_path / "run.h5")
    with caplog.at_level(logging.INFO):
        assert archive.publish() == tmp_path / "run.1.h5"
    assert archive.publish() is None
    archive.release()
    assert (tmp_path / "run.1.h5").read_text() == "old"
    assert names(tmp_path) == ["run.1.h5", "run.h5"]
    assert "run.1.h5" in caplog.text
    archive.claim()
    assert archive.publish() == tmp_path / "run.2.h5"
    archive.release()


def test_a_full_disk_leaves_the_file_of_an_earlier_run_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.h5").write_text("old")
    archive = claimed(tmp_path / "run.h5")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda path, data: full_disk(0))
        for _ in range(2):
            with pytest.raises(ArchiveError):
                archive.publish()
    assert names(tmp_path) == ["run.h5", "run.h5.lock"]
    assert archive.publish() == tmp_path / "run.1.h5"
    archive.release()


def test_a_full_disk_keeps_what_was_published_and_says_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = claimed(tmp_path / "run.h5")
    archive.publish()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(ArchiveError, match="cannot publish the archive: No space left") as caught:
            archive.publish()
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(tmp_path / "run.h5")
    assert isinstance(caught.value.__cause__, OSError)
    assert (tmp_path / "run.h5").read_bytes() == b"1"
    assert names(tmp_path) == ["run.h5", "run.h5.lock"]
    archive.publish()
    assert (tmp_path / "run.h5").read_bytes() == b"3"
    archive.release()


@pytest.mark.parametrize(("publishing_s", "pause_s"), [(0.0, 1.0), (0.01, 1.0), (0.5, 25.0)])
def test_publishing_is_due_again_after_a_second_and_fifty_times_its_duration(
    tmp_path: Path, publishing_s: float, pause_s: float
) -> None:
    clock = Clock()
    archive = claimed(tmp_path / "run.h5", clock)
    assert publish_if_due(archive)
    clock.step_s = publishing_s  # from the look before writing to the look after it
    archive.publish()
    clock.step_s = 0.0
    ended_s = clock.now_s
    clock.now_s = ended_s + pause_s - 0.001
    assert not publish_if_due(archive)
    clock.now_s = ended_s + pause_s + 0.001
    assert publish_if_due(archive)
    assert not publish_if_due(archive)
    archive.release()


def test_an_attempt_that_failed_waits_as_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    archive = claimed(tmp_path / "run.h5", clock)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(ArchiveError):
            publish_if_due(archive)
        assert not publish_if_due(archive)
        clock.now_s += 1.5
        with pytest.raises(ArchiveError):
            publish_if_due(archive)
    clock.now_s += 1.5
    assert publish_if_due(archive)
    archive.release()


def test_a_claim_makes_publishing_due_at_once(tmp_path: Path) -> None:
    archive = claimed(tmp_path / "run.h5")
    assert publish_if_due(archive)
    archive.release()
    archive.claim()
    assert publish_if_due(archive)
    archive.release()


def test_another_process_than_its_maker_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive, unclaimed = claimed(tmp_path / "run.h5"), Archive(tmp_path / "other.h5", Image())
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 0)
        unclaimed.claim()
        assert archive.publish() is None
        assert not publish_if_due(archive)
        archive.release()
    assert names(tmp_path) == ["run.h5.lock"]
    assert archive.is_claimed
    archive.release()


def test_home_variables_and_links_are_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("RUN", "seven")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Archive("~/link/$RUN.h5", Image()).path == tmp_path.resolve() / "real" / "seven.h5"
    save_image(Image(), Path("~/link/$RUN.h5"))
    assert names(tmp_path / "real") == ["seven.h5"]


def test_a_link_to_the_archive_stays_a_link_and_shares_its_lock(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "run.h5").symlink_to(tmp_path / "runs" / "run.h5")
    archive = claimed(tmp_path / "run.h5")
    archive.publish()
    with pytest.raises(ArchiveLockedError):
        claimed(tmp_path / "runs" / "run.h5")
    archive.release()
    assert (tmp_path / "run.h5").is_symlink()
    assert names(tmp_path / "runs") == ["run.h5"]


def test_a_link_that_is_made_before_the_claim_is_followed_too(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "run.h5", Image(), Clock())
    (tmp_path / "run.h5").symlink_to(tmp_path / "elsewhere.h5")
    archive.claim()
    archive.publish()
    archive.release()
    assert (tmp_path / "run.h5").is_symlink()
    assert (tmp_path / "elsewhere.h5").read_bytes() == b"1"


def test_a_copy_is_saved_anywhere_and_replaces_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copy.h5").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(ArchiveError, match="cannot save"):
            save_image(Image(), tmp_path / "copy.h5")
    assert (tmp_path / "copy.h5").read_text() == "old"
    save_image(Image(), tmp_path / "copy.h5")
    assert (tmp_path / "copy.h5").read_bytes() == b"1"
    assert names(tmp_path) == ["copy.h5"]
    with pytest.raises(ConfigurationError, match="does not exist"):
        save_image(Image(), tmp_path / "gone" / "copy.h5")
