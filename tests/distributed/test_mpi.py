"""`MPICommunicator` in this process alone; several processes are in test_communicators_launched.py."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest

from trainsignal.distributed import Communicator
from trainsignal.distributed.communicator import wait
from trainsignal.errors import CommunicatorError, ConfigurationError, MissingPackageError, RunStateError

with mock.patch.dict(os.environ, {"OMPI_MCA_ess_singleton_isolated": "1"}):  # Open MPI: start no daemon
    from trainsignal.distributed import mpi
    from trainsignal.distributed.mpi import MPI, MPICommunicator


def nothing() -> None:
    """A check that has nothing to object to."""


class Request:
    """One of MPI's that is never done, or that fails."""

    def __init__(self, error: int | None = None) -> None:
        self.error = error

    def Test(self) -> bool:
        if self.error is not None:
            raise MPI.Exception(self.error)
        return False


class Comm:
    """A real communicator, but for what it answers to a few calls; counts how often it was freed."""

    def __init__(self, comm: Any, **answers: Any) -> None:
        self.comm = comm
        self.answers = answers
        self.freed = 0

    def __getattr__(self, name: str) -> Any:
        if name not in self.answers:
            return getattr(self.comm, name)
        answer = self.answers[name]

        def call(*arguments: Any) -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def Free(self) -> None:
        self.freed += 1
        self.comm.Free()


@pytest.fixture
def communicator() -> Iterator[MPICommunicator]:
    """One that is open."""
    one = MPICommunicator()
    one.open()
    yield one
    one.close()


def with_answers(communicator: MPICommunicator, **answers: Any) -> Comm:
    """Have MPI answer some calls of an open communicator otherwise."""
    comm = Comm(communicator._own, **answers)
    communicator._own = comm
    return comm


def test_process_of_its_own_is_rank_0_of_1() -> None:
    communicator: Communicator = MPICommunicator()

    assert (communicator.name, communicator.rank, communicator.size) == ("MPI", 0, 1)


def test_values_and_rows_may_change_at_once(communicator: MPICommunicator) -> None:
    values, row = np.array([1.5, np.nan]), np.array([7, 255], np.uint8)
    added, gathered = communicator.start_sum(values), communicator.start_gather(row)
    values[:], row[:] = 0, 0

    np.testing.assert_array_equal(wait(added, nothing), [1.5, np.nan])
    assert wait(gathered, nothing).tolist() == [[7, 255]]
    assert added.is_done()


def test_communicator_is_its_own_and_serves_again(communicator: MPICommunicator) -> None:
    for _ in range(3):
        assert MPI.Comm.Compare(communicator._own, MPI.COMM_WORLD) == MPI.CONGRUENT
        assert communicator._own.Get_errhandler() == MPI.ERRORS_RETURN
        communicator.close()
        communicator.close()
        communicator.open()
        assert wait(communicator.start_sum(np.ones(2)), nothing).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("start", ["start_sum", "start_gather"])
def test_collective_before_open_is_refused(start: str) -> None:
    with pytest.raises(RunStateError, match=r"call open\(\) first, on all ranks"):
        getattr(MPICommunicator(), start)(np.zeros(1))


def test_group_is_freed_when_all_is_done(communicator: MPICommunicator) -> None:
    comm = with_answers(communicator)
    wait(communicator.start_sum(np.ones(1)), nothing)

    communicator.close()

    assert comm.freed == 1


def test_what_is_under_way_is_left_alone_and_keeps_its_buffers() -> None:
    communicator = MPICommunicator()
    communicator.open()
    comm = with_answers(communicator, Iallreduce=Request())
    pending = communicator.start_sum(np.ones(1))
    assert not pending.is_done()
    buffer = weakref.ref(pending._value)  # type: ignore[attr-defined]  # what MPI writes into

    communicator.close()
    assert comm.freed == 0
    del communicator, comm, pending

    assert buffer() is not None


def test_failed_collective_says_what_mpi_says_and_nothing_is_freed_then(
    communicator: MPICommunicator,
) -> None:
    comm = with_answers(communicator, Iallreduce=Request(MPI.ERR_INTERN))

    with pytest.raises(CommunicatorError, match=r"^MPI: MPI_ERR_INTERN") as caught:
        wait(communicator.start_sum(np.ones(1)), nothing)

    assert isinstance(caught.value.__cause__, MPI.Exception)
    wait(communicator.start_gather(np.ones(1, np.uint8)), nothing)
    communicator.close()
    assert comm.freed == 0


def test_buffers_of_what_is_done_are_let_go(communicator: MPICommunicator) -> None:
    buffers = []
    for _ in range(5):
        pending = communicator.start_sum(np.ones(1))
        wait(pending, nothing)
        buffers.append(weakref.ref(pending._value))  # type: ignore[attr-defined]  # what MPI wrote into

    assert [buffer() for buffer in buffers[:-1]] == [None] * 4


@pytest.mark.parametrize("start", ["start_sum", "start_gather"])
def test_collective_that_mpi_does_not_start_is_an_error_of_the_communicator(
    start: str, communicator: MPICommunicator
) -> None:
    refusal = MPI.Exception(MPI.ERR_COMM)
    with_answers(communicator, Iallreduce=refusal, Iallgather=refusal)
    row = np.zeros(1, np.float64 if start == "start_sum" else np.uint8)

    with pytest.raises(CommunicatorError, match=r"^MPI: MPI_ERR_COMM"):
        getattr(communicator, start)(row)


@pytest.mark.parametrize("answer", [MPI.Exception(MPI.ERR_COMM), (None, Request(MPI.ERR_COMM))])
def test_group_that_mpi_does_not_make_is_an_error_of_the_communicator(answer: Any) -> None:
    communicator = MPICommunicator()
    communicator._given = Comm(MPI.COMM_WORLD, Idup=answer)

    with pytest.raises(CommunicatorError, match=r"^MPI: MPI_ERR_COMM"):
        communicator.open()

    communicator.close()


def test_part_of_the_world_will_do() -> None:
    part = MPI.COMM_WORLD.Split(3)
    communicator = MPICommunicator(part)
    communicator.open()

    assert MPI.Comm.Compare(communicator._own, part) == MPI.CONGRUENT

    communicator.close()
    part.Free()


@pytest.mark.parametrize(
    "comm", [MPI.COMM_NULL, MPI.Intracomm(), MPI.Intercomm(), MPI.Group(), MPI, "world"], ids=str
)
def test_what_is_no_communicator_of_processes_is_refused(comm: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected an intracommunicator of mpi4py"):
        MPICommunicator(comm)


@pytest.mark.parametrize("name, answer", [("Is_initialized", False), ("Is_finalized", True)])
def test_mpi_that_is_not_running_is_said(name: str, answer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MPI, name, lambda: answer)

    with pytest.raises(ConfigurationError, match="not initialized or has been finalized"):
        MPICommunicator()


def test_closing_after_mpi_was_finalized_calls_nothing(
    communicator: MPICommunicator, monkeypatch: pytest.MonkeyPatch
) -> None:
    comm = with_answers(communicator)
    monkeypatch.setattr(MPI, "Is_finalized", lambda: True)

    communicator.close()

    assert comm.freed == 0


def test_missing_library_is_told_from_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("cannot load MPI library\nlibmpi.so: no such file")

    monkeypatch.setattr(mpi, "require", fail)

    with pytest.raises(
        MissingPackageError, match=r"needs an MPI library, such as .* \(cannot load MPI library\)"
    ):
        mpi._load()


def output_of(script: str, **environment: str) -> str:
    """Return what a script prints in a process of its own, which no daemon of Open MPI's outlives."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "OMPI_MCA_ess_singleton_isolated": "1", **environment},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout


def test_error_is_raised_even_where_the_user_has_mpi_end_the_process() -> None:
    script = """
import mpi4py
mpi4py.rc.errors = "fatal"
from trainsignal.distributed.mpi import MPI, MPICommunicator
communicator = MPICommunicator()
communicator.open()
assert MPI.COMM_WORLD.Get_errhandler() == MPI.ERRORS_ARE_FATAL
print(communicator._own.Get_errhandler() == MPI.ERRORS_RETURN)
"""
    assert output_of(script) == "True\n"


def test_message_of_a_missing_library_is_what_a_user_sees() -> None:
    script = """
from trainsignal.errors import MissingPackageError
try:
    import trainsignal.distributed.mpi
except MissingPackageError as error:
    print(error)
"""
    assert "needs an MPI library" in output_of(script, MPI4PY_LIBMPI="/nowhere/libmpi.so")
