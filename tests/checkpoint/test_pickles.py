from __future__ import annotations

import os
import pickle
import pickletools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError

NEON_FILE = Path(__file__).parents[1] / "data" / "neon" / "mlp_best.prm"

IN_EACH_NUMPY = {"numpy ndarray", "numpy dtype", "_operator getitem", "_codecs encode"}
"""Names that Python 3.6 with NumPy 1.13 has, and every later one; loaded with those two by hand."""


def test_checkpoint_of_neon_loads_without_a_warning() -> None:
    state: Any = load_state(NEON_FILE, trust_pickle=True)

    layers = state["model"]["config"]["layers"]
    assert state["neon_version"] == "2.6.0"
    assert [layer["params"]["W"].shape for layer in layers if "params" in layer] == [
        (32, 64),
        (32, 1),
        (10, 32),
        (10, 1),
    ]
    assert {layer["params"]["W"].dtype for layer in layers if "params" in layer} == {np.dtype("f4")}
    assert state["backend"]["rng_state"][0] == "MT19937"


def test_checkpoint_of_neon_needs_no_module_that_numpy_renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("numpy.core", "numpy.core.multiarray"):  # as in a NumPy that has dropped them
        monkeypatch.setitem(sys.modules, name, None)

    state = load_state(NEON_FILE, trust_pickle=True)

    assert state["epoch_index"] > 0


def test_pickle_names_only_what_each_numpy_has(tmp_path: Path) -> None:
    state = {
        "arrays": [
            np.ones((2, 3), "f4"),
            np.asfortranarray(np.ones((2, 2))),
            np.array(["a"]),
            np.array(True),
        ],
        "scalars": [np.float32(1), np.bool_(True), np.str_("a"), np.bytes_(b"a"), np.complex64(1)],
        "bytes": b"\x00\xff",
    }
    content = save_state(state, tmp_path / "m.prm").read_bytes()

    operations = list(pickletools.genops(content))
    assert {argument for code, argument, _ in operations if code.name == "GLOBAL"} == IN_EACH_NUMPY
    assert not [code.name for code, _, _ in operations if code.proto > 2]


def test_plain_unpickler_reads_what_is_written(tmp_path: Path) -> None:
    path = save_state({"W": np.arange(3)[::-1], "cost": np.float32(0.5)}, tmp_path / "m.prm")

    state = pickle.loads(path.read_bytes())

    assert state["W"].tolist() == [2, 1, 0]
    assert isinstance(state["cost"], np.float32)


class RemovesAFile:
    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.remove, (self.path,)


def test_code_in_a_pickle_that_nobody_trusts_does_not_run(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.touch()
    (tmp_path / "m.prm").write_bytes(pickle.dumps(RemovesAFile(victim)))

    with pytest.raises(CheckpointError):
        load_state(tmp_path / "m.prm")

    assert victim.exists()


def test_pickle_that_needs_a_missing_package_says_which(tmp_path: Path) -> None:
    (tmp_path / "m.prm").write_bytes(b"\x80\x02cneon.layers\nLinear\n.")

    with pytest.raises(CheckpointError, match="ModuleNotFoundError: No module named 'neon'"):
        load_state(tmp_path / "m.prm", trust_pickle=True)


def test_text_of_python_2_loads_as_latin1(tmp_path: Path) -> None:
    (tmp_path / "m.prm").write_bytes(b"\x80\x02U\x02a\xe9.")  # SHORT_BINSTRING, the str of Python 2

    assert load_state(tmp_path / "m.prm", trust_pickle=True) == "aé"
