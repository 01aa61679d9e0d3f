"""Heaps of texts that HDF5 would walk for ever."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import pytest

from trainsignal.errors import ArchiveError
from trainsignal.report import text_heaps
from trainsignal.report.reading import read_run
from trainsignal.report.text_heaps import longest_text

_h5py: Any = h5py  # h5py-stubs do not know all of it


def heap(*entries: tuple[int, int], size: int = 256) -> bytes:
    """Return a heap with entries of (index, size); index 0: what is free, its own header included."""
    content = b"GCOL\x01\0\0\0" + size.to_bytes(8, "little")
    for index, length in entries:
        content += index.to_bytes(2, "little") + b"\x01\0\0\0\0\0" + length.to_bytes(8, "little")
        content += b"\x07" * (length - 16 if index == 0 else -(-length // 8) * 8)
    return content[:size].ljust(size, b"\x07")


WHOLE = heap((1, 9), (2, 0), (3, 16), (0, 160))
DAMAGED = heap((1, 9), (0, 0))
FAR = WHOLE[:24] + (2**60).to_bytes(8, "little") + WHOLE[32:]


def check(content: bytes) -> int:
    return longest_text(io.BytesIO(content))


@pytest.mark.parametrize(
    ("content", "longest"),
    [
        (b"", 0),
        (WHOLE, 16),
        (bytes(64) + WHOLE + heap((1, 40), (0, 184)), 40),
        (bytes(3) + DAMAGED, 0),
        (FAR, 2**60),
        (DAMAGED[:24], 0),
        (b"GCOL" + bytes(60), 0),
    ],
    ids=["nothing", "whole", "two", "not_aligned", "beyond_the_end", "cut", "another_version"],
)
def test_of_heaps_that_can_be_walked_to_their_end_the_longest_text_is_told(
    content: bytes, longest: int
) -> None:
    assert check(content) == longest


def test_very_many_texts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_heaps, "MOST_TEXTS", 4)
    assert check(WHOLE) == 16
    with pytest.raises(ValueError, match="there are more than 4 texts in it"):
        check(WHOLE + WHOLE)


@pytest.mark.parametrize("block_bytes", [48, 56, 2**20])
@pytest.mark.parametrize("place", [0, 8, 40, 48, 4096])
def test_an_entry_without_a_length_is_refused_wherever_its_heap_begins(
    place: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_heaps, "_BLOCK_BYTES", block_bytes)
    first = heap((0, 0), size=64)

    with pytest.raises(ValueError, match="the texts in it are damaged"):
        check(bytes(place) + first)


def test_an_archive_that_hdf5_would_read_for_ever_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with _h5py.File(path, "w") as file:
        file["cost/train"] = [1.0]
        file["cost/train"].attrs["time_markers"] = "minibatch"
    content = bytearray(path.read_bytes())
    entry = content.find(b"GCOL") + 16
    content[entry : entry + 16] = bytes(16)
    path.write_bytes(content)

    with pytest.raises(ArchiveError, match="the texts in it are damaged"):
        read_run(path)


def test_the_texts_of_a_sound_archive_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with _h5py.File(path, "w") as file:
        file["x"] = [1.0]
        for index in range(300):
            file["x"].attrs["units"] = "u" * index
            file["x"].attrs["names"] = ["n" * (index % 7)] * (index % 50 + 1)
    assert read_run(path).series[0].unit == "u" * 299
