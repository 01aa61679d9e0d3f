"""`KerasLoop` where Keras spreads minibatches over two devices of one process, on JAX."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import launching

PROGRAM = Path(launching.__file__).with_name("keras_devices_program.py")

Fits = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    """Return what became of fits by one device and by two."""
    folder = tmp_path_factory.mktemp("devices")
    devices = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    subprocess.run(
        [sys.executable, str(PROGRAM), str(folder)], env={**launching.environment(), **devices},
        timeout=launching.LIMIT_S, check=True,
    )  # fmt: skip
    found: Fits = json.loads((folder / "devices.json").read_text())
    return found


def test_two_devices_of_a_process_are_one_rank(fits: Fits) -> None:
    assert (fits["one"]["devices"], fits["two"]["devices"]) == (1, 2)
    assert not fits["two"]["ranks"]
    assert (fits["two"]["reason"], fits["two"]["done"]) == ("completed", 12)


def test_loss_and_train_cost_are_those_of_one_device(fits: Fits) -> None:
    for series in ("loss", "train"):
        np.testing.assert_allclose(fits["two"][series], fits["one"][series], rtol=1e-4, err_msg=series)


def test_the_loss_is_that_which_keras_validates(fits: Fits) -> None:
    np.testing.assert_allclose(fits["two"]["loss"], fits["two"]["val_loss"], rtol=1e-5)


def test_a_vote_stops_two_devices_after_its_minibatch(fits: Fits) -> None:
    assert (fits["stopped"]["reason"], fits["stopped"]["done"]) == ("stopped", 4 + 2)


def test_an_exception_of_a_callback_ends_the_run_of_two_devices(fits: Fits) -> None:
    assert fits["failed"]["error"] == "bad batch"
    assert fits["failed"]["reason"] == "failed"
