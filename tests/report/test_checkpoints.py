"""The checkpoints that a run saved."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.archives import archive, put
from trainsignal import keys
from trainsignal.report.checkpoints import read_checkpoints
from trainsignal.report.contents import Contents
from trainsignal.report.records import SavedCheckpoint

_h5py: Any = h5py  # h5py-stubs do not know all of it

ROW = np.dtype([("path", _h5py.string_dtype()), ("epoch", "i8"), ("minibatch", "i8"), ("saved_at", "f8")])


def read(rows: Any, **bounds: int) -> tuple[tuple[SavedCheckpoint, ...], list[str]]:
    told: list[str] = []
    with archive() as file:
        put(file, keys.CHECKPOINTS, rows)
        return read_checkpoints(Contents(file, told.append, **bounds)), told


def test_checkpoints_are_in_the_order_in_which_they_were_saved() -> None:
    rows = np.array([("a.npz", 0, 4, 1e9), ("b\n.npz", 1, 4, np.nan)], ROW)

    checkpoints, told = read(rows)

    assert told == []
    assert checkpoints == (SavedCheckpoint("a.npz", 0, 4, 1e9), SavedCheckpoint("b\\n.npz", 1, 4, None))


def test_without_a_list_there_are_none() -> None:
    with archive() as file:
        assert read_checkpoints(Contents(file, print)) == ()


def test_of_very_many_checkpoints_the_last_are_told() -> None:
    rows = np.zeros(10_001, ROW)
    rows["path"], rows["epoch"] = "a", np.arange(10_001)

    checkpoints, _ = read(rows)

    assert [one.epoch for one in checkpoints] == list(range(1, 10_001))


@pytest.mark.parametrize("values", [np.zeros(2), np.zeros((0, 1), ROW), np.zeros(2, [("path", "i4")])])
def test_a_table_of_another_form_is_told(values: Any) -> None:
    checkpoints, told = read(values)

    assert checkpoints == ()
    assert told == ["'checkpoints' cannot be read: it is no table of path, epoch, minibatch, saved_at"]


def test_rows_of_another_type_are_left_out() -> None:
    kinds = np.dtype([("path", "f8"), ("epoch", "i8"), ("minibatch", "i8"), ("saved_at", "f8")])

    assert read(np.zeros(2, kinds)) == ((), [])


def test_texts_that_would_fill_the_memory_are_told() -> None:
    rows = np.zeros(6, ROW)
    rows["path"] = "x" * 20

    assert len(read(rows, longest_text_bytes=20, most_text_bytes=120)[0]) == 6
    checkpoints, told = read(rows, longest_text_bytes=20, most_text_bytes=119)

    assert checkpoints == ()
    assert told == ["'checkpoints' cannot be read: its texts have more than 119 bytes"]


def test_a_table_whose_chunks_would_be_unpacked_anew_for_each_piece_is_told() -> None:
    told: list[str] = []
    with archive() as file:
        file.create_dataset(keys.CHECKPOINTS, (2**17,), ROW, chunks=(2**17,), compression="gzip")[0] = (
            "a",
            0,
            0,
            0,
        )
        assert read_checkpoints(Contents(file, told.append)) == ()
    assert told == ["'checkpoints' cannot be read: its chunks are larger than 1,048,576 bytes"]
