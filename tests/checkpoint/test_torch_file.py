from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings

from tests.support.trees import assert_same, states
from trainsignal.checkpoint import load_state, save_state
from trainsignal.checkpoint.bits import bits
from trainsignal.errors import CheckpointError, MissingPackageError


@given(state=states)
@example(state={".pt kind": "scalar", "array": np.ones(1)})
@example(state=[np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::-3], np.zeros((0, 3))])
@example(state=(np.float16(2), np.bool_(True), np.str_("é"), np.bytes_(b"a\0b"), np.complex64(1j)))
@example(state=[2**63, -(10**30), float("nan"), float("-inf"), -0.0, "\ud800", True, b"", b"a\0"])
@example(state=[np.array([1, 2], ">f4"), np.array(["ab", "ü\0c"]), np.array("", "U"), np.uint64(2**64 - 1)])
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_comes_back_equal(state: Any, tmp_path: Path) -> None:
    path = save_state(state, tmp_path / "model.pt")

    assert_same(load_state(path), state)


def test_pytorch_reads_nested_dicts_with_tensors_and_runs_no_code(tmp_path: Path) -> None:
    W = np.arange(6, dtype="f4").reshape(2, 3)
    state = {"module": {"fc.weight": W}, "optimizers": [{"state": {0: {"step": np.float32(3)}}, "lr": 0.1}]}

    content = torch.load(save_state(state, tmp_path / "model.pt"), weights_only=True)

    assert torch.equal(content["module"]["fc.weight"], torch.tensor([[0.0, 1, 2], [3, 4, 5]]))
    assert content["optimizers"][0]["lr"] == 0.1
    assert list(content["optimizers"][0]["state"]) == [0]


def test_numbers_of_types_that_numpy_lacks_are_what_they_are(tmp_path: Path) -> None:
    ones = {
        "W": bits("bfloat16", np.array([0x3F80, 0x4000], np.int16)),
        "V": bits("float8_e5m2", np.array([60], "u1")),
    }

    path = save_state(ones, tmp_path / "model.pt")

    content = torch.load(path, weights_only=True)
    assert content["W"].dtype == torch.bfloat16
    assert content["W"].tolist() == [1.0, 2.0]
    assert content["V"].float().tolist() == [1.0]
    assert_same(load_state(path), ones)


def test_an_array_that_occurs_twice_is_kept_once(tmp_path: Path) -> None:
    W = np.ones(100_000)

    path = save_state({"encoder": W, "decoder": W}, tmp_path / "model.pt")

    assert path.stat().st_size < 1.5 * W.nbytes
    loaded = load_state(path)
    np.testing.assert_array_equal(loaded["encoder"], W)
    np.testing.assert_array_equal(loaded["decoder"], W)


def test_file_of_others_is_read(tmp_path: Path) -> None:
    linear = torch.nn.Linear(2, 3)
    module = torch.nn.Sequential(linear, torch.nn.BatchNorm1d(3))
    extras = {"size": torch.Size([2, 3]), "half": torch.ones(2, dtype=torch.bfloat16)}
    torch.save(
        OrderedDict(module=module.state_dict(), conjugate=torch.ones(1) * 1j, **extras), tmp_path / "m.pt"
    )

    state = load_state(tmp_path / "m.pt")

    np.testing.assert_array_equal(state["module"]["0.weight"], linear.weight.detach().numpy())
    assert state["module"]["1.num_batches_tracked"].shape == ()
    assert state["size"] == (2, 3)
    assert_same(state["half"], bits("bfloat16", np.array([0x3F80, 0x3F80], np.int16)))


def test_views_and_conjugates_are_read_as_the_numbers_that_they_show(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    torch.save({"column": whole[:, 1], "conjugate": torch.tensor([1 + 2j]).conj()}, tmp_path / "m.pt")

    state = load_state(tmp_path / "m.pt")

    np.testing.assert_array_equal(state["column"], [1, 5, 9])
    np.testing.assert_array_equal(state["conjugate"], [1 - 2j])


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path("never").touch, ()


@pytest.mark.parametrize(("content", "message"), [
    ({"a": Evil()}, r"PyTorch cannot read it \(UnpicklingError"),
    ({"a": {1.5: 1}}, r"holds a dict with the key 1\.5"),
    ({"a": torch.float32}, "holds a dtype, which no checkpoint can"),
    ({".pt kind": "list"}, "an entry of the unknown kind 'list'"),
    ({".pt kind": "array", "bytes": torch.zeros(8, dtype=torch.uint8), "dtype": "O"}, "of dtype 'O'"),
    ({".pt kind": "scalar"}, "PyTorch cannot read it"),
    (torch.zeros(1).expand(1_000_000), "its tensors would be larger than the file"),
], ids=["code", "key", "value", "kind", "objects", "entry", "expanded"])  # fmt: skip
def test_hostile_or_foreign_content_is_refused(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pt")

    with pytest.raises(CheckpointError, match=message):
        load_state(tmp_path / "m.pt")


# PyTorch, which is to give up quantized tensors, of making and of reading one.
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated:UserWarning")
@pytest.mark.parametrize("new", [
    lambda: torch.quantize_per_tensor(torch.ones(2), 0.5, 3, torch.qint8),
    lambda: torch.eye(2).to_sparse(),
    lambda: torch.eye(2, device="meta"),
], ids=["quantized", "sparse", "meta"])  # fmt: skip
def test_a_tensor_that_is_more_than_its_numbers_is_refused(new: Callable[[], Any], tmp_path: Path) -> None:
    torch.save({"W": new()}, tmp_path / "m.pt")

    with pytest.raises(CheckpointError, match=r"holds a tensor of layout .*, which no checkpoint can"):
        load_state(tmp_path / "m.pt")


def test_compressed_file_is_refused(tmp_path: Path) -> None:
    path = save_state({"W": np.zeros(100_000)}, tmp_path / "m.pt")
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)

    with pytest.raises(CheckpointError, match="its members are compressed"):
        load_state(path)


def test_members_that_claim_more_than_the_file_are_refused(tmp_path: Path) -> None:
    path = save_state({"W": np.zeros(3)}, tmp_path / "m.pt")
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("large", b"1234567")
    size = (7).to_bytes(4, "little") * 2
    path.write_bytes(path.read_bytes().replace(size, (10**8).to_bytes(4, "little") * 2))

    with pytest.raises(CheckpointError, match="its members overlap, or it is cut off"):
        load_state(path)


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"PK\x03\x04", pickle.dumps({"a": 1}, 2)])
def test_foreign_file_is_a_checkpoint_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.pt").write_bytes(content)

    with pytest.raises(CheckpointError, match=r"cannot load the checkpoint .* Load another checkpoint"):
        load_state(tmp_path / "m.pt")


def test_file_cut_off_or_with_flipped_bits_loads_or_is_a_checkpoint_error(tmp_path: Path) -> None:
    random = Random(7)
    whole = save_state({"module": {"W": np.ones((2, 3))}, "epoch": 3}, tmp_path / "m.pt").read_bytes()
    damaged = tmp_path / "damaged.pt"
    for length in range(0, len(whole), len(whole) // 50):
        damaged.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_state(damaged)
    for _ in range(300):
        content = bytearray(whole)
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        damaged.write_bytes(content)
        with suppress(CheckpointError):
            load_state(damaged)


def test_full_disk_is_a_checkpoint_error_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_state({"epoch": 1}, tmp_path / "m.pt")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(CheckpointError, match="Check the free space"):
            save_state({"epoch": 2}, path)

    assert load_state(path) == {"epoch": 1}


@pytest.mark.parametrize(("name", "module"), [("m.pt", "torch"), ("m.safetensors", "safetensors.numpy")])
def test_missing_package_is_named_before_anything_is_read(
    name: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_state({}, tmp_path / name)
    monkeypatch.setitem(__import__("sys").modules, module, None)

    for call in (lambda: load_state(path), lambda: save_state({}, path)):
        with pytest.raises(MissingPackageError, match=r"trainsignal\[torch\]"):
            call()
