from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trainsignal.checkpoint import CheckpointHistory, load_state, save_state
from trainsignal.errors import CheckpointError, ConfigurationError

NO_PROCESS = 2**31 - 1
"""Above the largest process id of any system."""


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("history", [0, 1, np.int64(1)])
def test_history_of_one_or_none_keeps_one_file(history: int, tmp_path: Path) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.h5", history)

    written = [checkpoints.save({"epoch": epoch}, epoch) for epoch in range(3)]

    assert written == [tmp_path / "m.h5"] * 3
    assert names(tmp_path) == ["m.h5"]
    assert load_state(tmp_path / "m.h5") == {"epoch": 2}


# neon's own files, each epoch, from its run with history=2: one more than its documentation says.
# Ours are those without the oldest.
@pytest.mark.parametrize(
    ("history", "expected"),
    [
        (2, [["m_0"], ["m_0", "m_1"], ["m_1", "m_2"], ["m_2", "m_3"]]),
        (3, [["m_0"], ["m_0", "m_1"], ["m_0", "m_1", "m_2"], ["m_1", "m_2", "m_3"]]),
    ],
)
def test_newest_checkpoints_are_kept_and_linked(
    history: int, expected: list[list[str]], tmp_path: Path
) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.prm", history)
    for epoch, kept in enumerate(expected):
        written = checkpoints.save({"epoch": epoch}, epoch)

        assert written == tmp_path / f"m_{epoch}.prm"
        assert names(tmp_path) == ["m.prm", *(f"{name}.prm" for name in kept)]
        assert (tmp_path / "m.prm").readlink() == Path(f"m_{epoch}.prm")
        assert load_state(tmp_path / "m.prm", trust_pickle=True) == {"epoch": epoch}


def test_saving_an_epoch_again_replaces_it_and_makes_it_the_newest(tmp_path: Path) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.h5", 2)
    for epoch, value in [(0, "a"), (1, "b"), (0, "c"), (2, "d")]:
        checkpoints.save(value, epoch)

    assert names(tmp_path) == ["m.h5", "m_0.h5", "m_2.h5"]
    assert load_state(tmp_path / "m_0.h5") == "c"


@pytest.mark.parametrize("history", [1, 2])
def test_file_of_an_earlier_run_is_kept_under_a_number(history: int, tmp_path: Path) -> None:
    save_state("earlier", tmp_path / "m.h5")
    checkpoints = CheckpointHistory(tmp_path / "m.h5", history)
    for epoch in range(2):
        checkpoints.save("later", epoch)

    assert load_state(tmp_path / "m.1.h5") == "earlier"
    assert load_state(tmp_path / "m.h5") == "later"
    assert not (tmp_path / "m.2.h5").exists()


def test_numbered_files_of_an_earlier_run_are_neither_replaced_nor_removed(tmp_path: Path) -> None:
    earlier = CheckpointHistory(tmp_path / "m.h5", 2)
    for epoch in range(3):
        earlier.save("earlier", epoch)
    later = CheckpointHistory(tmp_path / "m.h5", 2)
    for epoch in range(1, 4):
        later.save("later", epoch)

    assert names(tmp_path) == ["m.h5", "m_1.1.h5", "m_2.1.h5", "m_2.h5", "m_3.h5"]
    assert {load_state(tmp_path / f"m_{epoch}.1.h5") for epoch in (1, 2)} == {"earlier"}


def test_moment_within_an_epoch_has_its_minibatches_in_its_name(tmp_path: Path) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.h5", 3)

    written = [checkpoints.save(0, *moment).name for moment in [(0, 5), (0, 10), (0,), (1, 5)]]

    assert written == ["m_0_5.h5", "m_0_10.h5", "m_0.h5", "m_1_5.h5"]
    assert names(tmp_path) == ["m.h5", "m_0.h5", "m_0_10.h5", "m_1_5.h5"]


def test_single_file_is_the_same_within_an_epoch(tmp_path: Path) -> None:
    assert CheckpointHistory(tmp_path / "m.h5").save(0, 3, 7) == tmp_path / "m.h5"


def resumed(path: Path, history: int, *earlier: int) -> CheckpointHistory:
    """Return the history of a run that goes on from the last of these epochs."""
    before = CheckpointHistory(path, history)
    written = before.written
    for epoch in earlier:
        written = before.written
        before.save(f"m_{epoch}", epoch)
    now = CheckpointHistory(path, history)
    now.adopt(written, path)
    return now


def test_resumed_run_goes_on_with_the_files_of_before(tmp_path: Path) -> None:
    for stem in ("m_x", "m_7.1", "n_7", "m_99"):
        save_state("foreign", tmp_path / f"{stem}.h5")

    resumed(tmp_path / "m.h5", 2, 8, 9, 10).save("m_11", 11)

    assert names(tmp_path) == ["m.h5", "m_10.h5", "m_11.h5", "m_7.1.h5", "m_99.h5", "m_x.h5", "n_7.h5"]
    assert load_state(tmp_path / "m.h5") == "m_11"


def test_files_of_another_run_are_not_taken_over(tmp_path: Path) -> None:
    first = CheckpointHistory(tmp_path / "m.h5", 3)
    for epoch in (7, 8, 9):
        first.save("first", epoch)

    second = resumed(tmp_path / "m.h5", 3, 0, 1)
    for epoch in (2, 3, 7):
        second.save("second", epoch)

    assert names(tmp_path) == ["m.h5", "m_2.h5", "m_3.h5", "m_7.1.h5", "m_7.h5", "m_8.h5", "m_9.h5"]
    assert load_state(tmp_path / "m_7.1.h5") == "first"


def test_file_from_after_the_checkpoint_is_kept_aside(tmp_path: Path) -> None:
    checkpoints = resumed(tmp_path / "m.h5", 3, 1, 2)
    save_state("of the process that was killed", tmp_path / "m_3.h5")

    checkpoints.save("again", 3)

    assert names(tmp_path) == ["m.h5", "m_1.h5", "m_2.h5", "m_3.1.h5", "m_3.h5"]


def test_files_of_another_path_are_not_taken_over(tmp_path: Path) -> None:
    old = CheckpointHistory(tmp_path / "old.h5")
    old.save("old", 1)
    save_state("foreign", tmp_path / "new.h5")
    new = CheckpointHistory(tmp_path / "new.h5")
    new.adopt(old.written, old.path)
    assert not new.has_any

    new.save("new", 2)

    assert names(tmp_path) == ["new.1.h5", "new.h5", "old.h5"]


def test_run_may_go_on_from_an_older_file_of_the_history(tmp_path: Path) -> None:
    before = CheckpointHistory(tmp_path / "m.h5", 2)
    before.save("m_1", 1)
    written = before.written
    before.save("m_2", 2)
    now = CheckpointHistory(tmp_path / "m.h5", 2)
    now.adopt([], tmp_path / "m_1.h5")
    assert written == ["m_1.h5"]

    now.save("again", 2)

    assert names(tmp_path) == ["m.h5", "m_1.h5", "m_2.1.h5", "m_2.h5"]


def test_file_that_is_gone_is_not_missed(tmp_path: Path) -> None:
    checkpoints = resumed(tmp_path / "m.h5", 2, 1, 2)
    (tmp_path / "m_1.h5").unlink()
    checkpoints.save("m_3", 3)
    assert names(tmp_path) == ["m.h5", "m_2.h5", "m_3.h5"]


@pytest.mark.parametrize("history", [1, 2])
def test_history_knows_whether_there_is_any_checkpoint(history: int, tmp_path: Path) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.h5", history)
    assert not checkpoints.has_any
    checkpoints.save(0, 0)
    assert checkpoints.has_any
    later = CheckpointHistory(tmp_path / "m.h5", history)
    assert not later.has_any
    later.adopt(checkpoints.written, later.path)
    assert later.has_any


def test_resumed_run_replaces_its_single_file(tmp_path: Path) -> None:
    resumed(tmp_path / "m.h5", 1, 0).save("later", 1)

    assert names(tmp_path) == ["m.h5"]


def test_link_of_an_earlier_history_gives_way_to_a_single_file(tmp_path: Path) -> None:
    CheckpointHistory(tmp_path / "m.h5", 2).save("earlier", 0)
    CheckpointHistory(tmp_path / "m.h5", 1).save("later", 0)

    assert names(tmp_path) == ["m.h5", "m_0.h5"]
    assert load_state(tmp_path / "m_0.h5") == "earlier"
    assert load_state(tmp_path / "m.h5") == "later"


def test_newest_is_copied_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError("this file system has no links")

    monkeypatch.setattr(os, "symlink", no_links)
    checkpoints = CheckpointHistory(tmp_path / "m.h5", 2)
    for epoch in range(3):
        checkpoints.save(epoch, epoch)

    assert names(tmp_path) == ["m.h5", "m_1.h5", "m_2.h5"]
    assert not (tmp_path / "m.h5").is_symlink()
    assert load_state(tmp_path / "m.h5") == 2


def test_checkpoint_that_the_user_removed_is_not_missed(tmp_path: Path) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.h5", 2)
    for epoch in range(2):
        checkpoints.save(epoch, epoch)
    (tmp_path / "m_0.h5").unlink()

    checkpoints.save(2, 2)

    assert names(tmp_path) == ["m.h5", "m_1.h5", "m_2.h5"]


def test_failed_save_leaves_link_and_files_as_they_were(tmp_path: Path) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.h5", 2)
    for epoch in range(2):
        checkpoints.save(epoch, epoch)

    with pytest.raises(CheckpointError, match=r"^model: a value of type"):
        checkpoints.save({"model": object()}, 2)

    assert names(tmp_path) == ["m.h5", "m_0.h5", "m_1.h5"]
    assert load_state(tmp_path / "m.h5") == 1


def test_old_checkpoint_that_cannot_be_removed_is_an_error(tmp_path: Path) -> None:
    checkpoints = CheckpointHistory(tmp_path / "m.h5", 2)
    for epoch in range(2):
        checkpoints.save(epoch, epoch)
    (tmp_path / "m_0.h5").unlink()
    (tmp_path / "m_0.h5").mkdir()

    with pytest.raises(CheckpointError, match=r"cannot keep the checkpoints .* in order"):
        checkpoints.save(2, 2)

    assert load_state(tmp_path / "m.h5") == 2


@pytest.mark.parametrize("history", [-1, True, 1.5, "2", None])
def test_history_that_is_no_number_of_files_is_refused(history: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Give an int of at least 1"):
        CheckpointHistory(tmp_path / "m.h5", history)  # type: ignore[arg-type]  # what the user got wrong


def in_a_folder_that_is_a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "m.h5"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (lambda folder: folder / "m.txt", "the suffix '.txt'"),
        (lambda folder: folder / "m", "no suffix"),
        (in_a_folder_that_is_a_file, "is not a folder"),
        (lambda folder: folder / "missing" / "m.h5", "mkdir -p"),
    ],
    ids=["suffix", "no-suffix", "no-folder", "missing-folder"],
)
def test_path_that_cannot_be_written_is_refused_at_once(
    path: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        CheckpointHistory(path(tmp_path))


@pytest.mark.parametrize("history", [1, 2])
def test_what_a_killed_run_left_half_written_is_removed_at_the_first_save(
    history: int, tmp_path: Path
) -> None:
    for name in (".m.h5", ".m_0.h5", ".m_12.h5"):
        (tmp_path / f"{name}.{NO_PROCESS}.tmp").touch()

    CheckpointHistory(tmp_path / "m.h5", history).save(0, 7)

    assert names(tmp_path) == (["m.h5"] if history == 1 else ["m.h5", "m_7.h5"])


def test_what_another_run_is_writing_stays(tmp_path: Path) -> None:
    in_flight = f".m.h5.{os.getppid()}.tmp"
    (tmp_path / in_flight).touch()

    CheckpointHistory(tmp_path / "m.h5").save(0, 0)

    assert names(tmp_path) == [in_flight, "m.h5"]


def test_relative_path_stays_where_it_was_when_the_process_goes_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    checkpoints = CheckpointHistory("m.h5")

    monkeypatch.chdir(tmp_path / "elsewhere")
    checkpoints.save(0, 0)

    assert (tmp_path / "m.h5").exists()
    assert names(tmp_path / "elsewhere") == []
