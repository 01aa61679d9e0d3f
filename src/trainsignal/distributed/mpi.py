"""`MPICommunicator`: the processes that MPI has started together.

The only file that imports mpi4py, which initializes MPI when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import numpy as np

from trainsignal.distributed.communicator import Bytes, Numbers, Pending, wait
from trainsignal.errors import CommunicatorError, ConfigurationError, MissingPackageError, RunStateError
from trainsignal.extras import require

_USER: Final = "trainsignal.distributed.mpi"


def _load() -> Any:
    """Return mpi4py.

    Raises:
        MissingPackageError: it is not installed, or finds no MPI library.
    """
    try:
        return require("mpi4py.MPI", extra="mpi", user=_USER, at_least="4")
    except RuntimeError as error:
        raise MissingPackageError(
            f"{_USER} needs an MPI library, such as Open MPI or MPICH: install one with the system's package "
            f"manager, or load its module ({str(error).partition(chr(10))[0]})"
        ) from error


MPI: Any = _load()

_Result = TypeVar("_Result")


class MPICommunicator:
    """The ranks of a communicator of mpi4py.

        callbacks = Callbacks(model, communicator=MPICommunicator())

    Under `mpirun -n N python -m mpi4py script.py`, an error of one rank ends them all; without `-m mpi4py`,
    that rank waits in MPI_Finalize for the others. What waits for a rank that died does so until `mpirun`
    ends this one too.

    Args:
        comm: the processes that train together, an `MPI.Intracomm`; None: `MPI.COMM_WORLD`.

    Raises:
        ConfigurationError: `comm` is no such communicator, or MPI is not initialized or has been finalized.
    """

    def __init__(self, comm: Any = None) -> None:
        if not MPI.Is_initialized() or MPI.Is_finalized():
            raise ConfigurationError(
                "MPICommunicator needs MPI, which is not initialized or has been finalized: make it after "
                "MPI.Init(), which mpi4py calls by itself when it is imported, and before MPI.Finalize()"
            )
        given = MPI.COMM_WORLD if comm is None else comm
        if not isinstance(given, MPI.Intracomm) or given == MPI.COMM_NULL:
            raise ConfigurationError(
                f"MPICommunicator(comm={comm!r}): expected an intracommunicator of mpi4py that this process "
                "is in, such as MPI.COMM_WORLD or what comm.Split(color) returns"
            )
        self._given = given
        self._rank = int(given.rank)
        self._size = int(given.size)
        self._own: Any = None
        self._key: int = MPI.KEYVAL_INVALID
        self._started: list[_Request[Any]] = []

    @property
    def name(self) -> str:
        """What carries the collectives, for messages."""
        return "MPI"

    @property
    def rank(self) -> int:
        """0-based number of this process in the communicator."""
        return self._rank

    @property
    def size(self) -> int:
        """How many processes are in the communicator."""
        return self._size

    def open(self) -> None:
        """Duplicate the given communicator, once all of its ranks have called this.

        Raises:
            CommunicatorError: MPI says no.
        """
        try:
            own, request = self._given.Idup()
            self._started = [opening := _Request(request, own)]
            wait(opening, _go_on)
            own.Set_errhandler(MPI.ERRORS_RETURN)
            # MPI writes into the buffers of what is under way even if nobody asks any more: they live as long
            self._key = MPI.Comm.Create_keyval()
            self._started = []
            own.Set_attr(self._key, self._started)
        except MPI.Exception as error:
            raise _refusal(error) from error
        self._own = own

    def close(self) -> None:
        """Give the duplicate back if nothing is under way in it and nothing went wrong.

        Else it is left to the end of the process. By the standard MPI_Comm_free is a collective, though one
        that it expects to be local: Open MPI frees within a millisecond while another rank stands still.
        Never to free would have a process of many runs end at the library's limit of communicators.
        """
        own, self._own = self._own, None
        if own is None or MPI.Is_finalized():
            return
        if all(one.is_done() and one.error is None for one in self._started):
            own.Free()
            MPI.Comm.Free_keyval(self._key)

    def start_sum(self, values: Numbers) -> Pending[Numbers]:
        """Start adding the values of all ranks up.

        Raises:
            CommunicatorError: MPI says no.
            RunStateError: it is not open.
        """
        return self._start(self._group().Iallreduce, values.copy())

    def start_gather(self, row: Bytes) -> Pending[Bytes]:
        """Start gathering the rows of all ranks.

        Raises:
            CommunicatorError: MPI says no.
            RunStateError: it is not open.
        """
        rows = np.empty((self.size, len(row)), np.uint8)
        rows[self.rank] = row
        return self._start(self._group().Iallgather, rows)

    def _group(self) -> Any:
        if self._own is None:
            raise RunStateError("MPICommunicator is not open: call open() first, on all ranks")
        return self._own

    def _start(self, collective: Callable[[Any, Any], Any], numbers: _Result) -> Pending[_Result]:
        """Start what reads this rank's part from `numbers`, and writes its result there."""
        try:
            request = collective(MPI.IN_PLACE, numbers)
        except MPI.Exception as error:
            raise _refusal(error) from error
        pending = _Request(request, numbers)
        self._started[:] = [one for one in self._started if one.error is not None or not one.is_done()]
        self._started.append(pending)
        return pending


class _Request(Generic[_Result]):
    """What MPI was asked for, and the value that it fills in."""

    def __init__(self, request: Any, value: _Result) -> None:
        self.error: Exception | None = None
        self._request = request
        self._value = value
        self._is_done = False

    def is_done(self) -> bool:
        """Return whether MPI has ended it; has MPI go on, which it does nowhere else."""
        if not self._is_done:
            try:
                self._is_done = bool(self._request.Test())
            except MPI.Exception as error:
                self.error, self._is_done = error, True
        return self._is_done

    def result(self) -> _Result:
        """Return the value.

        Raises:
            CommunicatorError: MPI failed.
        """
        if self.error is not None:
            raise _refusal(self.error) from self.error
        return self._value


def _go_on() -> None:
    """Object to nothing while ranks wait for each other."""


def _refusal(error: Exception) -> CommunicatorError:
    return CommunicatorError(f"MPI: {error}")
