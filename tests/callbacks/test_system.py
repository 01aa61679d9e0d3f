from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from tests.support.given_series import run_epochs
from tests.support.runs import FakeClock
from trainsignal import Callbacks, SystemCallback
from trainsignal.errors import ConfigurationError
from trainsignal.hardware import Usage


@dataclass
class FakeGPU:
    """A GPU that is used more and more."""

    index: int
    asked: int = 0

    def memory_bytes(self) -> float:
        self.asked += 1
        return 1000.0 * self.asked

    def utilization_percent(self) -> float:
        return 10.0 * self.asked


def usages(*values: tuple[int, float]) -> Any:
    """Return what answers with these (bytes, CPU seconds), one after the other."""
    answers: Iterator[Usage] = iter([Usage(0, 0.0), *(Usage(*value) for value in values)])
    return lambda: next(answers)


def watched(epochs: int, *values: tuple[int, float], **options: Any) -> Callbacks:
    system = SystemCallback(usage=usages(*values), clock=FakeClock(step=2.0), **{"gpus": (), **options})
    return run_epochs(system, epochs=epochs)


def test_memory_is_that_of_the_moment_and_cpu_the_mean_since_the_row_before() -> None:
    callbacks = watched(2, (1, 10.0), (3 * 2**32 + 1, 11.0), (2**20, 15.0))
    data = callbacks.callback_data
    assert data["system/memory"][:].tolist() == [3 * 2**32 + 1, 2**20]
    assert data["system/cpu"][:].tolist() == [50.0, 200.0]  # 1 and 4 seconds of 2


def test_series_tell_their_units_and_axis() -> None:
    data = watched(2, (1, 1.0), (1, 1.0), epoch_freq=2).callback_data
    for key, unit in (("system/memory", "bytes"), ("system/cpu", "percent")):
        assert dict(data[key].attrs) == {"time_markers": "epoch_freq", "epoch_freq": 2, "units": unit}
        assert data[key].shape == (1,)


def test_machine_without_a_gpu_has_no_series_of_one() -> None:
    assert set(watched(1, (1, 1.0), (1, 1.0)).callback_data["system"]) == {"memory", "cpu"}


def test_each_gpu_has_series_of_its_own() -> None:
    data = watched(2, (1, 1.0), (1, 1.0), (1, 1.0), gpus=(FakeGPU(0), FakeGPU(3))).callback_data
    assert set(data["system"]) == {"memory", "cpu", "gpu_0", "gpu_3"}
    assert data["system/gpu_3/memory"][:].tolist() == [1000, 2000]
    assert data["system/gpu_3/utilization"][:].tolist() == [10, 20]
    assert data["system/gpu_0/memory"].attrs["units"] == "bytes"
    assert data["system/gpu_0/utilization"].attrs["units"] == "percent"


def test_cpu_of_an_epoch_that_took_no_time_is_missing() -> None:
    system = SystemCallback(usage=usages((1, 1.0), (1, 1.0)), clock=FakeClock(), gpus=())
    assert np.isnan(run_epochs(system, epochs=1).callback_data["system/cpu"][0])


def test_second_run_counts_from_its_own_begin() -> None:
    system = SystemCallback(
        usage=usages((1, 0.0), (1, 1.0), (1, 50.0), (1, 51.0)), clock=FakeClock(step=1), gpus=()
    )
    for _ in range(2):
        assert run_epochs(system, epochs=1).callback_data["system/cpu"][0] == 100.0


def test_nothing_of_this_process_is_saved() -> None:
    system = SystemCallback(gpus=())
    run_epochs(system, epochs=1)
    assert system.state_dict() == {}


def test_missing_package_is_told_of_when_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(ConfigurationError, match="trainsignal\\[system\\]"):
        SystemCallback()


def test_gpus_of_the_machine_are_watched_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainsignal.callbacks.system.nvidia_gpus", lambda: (FakeGPU(7),))
    assert "system/gpu_7/memory" in SystemCallback().writes
