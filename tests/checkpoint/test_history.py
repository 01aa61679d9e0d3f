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


def test_resumed_run_counts_the_earlier_epochs_as_its_own(tmp_path: Path) -> None:
    for name in ["m_8", "m_9", "m_10", "m_x", "m_7.1", "n_7", "m_12"]:
        save_state(name, tmp_path / f"{name}.h5")
    (tmp_path / "m.h5").symlink_to("m_10.h5")

    CheckpointHistory(tmp_path / "m.h5", 2, resumed=True).save("m_11", 11)

    assert names(tmp_path) == ["m.h5", "m_10.h5", "m_11.h5", "m_12.h5", "m_7.1.h5", "m_x.h5", "n_7.h5"]


def test_resumed_run_replaces_its_single_file(tmp_path: Path) -> None:
    save_state("earlier", tmp_path / "m.h5")

    CheckpointHistory(tmp_path / "m.h5", resumed=True).save("later", 1)

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
