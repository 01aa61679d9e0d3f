"""`SingleProcess`: a training by one process alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from trainsignal.distributed.communicator import Bytes, Numbers, Pending

_Result = TypeVar("_Result")


class SingleProcess:
    """Rank 0 of 1: whatever is started is done."""

    @property
    def name(self) -> str:
        """What carries the collectives, for messages."""
        return "one process"

    @property
    def rank(self) -> int:
        """0."""
        return 0

    @property
    def size(self) -> int:
        """1."""
        return 1

    def open(self) -> None:
        """Do nothing: there is no other rank."""

    def close(self) -> None:
        """Do nothing."""

    def start_sum(self, values: Numbers) -> Pending[Numbers]:
        """Return a copy of the values, as done."""
        return _Done(values.copy())

    def start_gather(self, row: Bytes) -> Pending[Bytes]:
        """Return a copy of the row as the only one, (1, n) uint8, as done."""
        return _Done(row.copy()[None])


@dataclass(frozen=True, slots=True)
class _Done(Generic[_Result]):
    """What needed no other rank."""

    value: _Result

    def is_done(self) -> bool:
        """Return True."""
        return True

    def result(self) -> _Result:
        """Return the value."""
        return self.value
