from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError

Change = Callable[[Any], None]
_h5py: Any = h5py  # its stubs know no links


def soft_link(file: Any) -> None:
    file["elsewhere"] = np.ones(3)
    file["state/W"] = _h5py.SoftLink("/elsewhere")


def external_link(file: Any) -> None:
    file["state/W"] = _h5py.ExternalLink("other.h5", "/secret")


def external_group(file: Any) -> None:
    del file["state"]
    file["state"] = _h5py.ExternalLink("other.h5", "/")


def external_storage(file: Any) -> None:
    file.create_dataset("state/W", (3,), "u1", external=[("secret.bin", 0, 3)])


def virtual(file: Any) -> None:
    layout = _h5py.VirtualLayout((3,), "f8")
    layout[:] = _h5py.VirtualSource("other.h5", "secret", (3,), "f8")
    file.create_virtual_dataset("state/W", layout)


def compressed_bomb(file: Any) -> None:
    file.create_dataset("state/W", (10**12,), "f8", chunks=(1000,), compression="gzip")


def unwritten_bomb(file: Any) -> None:
    file.create_dataset("state/W", (10**12,), "f8")


def hard_link_bomb(file: Any) -> None:
    file["state/W"] = file["state/big"]


def objects(file: Any) -> None:
    file.create_dataset("state/W", data=["text"])


def group(file: Any) -> None:
    file.create_group("state/W")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (soft_link, "it has a SoftLink, which is not followed"),
        (external_link, "it has a ExternalLink, which is not followed"),
        (external_group, "it has a ExternalLink, which is not followed"),
        (external_storage, "stored in another file"),
        (virtual, "stored in another file"),
        (compressed_bomb, "compressed, chunked"),
        (unwritten_bomb, "would be larger than the file"),
        (hard_link_bomb, "would be larger than the file"),
        (objects, "is no array of numbers"),
        (group, "is no array of numbers"),
        (lambda file: None, "it has nothing"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_hostile_file_is_refused(change: Change, message: str, tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(b"abc")
    with h5py.File(str(tmp_path / "other.h5"), "w") as other:
        other["secret"] = np.ones(3)
        other["W"] = np.ones(3)
    path = save_state({"big": np.ones(1000), "W": np.ones(3)}, tmp_path / "m.h5")
    with h5py.File(str(path), "r+") as file:
        del file["state/W"]
        change(file)

    with pytest.raises(CheckpointError, match=message):
        load_state(path)


def test_other_hdf5_file_is_told_by_what_it_holds(tmp_path: Path) -> None:
    with h5py.File(str(tmp_path / "archive.h5"), "w") as file:
        file["cost/train"] = np.ones(3)

    with pytest.raises(CheckpointError, match=r"without a skeleton; it holds \['cost'\]"):
        load_state(tmp_path / "archive.h5")
