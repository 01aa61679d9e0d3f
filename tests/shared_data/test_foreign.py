"""HDF5 files of others: opened beside their writer, and walked within themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trainsignal.shared_data.foreign import (
    MOST_LEVELS,
    PassedOver,
    open_for_reading,
    own_members,
)

_h5py: Any = h5py  # h5py-stubs do not know all of it


def walked(file: Any) -> dict[str, Any]:
    """Return what a walk meets: "group", "dataset", or the reason for which it is passed over."""
    return {
        path: member.reason
        if isinstance(member, PassedOver)
        else "group"
        if isinstance(member, h5py.Group)
        else "dataset"
        for path, member in own_members(file)
    }


def test_a_walk_meets_parents_before_what_is_in_them() -> None:
    with _h5py.File.in_memory() as file:
        file["b/c/x"] = file["a"] = np.zeros(2)
        assert list(walked(file).items()) == [
            ("a", "dataset"),
            ("b", "group"),
            ("b/c", "group"),
            ("b/c/x", "dataset"),
        ]


def test_two_names_of_one_group_are_both_met_but_none_within_itself() -> None:
    with _h5py.File.in_memory() as file:
        file["a/x"] = np.zeros(2)
        file["b"] = file["a"]
        file["a/up"] = file["/"]
        file["a/self"] = file["a"]
        back = "leads back to a group that it is in"
        assert walked(file) == {
            "a": "group", "a/self": back, "a/up": back, "a/x": "dataset",
            "b": "group", "b/self": back, "b/up": back, "b/x": "dataset",
        }  # fmt: skip


def test_groups_within_groups_are_walked_down_to_a_depth() -> None:
    with _h5py.File.in_memory() as file:
        file.create_group("/".join("g" * (MOST_LEVELS + 5)))
        (*above, (deepest, reason)) = walked(file).items()

    assert {kind for _, kind in above} == {"group"}
    assert deepest == "/".join("g" * (MOST_LEVELS + 1))
    assert reason == "is too deep"


def test_a_group_that_cannot_be_listed_is_passed_over_and_the_others_are_met(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with _h5py.File(path, "w") as file:
        file["a/x"] = file["b/y"] = np.zeros(2)
    content = bytearray(path.read_bytes())
    nodes = [place for place in range(len(content)) if content.startswith(b"SNOD", place)]
    with _h5py.File(path) as file:
        names = [file["a"].name, file["b"].name]
    assert len(nodes) >= 3
    assert names == ["/a", "/b"]
    content[nodes[1] : nodes[1] + 4] = b"XXXX"
    path.write_bytes(content)

    with _h5py.File(path) as file:
        found = dict(own_members(file))

    damaged = [path for path, member in found.items() if isinstance(member, PassedOver)]
    assert damaged in (["a"], ["b"])
    assert isinstance(found[damaged[0]], PassedOver)
    assert isinstance(found[damaged[0]].error, Exception)  # type: ignore[union-attr]  # as asserted
    assert len([member for member in found.values() if isinstance(member, h5py.Dataset)]) == 1


def test_a_member_that_cannot_be_opened_is_passed_over() -> None:
    with _h5py.File.in_memory() as file:
        file["x"] = np.zeros(2)
        names = iter(own_members(file))
        file.create_group(b"caf\xe9")
        found = dict(names)

    assert isinstance(found["x"], h5py.Dataset)
    assert any(isinstance(one, PassedOver) and "is no text" not in str(one.error) for one in found.values())


def test_a_file_that_is_gone_amid_the_walk_ends_it() -> None:
    with _h5py.File.in_memory() as file:
        file["x"] = file["y"] = np.zeros(2)
        walk = own_members(file)
        next(walk)
    (path, member), *_ = list(walk)

    assert path == "y"
    assert isinstance(member, PassedOver)
    assert member.error is not None


def test_what_is_open_for_reading_in_this_process_is_opened_once_more(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    _h5py.File(path, "w").close()
    with _h5py.File(path, "r"), open_for_reading(path) as file:
        assert file.mode == "r"


def test_what_is_no_hdf5_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"run.h5")
    path.write_text("no")
    with pytest.raises(OSError, match="signature"):
        open_for_reading(path)
