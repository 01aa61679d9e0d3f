"""Opening an archive, and what is said where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from trainsignal.checkpoint import save_state
from trainsignal.errors import ArchiveError, ConfigurationError
from trainsignal.report.opening import opened

_h5py: Any = h5py  # h5py-stubs do not know all of it

WRITER = """
import sys, h5py
with h5py.File(sys.argv[1], "w", locking=True) as file:
    file["cost/train"] = [1.0, 2.0]
    file.flush()
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a small HDF5 file."""
    path = tmp_path / "run.h5"
    with _h5py.File(path, "w") as file:
        file["cost/train"] = np.arange(1000.0)
    return path


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """Return the path of a file that another process has open for writing, locked."""
    path = tmp_path / "held.h5"
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"written"
        yield path
        process.stdin.close()


def values_of(file: Any, path: str) -> npt.NDArray[Any]:
    """Return what a dataset holds."""
    return np.asarray(file[path])


def refusal(path: str | Path) -> str:
    """Return the message with which a path is refused."""
    with pytest.raises(ArchiveError) as caught, opened(path):
        pass
    return str(caught.value)


def test_the_file_is_open_within_the_block_and_closed_after_it(path: Path) -> None:
    with opened(path) as file:
        assert values_of(file, "cost/train")[3] == 3
    assert not file


def test_nothing_can_be_written(path: Path) -> None:
    with opened(str(path)) as file, pytest.raises((OSError, ValueError)):
        file["x"] = 1


def test_a_path_is_as_users_write_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS", str(path.parent))
    monkeypatch.setenv("HOME", str(path.parent))
    for given in ("$RUNS/run.h5", "~/run.h5"):
        with opened(given) as file:
            assert "cost/train" in file


def test_a_file_that_a_writer_has_locked_is_read(held: Path) -> None:
    with opened(held) as file:
        assert values_of(file, "cost/train").tolist() == [1, 2]


def test_a_file_that_is_open_in_this_process_is_read(path: Path) -> None:
    with _h5py.File(path, "r"), opened(path) as file:
        assert "cost/train" in file


def test_a_near_name_is_offered(path: Path) -> None:
    message = refusal(path.with_name("rum.h5"))

    assert message == f"there is no file {str(path.with_name('rum.h5'))!r}. Did you mean 'run.h5'?"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    message = refusal(tmp_path / "no" / "run.h5")

    assert message.endswith(f"There is no folder {str(tmp_path / 'no')!r} either.")


def test_a_folder_is_no_archive(tmp_path: Path) -> None:
    assert "is a folder, not an archive" in refusal(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    assert "a device or a pipe" in refusal(tmp_path / "pipe")


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / ("x" * 300)).startswith("cannot read the archive")
    assert refusal("a\0b").startswith("there is no file")


def test_what_is_no_path_is_refused() -> None:
    given: Any = 3
    with pytest.raises(ConfigurationError, match="3 is no path"), opened(given):
        pass


def test_a_file_that_nobody_may_read_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)

    assert f"cannot read the archive {str(path)!r}: Permission denied." in refusal(path)


def test_an_empty_file_is_refused(path: Path) -> None:
    path.write_bytes(b"")

    assert "is empty" in refusal(path)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".prm", ".safetensors"])
def test_checkpoints_of_every_format_are_told_from_archives(suffix: str, tmp_path: Path) -> None:
    message = refusal(save_state({"W": np.zeros(3), "cost": 2.0}, tmp_path / f"model{suffix}"))

    assert "checkpoint" in message
    assert "not the archive of a run. Give the file that `output_file` named" in message


def test_what_is_no_hdf5_file_is_told_by_how_it_begins(path: Path) -> None:
    path.write_text("epoch,cost\n")

    assert "is no HDF5 file, as archives are: it begins with b'epoch,co'" in refusal(path)


def test_a_file_of_which_a_part_is_missing_is_told(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])

    message = refusal(path)

    assert "a part of it is missing" in message
    assert "Copy it again" in message


def test_a_file_that_is_only_a_signature_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:8])

    assert refusal(path).startswith(f"cannot read the archive {str(path)!r}: ")


def test_a_file_with_a_damaged_root_is_refused(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for place in (content.find(b"TREE"), content.find(b"HEAP")):
        content[place : place + 4] = b"XXXX"
    path.write_bytes(content)

    assert f"{str(path)!r}" in refusal(path)
