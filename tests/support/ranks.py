"""Ranks of a distributed training as threads of this process, with collectives that nobody waits in."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import pytest

from trainsignal.distributed.communicator import Bytes, Numbers
from trainsignal.errors import CommunicatorError, RunStateError

_Result = TypeVar("_Result")
Kind = Literal["sum", "gather"]


@dataclass
class _Collective:
    """The k-th collective, as far as ranks have started it."""

    kind: Kind
    length: int
    rows: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)


class ThreadRanks:
    """What the communicators of `size` ranks share. Each rank uses its own of `communicators`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.communicators = [ThreadCommunicator(self, rank) for rank in range(size)]
        self.gone: dict[int, str] = {}
        self.changed = threading.Condition()
        self._opened = [0] * size
        self._collectives: list[_Collective] = []

    def abandon(self, rank: int, why: str = "died") -> None:
        """Have a rank be gone, as if its process had been killed: what waits for it fails."""
        with self.changed:
            self.gone.setdefault(rank, why)
            self.changed.notify_all()

    def meet(self, rank: int) -> None:
        """Wait until all ranks have called this as often as this one.

        Raises:
            CommunicatorError: one of them is gone.
        """
        with self.changed:
            self._opened[rank] += 1
            times = self._opened[rank]
            self.changed.notify_all()

            def missing() -> list[int]:
                return [other for other, opened in enumerate(self._opened) if opened < times]

            self.changed.wait_for(lambda: not missing() or not self.gone.keys().isdisjoint(missing()))
            self._check_present(missing())

    def take_part(self, number: int, rank: int, kind: Kind, row: np.ndarray[Any, Any]) -> None:
        """Give this rank's row to the collective of that number.

        Fails the test where another rank has started something else as its collective of that number.
        """
        with self.changed:
            if number == len(self._collectives):
                self._collectives.append(_Collective(kind, len(row)))
            shared = self._collectives[number]
            if (shared.kind, shared.length) != (kind, len(row)):
                pytest.fail(
                    f"collective {number}: rank {rank} started a {kind} of {len(row)}, "
                    f"rank {min(shared.rows)} a {shared.kind} of {shared.length}"
                )
            shared.rows[rank] = row.copy()
            self.changed.notify_all()

    def is_done(self, number: int) -> bool:
        """Return whether all ranks have started it, or one that has not is gone."""
        with self.changed:
            missing = self._missing(number)
            return not missing or not self.gone.keys().isdisjoint(missing)

    def rows(self, number: int) -> np.ndarray[Any, Any]:
        """Return the rows of all ranks, by rank."""
        with self.changed:
            missing = self._missing(number)
            self._check_present(missing)
            if missing:
                pytest.fail(f"collective {number}: asked for its result before rank {missing[0]} started it")
            given = self._collectives[number].rows
            return np.stack([given[rank] for rank in range(self.size)])

    def _missing(self, number: int) -> list[int]:
        given = self._collectives[number].rows
        return [rank for rank in range(self.size) if rank not in given]

    def _check_present(self, ranks: list[int]) -> None:
        for rank in ranks:
            if rank in self.gone:
                raise CommunicatorError(f"threads: rank {rank} {self.gone[rank]}")


class ThreadCommunicator:
    """A `Communicator` of one of the ranks of `ranks`."""

    def __init__(self, ranks: ThreadRanks, rank: int) -> None:
        self.ranks = ranks
        self.is_open = False
        self.started = 0
        self._rank = rank

    @property
    def name(self) -> str:
        return "threads"

    @property
    def rank(self) -> int:
        return self._rank

    @property
    def size(self) -> int:
        return self.ranks.size

    def open(self) -> None:
        self.ranks.meet(self.rank)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def start_sum(self, values: Numbers) -> _ThreadPending[Numbers]:
        assert values.dtype == np.float64, f"a sum of {values.dtype}"
        return self._start("sum", values, lambda rows: rows.sum(axis=0))

    def start_gather(self, row: Bytes) -> _ThreadPending[Bytes]:
        assert row.dtype == np.uint8, f"a gather of {row.dtype}"
        return self._start("gather", row, lambda rows: rows)

    def _start(
        self, kind: Kind, row: np.ndarray[Any, Any], finish: Callable[[np.ndarray[Any, Any]], _Result]
    ) -> _ThreadPending[_Result]:
        assert row.ndim == 1 and row.size, f"a {kind} of shape {row.shape}"
        if not self.is_open:
            raise RunStateError(f"rank {self.rank}: the communicator is not open")
        number, self.started = self.started, self.started + 1
        self.ranks.take_part(number, self.rank, kind, row)
        return _ThreadPending(self.ranks, number, finish)


@dataclass(frozen=True)
class _ThreadPending(Generic[_Result]):
    """A collective that one rank has started."""

    ranks: ThreadRanks
    number: int
    finish: Callable[[np.ndarray[Any, Any]], _Result]

    def is_done(self) -> bool:
        return self.ranks.is_done(self.number)

    def result(self) -> _Result:
        return self.finish(self.ranks.rows(self.number))


def run_ranks(
    size: int, function: Callable[[ThreadCommunicator], _Result], timeout_s: float = 30.0
) -> list[_Result]:
    """Return what `function` returns on each rank, which are threads with an open communicator each.

    A rank whose function has ended is gone for the others: nothing can wait for it. The first error of a rank
    is raised, with a note of which rank's it was. Ranks that do not end in time fail the test, with the stack
    of each.

    Args:
        size: how many ranks.
        function: what each does.
        timeout_s: seconds, for all of it.
    """
    ranks = ThreadRanks(size)
    results: dict[int, _Result] = {}
    errors: list[BaseException] = []

    def work(communicator: ThreadCommunicator) -> None:
        try:
            communicator.open()
            results[communicator.rank] = function(communicator)
        except BaseException as error:  # noqa: BLE001 - raised below, in the thread of the test
            error.add_note(f"on rank {communicator.rank}")
            errors.append(error)
        finally:
            communicator.close()
            ranks.abandon(communicator.rank, "has ended")

    threads = [
        threading.Thread(target=work, args=(one,), name=f"rank {one.rank}", daemon=True)
        for one in ranks.communicators
    ]
    for thread in threads:
        thread.start()
    _join(threads, timeout_s)
    if errors:
        raise errors[0]
    return [results[rank] for rank in range(size)]


def _join(threads: list[threading.Thread], timeout_s: float) -> None:
    """Wait for threads; a hang fails the test with the stack of each that has not ended."""
    deadline = time.monotonic() + timeout_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    hanging = [thread for thread in threads if thread.is_alive()]
    if hanging:
        frames = sys._current_frames()
        stacks = [
            f"{thread.name}:\n{''.join(traceback.format_stack(frames[thread.ident]))}"
            for thread in hanging
            if thread.ident in frames
        ]
        pytest.fail(f"still running after {timeout_s:g} s:\n" + "\n".join(stacks), pytrace=False)
