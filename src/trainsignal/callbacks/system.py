"""`SystemCallback`: memory, CPU and GPUs, beside the other series."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.frequency import Frequency, firings, row_of
from trainsignal.hardware import GPU, Usage, nvidia_gpus, process_usage
from trainsignal.shared_data import SharedData


class SystemCallback(Callback):
    """Writes, at epoch ends, what the process and the machine's NVIDIA GPUs use.

    The memory is that of the moment, the CPU the mean since the row before (the first: since train begin).
    GPUs have series where there are any, each for all processes on it. Needs the extra "system".
    """

    only_first = True

    def __init__(
        self,
        epoch_freq: Frequency = 1,
        *,
        gpus: Sequence[GPU] | None = None,
        usage: Callable[[], Usage] = process_usage,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        """Look which GPUs there are.

        Args:
            epoch_freq: write at every nth epoch, or at the 0-based epochs of a list.
            gpus: those to watch; None: all that NVML finds now.
            usage: returns what the process uses.
            clock: seconds, monotonic.

        Raises:
            ConfigurationError: psutil or nvidia-ml-py is not installed.
        """
        super().__init__(epoch_freq=epoch_freq)
        usage()  # so that a missing package is told of now
        self._gpus = tuple(nvidia_gpus() if gpus is None else gpus)
        self._usage = usage
        self._clock = clock
        self._axis: Frequency = epoch_freq
        self._cpu_s = self._asked_at = 0.0
        self._units = {keys.SYSTEM_MEMORY: "bytes", keys.SYSTEM_CPU: "percent"}
        for gpu in self._gpus:
            self._units |= {keys.gpu_memory(gpu.index): "bytes", keys.gpu_utilization(gpu.index): "percent"}
        self.writes = tuple(self._units)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        self._axis = self.epoch_freq  # of the series, whatever changes later
        for key, unit in self._units.items():
            attributes = {**keys.epoch_axis(self._axis), keys.UNITS: unit}
            callback_data.create_series(key, firings(self._axis, epochs), dtype="f8", attributes=attributes)
        self._cpu_s, self._asked_at = self._usage().cpu_s, self._clock()

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        usage, now = self._usage(), self._clock()
        values = {keys.SYSTEM_MEMORY: float(usage.memory_bytes)}
        if now > self._asked_at:
            values[keys.SYSTEM_CPU] = 100 * (usage.cpu_s - self._cpu_s) / (now - self._asked_at)
        self._cpu_s, self._asked_at = usage.cpu_s, now
        for gpu in self._gpus:
            values[keys.gpu_memory(gpu.index)] = gpu.memory_bytes()
            values[keys.gpu_utilization(gpu.index)] = gpu.utilization_percent()
        row = row_of(self._axis, epoch)
        for key, value in values.items():
            callback_data[key][row] = value

    def state_dict(self) -> dict[str, Any]:
        """Return nothing: clock and CPU time are those of this process."""
        return {}
