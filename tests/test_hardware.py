from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator
from mmap import mmap
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.hardware import nvidia_gpus, process_usage


class FakeNVML(ModuleType):
    """NVML of a machine with two GPUs, of which the second does not tell its utilization."""

    class NVMLError(Exception):
        pass

    def __init__(self, *, has_driver: bool = True) -> None:
        super().__init__("pynvml")
        self.has_driver = has_driver
        self.sessions = 0

    def nvmlInit(self) -> None:
        if not self.has_driver:
            raise self.NVMLError("driver not loaded")
        self.sessions += 1

    def nvmlShutdown(self) -> None:
        self.sessions -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        assert self.sessions
        return index + 10

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(total=80_000, used=handle * 1000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        if handle == 11:
            raise self.NVMLError("not supported")
        return SimpleNamespace(gpu=75, memory=5)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNVML]:
    fake = FakeNVML()
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    yield fake
    assert fake.sessions == 0, "a session was left open"


def test_gpus_tell_memory_in_bytes_and_utilization_in_percent(nvml: FakeNVML) -> None:
    gpus = nvidia_gpus()
    assert [gpu.index for gpu in gpus] == [0, 1]
    assert [gpu.memory_bytes() for gpu in gpus] == [10_000.0, 11_000.0]
    assert gpus[0].utilization_percent() == 75.0


def test_what_a_gpu_does_not_tell_is_missing(nvml: FakeNVML) -> None:
    assert math.isnan(nvidia_gpus()[1].utilization_percent())


def test_machine_without_a_driver_has_no_gpus(nvml: FakeNVML) -> None:
    nvml.has_driver = False
    assert nvidia_gpus() == ()


def test_process_tells_what_it_uses() -> None:
    before, fresh = process_usage(), mmap(-1, 16 * 2**20)  # NumPy may reuse memory that was freed before
    fresh.write(b"1" * len(fresh))
    began = sum(os.times()[:2])
    while sum(os.times()[:2]) - began < 0.05:  # seconds of computing, however long they take
        pass
    after = process_usage()
    assert after.memory_bytes - before.memory_bytes > len(fresh) / 2
    assert 0.04 <= after.cpu_s - before.cpu_s < 60


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no resource module")
def test_memory_is_that_which_is_resident() -> None:
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    used = process_usage().memory_bytes
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    assert 0 < used <= 1.1 * most, "the kernel brings its two counters up to date at different moments"


@pytest.mark.parametrize("module, ask", [("psutil", process_usage), ("pynvml", nvidia_gpus)])
def test_missing_package_is_named_with_its_extra(
    module: str, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf'needs {module}\. .*"trainsignal\[system\]"'):
        ask()
