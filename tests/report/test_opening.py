"""Opening an archive, and what is said where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
import numpy.typing as npt
import pytest

from trainsignal.checkpoint import save_state
from trainsignal.errors import ArchiveError
from trainsignal.report import opening
from trainsignal.report.opening import opened
from trainsignal.report.text_heaps import longest_text

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


def refusal(path: Path) -> str:
    """Return the message with which a path is refused."""
    with pytest.raises(ArchiveError) as caught, opened(path):
        pass
    return str(caught.value)


def test_the_file_is_open_within_the_block_and_closed_after_it(path: Path) -> None:
    with opened(path) as archive:
        assert values_of(archive.file, "cost/train")[3] == 3
    assert not archive.file


def test_nothing_can_be_written(path: Path) -> None:
    with opened(path) as archive, pytest.raises((OSError, ValueError)):
        archive.file["x"] = 1


def test_a_file_that_is_replaced_while_it_is_looked_through_is_looked_through_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = path.with_name("other.h5")
    with _h5py.File(other, "w") as file:
        file["x"] = [1.0]
        file["x"].attrs["name"] = "a name of 24 characters."

    def replaced_meanwhile(stream: BinaryIO) -> int:
        found = longest_text(stream)
        if other.exists():
            other.replace(path)
        return found

    monkeypatch.setattr(opening, "longest_text", replaced_meanwhile)
    with opened(path) as archive:
        assert values_of(archive.file, "x").tolist() == [1]
    assert archive.longest_text_bytes == 24


def test_a_file_that_is_replaced_all_the_time_is_given_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced_meanwhile(_: BinaryIO) -> int:
        shutil.copy(path, path.with_name("copy.h5"))
        path.with_name("copy.h5").replace(path)
        return 0

    monkeypatch.setattr(opening, "longest_text", replaced_meanwhile)
    assert refusal(path) == f"{str(path)!r} is replaced faster than it can be read. Try again."


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    for name, target in (("loop.h5", "loop.h5"), ("broken.h5", "gone.h5")):
        (tmp_path / name).symlink_to(tmp_path / target)
        assert refusal(tmp_path / name).startswith(f"{str(tmp_path / name)!r} is a link that leads nowhere")


def test_the_root_folder_is_no_archive() -> None:
    assert "'/' is a folder" in refusal(Path("/"))


def test_a_file_that_a_writer_has_locked_is_read(held: Path) -> None:
    with opened(held) as archive:
        assert values_of(archive.file, "cost/train").tolist() == [1, 2]


def test_a_file_that_is_open_in_this_process_is_read(path: Path) -> None:
    with _h5py.File(path, "r"), opened(path) as archive:
        assert "cost/train" in archive.file


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
    assert refusal(Path("a\0b")).startswith("there is no file")


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
