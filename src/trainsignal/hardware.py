"""What the process and the GPUs of the machine use at a moment; the only file that asks psutil and NVML.

Both are imported when they are asked, and are not needed otherwise. Keeps nothing between two questions.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

from trainsignal.extras import require

EXTRA = "system"
USER = "watching the system"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process uses.

    Attributes:
        memory_bytes: physical memory that it holds.
        cpu_s: seconds that all its threads have computed since it began, one core each.
    """

    memory_bytes: int
    cpu_s: float


class GPU(Protocol):
    """One GPU."""

    @property
    def index(self) -> int:
        """0-based, as NVML counts, whatever CUDA_VISIBLE_DEVICES says."""
        ...

    def memory_bytes(self) -> float:
        """Return the memory in use, by all processes; NaN where it does not tell."""
        ...

    def utilization_percent(self) -> float:
        """Return the share of the last moments in which it was computing; NaN where it does not tell."""
        ...


def process_usage() -> Usage:
    """Return what this process uses now.

    Raises:
        ConfigurationError: psutil is not installed.
    """
    process = require("psutil", EXTRA, USER).Process()
    times = process.cpu_times()
    return Usage(memory_bytes=process.memory_info().rss, cpu_s=times.user + times.system)


def nvidia_gpus() -> tuple[GPU, ...]:
    """Return the NVIDIA GPUs of the machine; none where there is no driver.

    Raises:
        ConfigurationError: nvidia-ml-py is not installed.
    """
    nvml = require("pynvml", EXTRA, USER)
    try:
        with _session(nvml):
            return tuple(NvidiaGPU(index) for index in range(nvml.nvmlDeviceGetCount()))
    except nvml.NVMLError:
        return ()


@dataclass(frozen=True, slots=True)
class NvidiaGPU:
    """A GPU that NVML knows."""

    index: int

    def memory_bytes(self) -> float:
        """Return the memory in use, by all processes; NaN where it does not tell."""
        return self._ask("nvmlDeviceGetMemoryInfo", "used")

    def utilization_percent(self) -> float:
        """Return the share of the last moments in which it was computing; NaN where it does not tell."""
        return self._ask("nvmlDeviceGetUtilizationRates", "gpu")

    def _ask(self, question: str, field: str) -> float:
        nvml = require("pynvml", EXTRA, USER)
        try:
            with _session(nvml):
                answer = getattr(nvml, question)(nvml.nvmlDeviceGetHandleByIndex(self.index))
                return float(getattr(answer, field))
        except nvml.NVMLError:  # one split in parts has no utilization; a driver may be updated amid a run
            return math.nan


@contextlib.contextmanager
def _session(nvml: Any) -> Generator[None]:
    """Have NVML at hand; sessions are counted, so that those of others are not ended."""
    nvml.nvmlInit()
    try:
        yield
    finally:
        nvml.nvmlShutdown()
