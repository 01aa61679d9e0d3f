"""Which communicator a run uses: the one that was given, or what is found in this process.

Looks at what is loaded and at the environment; imports PyTorch's file only where PyTorch runs already.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any, Final

from trainsignal.distributed.communicator import Communicator
from trainsignal.distributed.single import SingleProcess
from trainsignal.errors import ConfigurationError

_logger = logging.getLogger(__name__)

_TORCH: Final = "trainsignal.distributed.torch.TorchCommunicator"
_MPI: Final = "trainsignal.distributed.mpi.MPICommunicator"


@dataclass(frozen=True, slots=True)
class _Launcher:
    """What a launcher of several processes tells each of them in its environment.

    Attributes:
        name: of the launcher, for the message.
        size: variable with the number of processes.
        rank: variable with the 0-based number of this one.
        sign: variables of which one is there too, if the launcher has set the others; none: no need.
        remedy: what makes one training of them.
    """

    name: str
    size: str
    rank: str
    sign: tuple[str, ...]
    remedy: str


_BY_TORCH: Final = "call torch.distributed.init_process_group() before the run begins"
_BY_MPI: Final = f"give Callbacks(communicator={_MPI}())"

_LAUNCHERS: Final = (
    _Launcher("torchrun", "WORLD_SIZE", "RANK", ("TORCHELASTIC_RUN_ID", "LOCAL_RANK"), _BY_TORCH),
    _Launcher("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", (), _BY_MPI),
    _Launcher("mpiexec", "PMI_SIZE", "PMI_RANK", (), _BY_MPI),
    # not SLURM_NTASKS, which a batch script has too, where one process runs alone
    _Launcher("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", (), f"{_BY_TORCH}, or {_BY_MPI}"),
)

_WRAPPERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "torch": f"give {_TORCH}(), or {_TORCH}(group) of a process group",
        "mpi4py": f"give {_MPI}(), or {_MPI}(comm) of an intracommunicator",
        "horovod": f"where Horovod runs over MPI, give {_MPI}()",
    }
)


def communicator_for(given: object | None, *, environment: Mapping[str, str] = os.environ) -> Communicator:
    """Return the communicator of a run, not open yet.

    With None it is torch.distributed if that is initialized for several processes, and one process else.

    Args:
        given: a communicator; None: what is found.
        environment: of this process; tells whether others were started with it.

    Raises:
        ConfigurationError: it is no communicator.
        MissingPackageError: the processes of a PyTorch that is too old train together.
    """
    if given is not None:
        return _checked(given)
    size = torch_size()
    if size > 1:
        from trainsignal.distributed.torch import TorchCommunicator

        _logger.info("the %d processes of torch.distributed train together, as ranks of one run", size)
        return TorchCommunicator()
    if size == 0:
        _warn_of_others(environment)
    return SingleProcess()


def can_agree(processes: int) -> bool:
    """Return whether all processes of a framework can drive callbacks, as ranks that stop together.

    Where they cannot, as the framework has brought them together by something else than torch.distributed,
    the first one alone drives.

    Args:
        processes: how many the framework has.
    """
    return processes in (1, torch_size())


def torch_size() -> int:
    """Return how many processes torch.distributed has brought together; 0 where it has not."""
    distributed: Any = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return 0
    return int(distributed.get_world_size())


def _warn_of_others(environment: Mapping[str, str]) -> None:
    """Say, in the first of them, that a launcher has started several processes that train apart."""
    for launcher in _LAUNCHERS:
        size = _number(environment.get(launcher.size))
        is_told = not launcher.sign or not environment.keys().isdisjoint(launcher.sign)
        if size > 1 and is_told:
            if _number(environment.get(launcher.rank)) == 0:
                _logger.warning(
                    "%s has started %d processes (%s), and each trains for itself, as if it were alone. For "
                    "one training by all of them, %s. If each is to train for itself, give "
                    "Callbacks(communicator=trainsignal.distributed.SingleProcess())",
                    launcher.name, size, launcher.size, launcher.remedy,
                )  # fmt: skip
            return


def _number(text: str | None) -> int:
    """Return the number that a variable holds; 0 where it holds none."""
    return int(text) if text is not None and text.isdecimal() else 0


def _checked(given: object) -> Communicator:
    """Return what was given, which is a communicator.

    Raises:
        ConfigurationError: it is not; the message names the class that wraps it, where there is one.
    """
    if not isinstance(given, type) and isinstance(given, Communicator):
        return given
    hint = _hint(given) or f"give {_TORCH}() or {_MPI}()"
    raise ConfigurationError(
        f"communicator={given!r}: expected a communicator of trainsignal.distributed; {hint}, or None to "
        "have one found"
    )


def _hint(given: object) -> str | None:
    """Return what to give instead; None where that cannot be told."""
    if isinstance(given, ModuleType):
        origins = [given.__name__]
    else:
        kind: type[Any] = given if isinstance(given, type) else type(given)
        origins = [one.__module__ for one in kind.__mro__]
    packages = [origin.partition(".")[0] for origin in origins]
    if isinstance(given, type) and packages[0] == "trainsignal":
        return f"that is a class: give an object of it, {given.__name__}()"
    return next((_WRAPPERS[package] for package in packages if package in _WRAPPERS), None)
