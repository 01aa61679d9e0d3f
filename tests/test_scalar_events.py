from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs import FakeClock
from tests.support.tensorboard_events import shown, times_shown
from trainsignal.errors import ConfigurationError
from trainsignal.scalar_events import FILES, ScalarWriter, import_tensorboard, keep_events_aside


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[ScalarWriter]:
    made = ScalarWriter(tmp_path / "run", FakeClock(1.5e9))
    yield made
    made.close()


def test_points_are_shown_once_they_are_flushed(writer: ScalarWriter, tmp_path: Path) -> None:
    writer.write(1, {"cost": 0.5})
    writer.write(3, {"cost": 0.25, "error": 4.0})
    writer.flush()
    assert shown(tmp_path / "run") == {"cost": [(1, 0.5), (3, 0.25)], "error": [(3, 4.0)]}


def test_no_points_are_no_event(writer: ScalarWriter, tmp_path: Path) -> None:
    writer.flush()
    (file,) = (tmp_path / "run").glob(FILES)
    size = file.stat().st_size
    writer.write(1, {})
    writer.flush()
    assert file.stat().st_size == size


def test_points_carry_the_time_of_the_clock(writer: ScalarWriter, tmp_path: Path) -> None:
    writer.write(1, {"cost": 0.5})
    writer.flush()
    assert times_shown(tmp_path / "run") == {"cost": [1.5e9]}


def test_points_carry_the_time_that_is_given_with_them(writer: ScalarWriter, tmp_path: Path) -> None:
    writer.write(1, {"cost": 0.5}, at=2.5)
    writer.write(2, {"cost": 0.25})
    writer.flush()
    assert times_shown(tmp_path / "run") == {"cost": [2.5, 1.5e9]}


def test_points_from_a_step_on_are_hidden(writer: ScalarWriter, tmp_path: Path) -> None:
    for step in range(4):
        writer.write(step, {"cost": float(step)})
    writer.hide_from(2)
    writer.write(2, {"cost": 20.0})
    writer.flush()
    assert shown(tmp_path / "run") == {"cost": [(0, 0.0), (1, 1.0), (2, 20.0)]}


def test_two_writers_on_one_folder_write_files_of_their_own(tmp_path: Path) -> None:
    for step in (1, 2):
        writer = ScalarWriter(tmp_path, FakeClock())
        writer.write(step, {"cost": 1.0})
        writer.close()
    assert len(list(tmp_path.glob(FILES))) == 2
    assert shown(tmp_path) == {"cost": [(1, 1.0), (2, 1.0)]}


def test_closing_writes_all_points_and_ends_the_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    writer = ScalarWriter(tmp_path, FakeClock())
    for step in range(100):
        writer.write(step, {"cost": 1.0})
    writer.close()
    assert len(shown(tmp_path)["cost"]) == 100
    assert threading.active_count() == before


# TensorBoard's thread raises what went wrong there too, after it has noted it for us.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_goes_wrong_in_the_thread_is_raised_by_the_next_call_and_not_again_by_closing(
    tmp_path: Path,
) -> None:
    before = threading.active_count()
    writer = ScalarWriter(tmp_path / "run", FakeClock())
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(FileNotFoundError):
        for _ in range(2):
            writer.write(1, {"cost": 1.0})
            writer.flush()
    writer.close()
    assert threading.active_count() == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_goes_wrong_with_the_last_points_is_raised_by_closing(tmp_path: Path) -> None:
    before = threading.active_count()
    writer = ScalarWriter(tmp_path / "run", FakeClock())
    shutil.rmtree(tmp_path / "run")
    writer.write(1, {"cost": 1.0})
    with pytest.raises(FileNotFoundError):
        writer.close()
    assert threading.active_count() == before


def test_events_of_earlier_runs_are_moved_into_numbered_folders(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for number, value in ((1, 1.0), (2, 2.0)):
        writer = ScalarWriter(tmp_path, FakeClock())
        writer.write(1, {"cost": value})
        writer.close()
        assert keep_events_aside(tmp_path) == tmp_path / f"earlier_{number}"
        assert shown(tmp_path / f"earlier_{number}") == {"cost": [(1, value)]}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["earlier_1", "earlier_2", "notes.txt"]


def test_folder_without_events_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert keep_events_aside(tmp_path) is None
    assert keep_events_aside(tmp_path / "absent") is None
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(ConfigurationError, match=r'needs tensorboard\. .*"trainsignal\[tensorboard\]"'):
        import_tensorboard()
