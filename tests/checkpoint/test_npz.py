from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError


def npy(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]], version: tuple[int, int] = (1, 0)) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version)
    return stream.getvalue()


def write(path: Path, member: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    skeleton = '{"format": "trainsignal checkpoint", "version": 1, "state": {"$array": "state"}}'
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("skeleton.json", skeleton)
        file.writestr("state.npy", member)


PICKLED = npy(np.ones(1)).replace(b"'<f8'", b"'|O' ")[:-8] + pickle.dumps([1])
HUGE = npy(np.ones(1)).replace(b"(1,), }" + b" " * 11, b"(999999999999,), }")


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (PICKLED, "Object arrays cannot be loaded"),
        (HUGE, r"declares the shape \(999999999999,\), which is more than it holds"),
        (npy(np.ones(3), (2, 0)), "is not in version 1.0 of NumPy's format"),
        (npy(np.ones(3))[:-1], "it is damaged|declares"),
        (b"", "it is damaged"),
    ],
    ids=["pickle", "huge", "version", "short", "empty"],
)
def test_hostile_member_is_refused(member: bytes, message: str, tmp_path: Path) -> None:
    write(tmp_path / "m.npz", member)

    with pytest.raises(CheckpointError, match=message):
        load_state(tmp_path / "m.npz")


def test_compressed_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "m.npz", npy(np.zeros(100_000)), zipfile.ZIP_DEFLATED)

    with pytest.raises(CheckpointError, match="its members are compressed"):
        load_state(tmp_path / "m.npz")


def test_members_that_claim_more_than_the_file_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "m.npz", npy(np.ones(3)))
    content = (tmp_path / "m.npz").read_bytes()
    size = len(npy(np.ones(3))).to_bytes(4, "little")
    (tmp_path / "m.npz").write_bytes(content.replace(size, (10**9).to_bytes(4, "little")))

    with pytest.raises(CheckpointError, match="its members overlap, or it is cut off"):
        load_state(tmp_path / "m.npz")


def test_missing_member_is_named(tmp_path: Path) -> None:
    path = save_state({"epoch": 1}, tmp_path / "m.npz")
    content = path.read_bytes().replace(b'{"epoch": 1}', b'{"$array":1}')
    with zipfile.ZipFile(path, "w") as file:
        start = content.index(b'{"format"')  # a "{" may also be in the time of a member
        file.writestr("skeleton.json", content[start : content.index(b"}}") + 2])

    with pytest.raises(CheckpointError, match="it has no array '1'"):
        load_state(path)


def test_npz_of_numpy_is_told_by_what_it_holds(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", W=np.ones(2))

    with pytest.raises(CheckpointError, match=r"without skeleton\.json; it holds \['W\.npy'\]"):
        load_state(tmp_path / "m.npz")
