from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from safetensors.numpy import load_file, save_file

from tests.support.trees import assert_same, states
from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError

STATE: dict[str, Any] = {"module": {"fc.weight": np.arange(6, dtype="f4").reshape(2, 3)}, "epoch": 3}


@given(state=states)
@example(state=[np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::-3], np.zeros((0, 3))])
@example(state=(np.float16(2), np.bool_(True), np.str_("é"), np.bytes_(b"a\0b"), np.complex64(1j)))
@example(state=[np.array([1, 2], ">f4"), np.array([1j]), np.array("", "U"), np.array(3, ">u2")])
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_comes_back_equal(state: Any, tmp_path: Path) -> None:
    path = save_state(state, tmp_path / "model.safetensors")

    assert_same(load_state(path), state)


def test_arrays_are_readable_by_the_package_itself(tmp_path: Path) -> None:
    arrays = load_file(save_state(STATE, tmp_path / "model.safetensors"))

    np.testing.assert_array_equal(arrays["state/module/fc.weight"], [[0, 1, 2], [3, 4, 5]])


def test_loaded_arrays_are_writable(tmp_path: Path) -> None:
    loaded = load_state(save_state([np.ones(3), np.ones(1) * 1j], tmp_path / "m.safetensors"))

    assert [array.flags.writeable for array in loaded] == [True, True]


def test_file_of_others_is_told_by_what_it_holds(tmp_path: Path) -> None:
    save_file({"W": np.ones(2)}, tmp_path / "m.safetensors")

    with pytest.raises(CheckpointError, match=r"a file of safetensors without a skeleton; it holds \['W'\]"):
        load_state(tmp_path / "m.safetensors")


def test_missing_array_is_named(tmp_path: Path) -> None:
    skeleton = {"format": "trainsignal checkpoint", "version": 1, "state": {"$array": "state/W"}}
    save_file({"V": np.ones(2)}, tmp_path / "m.safetensors", metadata={"skeleton": json.dumps(skeleton)})

    with pytest.raises(CheckpointError, match="it has no array 'state/W'"):
        load_state(tmp_path / "m.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello, world\n", b"\xff" * 16, b"\x02" + bytes(7) + b"{}"])
def test_foreign_file_is_a_checkpoint_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(content)

    with pytest.raises(CheckpointError, match=r"cannot load the checkpoint .* Load another checkpoint"):
        load_state(tmp_path / "m.safetensors")


def test_file_cut_off_or_with_flipped_bits_loads_or_is_a_checkpoint_error(tmp_path: Path) -> None:
    random = Random(7)
    whole = save_state({**STATE, "c": np.ones(2) * 1j}, tmp_path / "m.safetensors").read_bytes()
    damaged = tmp_path / "damaged.safetensors"
    for length in range(0, len(whole), 8):
        damaged.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_state(damaged)
    for _ in range(300):
        content = bytearray(whole)
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        damaged.write_bytes(content)
        with suppress(CheckpointError):
            load_state(damaged)
