from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Mapping
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.support.ranks import ThreadRanks
from trainsignal.distributed import SingleProcess
from trainsignal.distributed import torch as torch_file
from trainsignal.distributed.detect import can_agree, communicator_for
from trainsignal.errors import ConfigurationError

TORCHRUN = {"WORLD_SIZE": "4", "RANK": "0", "LOCAL_RANK": "0", "TORCHELASTIC_RUN_ID": "none"}
OF_TORCH = "trainsignal.distributed.torch.TorchCommunicator"
OF_MPI = "trainsignal.distributed.mpi.MPICommunicator"


@pytest.fixture(autouse=True)
def info(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainsignal")


def torch_of(size: int, is_available: bool = True) -> Any:
    """Return torch.distributed of so many processes; 0: not initialized."""
    return SimpleNamespace(
        is_available=lambda: is_available,
        is_initialized=lambda: size > 0,
        get_world_size=lambda: size,
    )


def test_given_communicator_is_used_whatever_the_environment(caplog: pytest.LogCaptureFixture) -> None:
    for given in (SingleProcess(), ThreadRanks(3).communicators[1]):
        assert communicator_for(given, environment=TORCHRUN) is given
    assert caplog.records == []


def test_one_process_alone_is_no_occasion_for_words(caplog: pytest.LogCaptureFixture) -> None:
    assert isinstance(communicator_for(None, environment={}), SingleProcess)
    assert caplog.records == []


def test_torch_distributed_of_several_processes_is_used_and_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = object()
    monkeypatch.setitem(sys.modules, "torch.distributed", torch_of(4))
    monkeypatch.setattr(torch_file, "TorchCommunicator", lambda: made)

    assert communicator_for(None, environment=TORCHRUN) is made

    [record] = caplog.records
    assert (record.levelname, record.getMessage()) == (
        "INFO", "the 4 processes of torch.distributed train together, as ranks of one run",
    )  # fmt: skip


@pytest.mark.parametrize("module", [None, torch_of(0), torch_of(4, is_available=False)])
def test_processes_that_know_nothing_of_each_other_are_warned_of_once(
    module: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.distributed", module)

    assert isinstance(communicator_for(None, environment=TORCHRUN), SingleProcess)

    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == (
        "torchrun has started 4 processes (WORLD_SIZE), and each trains for itself, as if it were alone. "
        "For one training by all of them, call torch.distributed.init_process_group() before the run "
        "begins. If each is to train for itself, give "
        "Callbacks(communicator=trainsignal.distributed.SingleProcess())"
    )


def test_process_that_torch_distributed_has_to_itself_is_not_warned(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "torch.distributed", torch_of(1))

    assert isinstance(communicator_for(None, environment=TORCHRUN), SingleProcess)
    assert caplog.records == []


@pytest.mark.parametrize(
    "environment, words",
    [
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, "torchrun has started 2 processes"),
        ({"WORLD_SIZE": "2", "RANK": "0", "TORCHELASTIC_RUN_ID": "x"}, "torchrun has started 2 processes"),
        ({"OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "0"}, "mpirun has started 3 processes"),
        ({"PMI_SIZE": "4", "PMI_RANK": "0"}, "mpiexec has started 4 processes"),
        ({"SLURM_STEP_NUM_TASKS": "5", "SLURM_PROCID": "0"}, "srun has started 5 processes"),
        ({"PMI_SIZE": "8", "PMI_RANK": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "0"}, "mpiexec has"),
    ],
)
def test_each_launcher_is_known(
    environment: Mapping[str, str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)

    communicator_for(None, environment=environment)

    [message] = caplog.messages
    assert message.startswith(words)
    assert "MPICommunicator()" in message or "init_process_group()" in message


@pytest.mark.parametrize(
    "environment",
    [
        {**TORCHRUN, "RANK": "1"},
        {**TORCHRUN, "WORLD_SIZE": "1"},
        {"WORLD_SIZE": "4", "RANK": "0"},
        {"WORLD_SIZE": "large", "RANK": "0", "LOCAL_RANK": "0"},
        {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "3"},
        {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0"},
        {"SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    ],
    ids=[
        "another rank says it", "torchrun of one", "a variable of anybody's", "no number",
        "another rank says it too", "mpirun of one", "batch script", "one process in an allocation for eight",
    ],
)  # fmt: skip
def test_no_false_alarm(
    environment: Mapping[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)

    assert isinstance(communicator_for(None, environment=environment), SingleProcess)
    assert caplog.records == []


def of(module: str, *bases: type) -> Any:
    """Return an object of a class that says that it comes from there."""
    return type("Given", bases, {"__module__": module})()


@pytest.mark.parametrize(
    "given, words",
    [
        (of("mpi4py.MPI"), f"{OF_MPI}(comm)"),
        (of("torch._C._distributed_c10d"), f"{OF_TORCH}(group)"),
        (of("users", type(of("torch.distributed"))), f"{OF_TORCH}(group)"),
        (ModuleType("torch.distributed"), f"{OF_TORCH}()"),
        (ModuleType("mpi4py.MPI"), f"{OF_MPI}()"),
        (ModuleType("horovod.torch"), f"where Horovod runs over MPI, give {OF_MPI}()"),
        (SingleProcess, "that is a class: give an object of it, SingleProcess()"),
        (type(of("mpi4py.MPI")), f"{OF_MPI}(comm)"),
        ("torch", f"{OF_TORCH}() or {OF_MPI}()"),
        (4, f"{OF_TORCH}() or {OF_MPI}()"),
        (ModuleType("users"), f"{OF_TORCH}() or {OF_MPI}()"),
    ],
    ids=[
        "comm of mpi4py", "process group", "subclass of one", "torch.distributed", "MPI", "Horovod",
        "a class of ours", "a class of theirs", "a name", "a number", "any module",
    ],
)  # fmt: skip
def test_what_is_no_communicator_is_refused_with_what_wraps_it(given: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        communicator_for(given)
    assert str(caught.value).startswith(f"communicator={given!r}: expected a communicator")


def test_neither_pytorch_nor_mpi_is_imported_to_find_out() -> None:
    script = """
import sys
from trainsignal.distributed.detect import can_agree, communicator_for
from trainsignal.errors import ConfigurationError
communicator_for(None)
try:
    communicator_for("mpi")
except ConfigurationError:
    assert "torch" not in sys.modules and "mpi4py" not in sys.modules
else:
    raise AssertionError
"""
    subprocess.run(
        [sys.executable, "-c", script], check=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60
    )


@pytest.mark.parametrize(
    "processes, of_torch, expected", [(1, 0, True), (1, 1, True), (2, 2, True), (2, 0, False), (2, 1, False)]
)
def test_processes_of_a_framework_agree_where_torch_has_brought_them_together(
    processes: int, of_torch: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainsignal.distributed.detect.torch_size", lambda: of_torch)
    assert can_agree(processes) is expected
