from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.support.trees import assert_same, states
from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError, ConfigurationError, UntrustedPickleError

SUFFIXES = [".h5", ".hdf5", ".npz", ".p", ".pickle", ".pkl", ".prm"]
FORMATS = [".h5", ".npz", ".prm"]
"""One suffix a format."""

NEON_LIKE: dict[str, Any] = {
    "model": {
        "config": {"layers": [{"type": "Linear", "params": {"W": np.arange(6, dtype="f4").reshape(2, 3)}}]}
    },
    "backend": {"rng_state": ("MT19937", np.arange(3, dtype="u4"), 624, 0, 0.0)},
    "epoch_index": 3,
}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_state_comes_back_through_each_suffix(suffix: str, tmp_path: Path) -> None:
    path = save_state(NEON_LIKE, tmp_path / f"model{suffix}")

    assert_same(load_state(path, trust_pickle=True), NEON_LIKE)


@pytest.mark.parametrize("suffix", FORMATS)
@given(state=states)
@example(state={"0": {"x": np.zeros(2)}, 0: np.ones(1)})
@example(state={"W": np.zeros(1), "W.npy": np.ones(1)})
@example(state={"a": {"b": np.zeros(1)}, "a/b": np.ones(1)})
@example(state=[np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::3], np.zeros((0, 3))])
@example(state=(np.float16(2), np.bool_(True), np.str_("é"), np.bytes_(b"a\0b"), np.complex64(1j)))
@example(state=[2**53 + 1, -(10**30), float("nan"), float("-inf"), -0.0, "\ud800", True, 1])
@example(state=[np.array([np.nan, np.inf, -0.0], "f2"), np.array(["ab", "ü\0c"]), np.array("", "U")])
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_state_comes_back_equal(suffix: str, state: Any, tmp_path: Path) -> None:
    path = save_state(state, tmp_path / f"model{suffix}")

    assert_same(load_state(path, trust_pickle=True), state, native_order=suffix == ".prm")


@pytest.mark.parametrize("suffix", FORMATS)
def test_integer_too_long_for_decimals_comes_back(suffix: str, tmp_path: Path) -> None:
    path = save_state({"big": -(10**5000)}, tmp_path / f"model{suffix}")

    assert load_state(path, trust_pickle=True)["big"] == -(10**5000)


@pytest.mark.parametrize("suffix", FORMATS)
def test_loaded_arrays_are_writable(suffix: str, tmp_path: Path) -> None:
    state = {"W": np.ones(3), "names": np.array(["a"]), "empty": np.zeros(0), "zero_d": np.array(1.0)}
    loaded = load_state(save_state(state, tmp_path / f"model{suffix}"), trust_pickle=True)

    assert all(array.flags.writeable for array in loaded.values())


def test_path_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))

    assert save_state([1], "$RUNS/model.npz") == tmp_path / "model.npz"
    assert save_state([2], "~/model.H5") == tmp_path / "model.H5"
    assert load_state("~/model.H5") == [2]


@pytest.mark.parametrize("name", ["model.txt", "model", "model.h5.gz"])
def test_suffix_without_a_format_is_refused_with_a_list(name: str, tmp_path: Path) -> None:
    for call in (lambda: save_state({}, tmp_path / name), lambda: load_state(tmp_path / name)):
        with pytest.raises(ConfigurationError, match=r"\.h5, \.hdf5, \.npz, \.p, \.pickle, \.pkl, \.prm"):
            call()


def test_unsupported_value_is_named_and_the_old_file_stays(tmp_path: Path) -> None:
    path = save_state({"epoch": 1}, tmp_path / "model.h5")

    with pytest.raises(CheckpointError, match=r"^model/layers/0/W: a value of type builtins.object"):
        save_state({"model": {"layers": [{"W": object()}]}}, path)

    assert load_state(path) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["model.h5"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_full_disk_is_an_error_that_a_run_survives_and_the_old_file_stays(
    suffix: str, tmp_path: Path
) -> None:
    path = save_state({"epoch": 1}, tmp_path / f"model{suffix}")
    program = (
        "import resource, sys, numpy\n"
        "from trainsignal.checkpoint import save_state\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"  # as a disk that is full by then
        "try:\n"
        "    save_state([numpy.ones(3_000) for _ in range(300)], sys.argv[1])\n"
        "except OSError as error:\n"
        "    if 'cannot write the checkpoint' in str(error) and type(error.__cause__) is OSError:\n"
        "        print('the disk is full')\n"
        "print('goes on')\n"
    )

    command = [sys.executable, "-c", program, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.stdout == "the disk is full\ngoes on\n", result.stderr
    assert result.stderr == ""
    assert load_state(path, trust_pickle=True) == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_missing_folder_is_a_checkpoint_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="Check the free space and the permissions") as caught:
        save_state({}, tmp_path / "missing" / "model.h5")

    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.parametrize("suffix", [".p", ".pickle", ".pkl", ".prm"])
def test_pickle_is_not_loaded_unless_it_is_trusted(suffix: str, tmp_path: Path) -> None:
    path = save_state({}, tmp_path / f"model{suffix}")

    with pytest.raises(UntrustedPickleError, match=r"can run any code.*trust_pickle=True only for a file"):
        load_state(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_missing_file_and_folder_are_told_apart(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such file"):
        load_state(tmp_path / f"model{suffix}")
    (tmp_path / f"model{suffix}").mkdir()
    with pytest.raises(CheckpointError, match="that is a folder"):
        load_state(tmp_path / f"model{suffix}")


def test_unreadable_file_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_state({}, tmp_path / "model.npz")

    def refuse(*_: object) -> None:  # as for any user but root, whom no permission stops
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(zipfile, "ZipFile", refuse)

    with pytest.raises(CheckpointError, match="Change its permissions"):
        load_state(path)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    "content", [b"", b"hello, world\n", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"\x80\x02}"]
)
def test_foreign_file_is_a_checkpoint_error(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(content)

    with pytest.raises(CheckpointError, match=r"(?s)cannot load the checkpoint .* Load another checkpoint"):
        load_state(path, trust_pickle=True)


@pytest.mark.parametrize("suffix", FORMATS)
def test_file_cut_off_anywhere_is_a_checkpoint_error(suffix: str, tmp_path: Path) -> None:
    whole = save_state(NEON_LIKE, tmp_path / f"model{suffix}").read_bytes()
    cut = tmp_path / f"cut{suffix}"
    for length in range(0, len(whole), max(1, len(whole) // 100)):
        cut.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            load_state(cut, trust_pickle=True)


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_file_with_flipped_bytes_loads_or_is_a_checkpoint_error(suffix: str, tmp_path: Path) -> None:
    random = Random(7)
    whole = save_state(NEON_LIKE, tmp_path / f"model{suffix}").read_bytes()
    damaged = tmp_path / f"damaged{suffix}"
    for _ in range(300):
        content = bytearray(whole)
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)
        damaged.write_bytes(content)
        with suppress(CheckpointError):
            load_state(damaged)


@pytest.mark.crash
@pytest.mark.parametrize("suffix", FORMATS)
def test_kill_while_saving_leaves_a_whole_file(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    program = (
        "import itertools, sys, numpy\n"
        "from trainsignal.checkpoint import save_state\n"
        "for number in itertools.count():\n"
        "    save_state({'number': number, 'W': [numpy.full(20_000, number)] * 5}, sys.argv[1])\n"
        "    print('saved', flush=True)\n"
    )
    random = Random(11)
    for _ in range(5):
        with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=random.uniform(0, 0.05))
            process.kill()

        state = load_state(path, trust_pickle=True)
        assert all((array == state["number"]).all() for array in state["W"])


def test_hdf5_checkpoint_is_browsable(tmp_path: Path) -> None:
    path = save_state(NEON_LIKE, tmp_path / "model.h5")

    with h5py.File(str(path), "r") as file:
        dataset: Any = file["state/model/config/layers/0/params/W"]
        assert dataset[()].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
        skeleton: Any = file["skeleton"]
        assert json.loads(skeleton[()])["state"]["epoch_index"] == 3


def test_npz_checkpoint_is_readable_by_numpy(tmp_path: Path) -> None:
    path = save_state(NEON_LIKE, tmp_path / "model.npz")

    with np.load(path) as file:
        assert file["state/model/config/layers/0/params/W"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
