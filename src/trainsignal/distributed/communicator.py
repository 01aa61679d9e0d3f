"""What the ranks of a distributed training need of each other: a sum and a gather that nobody waits in.

Two collectives, both started and then asked after, since a rank that waits inside one cannot learn that
another has died. Imports neither PyTorch nor MPI: each has its own file beside this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.float64]
"""(n,) float64, n at least 1."""

Bytes: TypeAlias = NDArray[np.uint8]
"""(n,) uint8 of one rank, or (size, n) uint8 of all, n at least 1."""

_Result = TypeVar("_Result")
_Result_co = TypeVar("_Result_co", covariant=True)

_FIRST_PAUSE_S: Final = 20e-6
_LONGEST_PAUSE_S: Final = 2e-3
_LENGTH: Final = np.dtype("<u8")


class Pending(Protocol[_Result_co]):
    """A collective that this rank has started."""

    def is_done(self) -> bool:
        """Return whether it is over, well or not; never waits, and lets the library make progress."""
        ...

    def result(self) -> _Result_co:
        """Return what came of it, once `is_done()` has said that it is over.

        Raises:
            CommunicatorError: it failed, such as because a rank died.
        """
        ...


@runtime_checkable
class Communicator(Protocol):
    """The ranks of one training, as each of them sees it.

    Every rank starts the same collectives in the same order. None of it is for several threads at once.
    """

    @property
    def name(self) -> str:
        """What carries the collectives, for messages: "MPI"."""
        ...

    @property
    def rank(self) -> int:
        """0-based number of this process among those that train together."""
        ...

    @property
    def size(self) -> int:
        """How many processes train together, 1 or more."""
        ...

    def open(self) -> None:
        """Make a group of our own, so that our collectives never meet the training's; all ranks call it.

        Raises:
            CommunicatorError: the ranks cannot reach each other.
            ConfigurationError: there is no group of processes, or this one is not in it.
        """
        ...

    def close(self) -> None:
        """Give the group back where that needs no other rank; may be called twice, and when some are dead."""
        ...

    def start_sum(self, values: Numbers) -> Pending[Numbers]:
        """Start adding the values of all ranks up, each for itself; `values` may change at once.

        Args:
            values: (n,) float64, n the same on all ranks and at least 1.
        """
        ...

    def start_gather(self, row: Bytes) -> Pending[Bytes]:
        """Start gathering the rows of all ranks, (size, n) uint8 by rank; `row` may change at once.

        Args:
            row: (n,) uint8, n the same on all ranks and at least 1.
        """
        ...


def wait(
    pending: Pending[_Result],
    check: Callable[[], object],
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> _Result:
    """Return the result of a collective when it is there.

    Asks often at first, and every two milliseconds after a while.

    Args:
        pending: what was started.
        check: called each time that it is not there yet; what it raises ends the waiting.
        sleep: waits for so many seconds.

    Raises:
        CommunicatorError: the collective failed.
    """
    pause_s = _FIRST_PAUSE_S
    while not pending.is_done():
        check()
        sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return pending.result()


def gather_bytes(communicator: Communicator, content: bytes, check: Callable[[], object]) -> list[bytes]:
    """Return the contents of all ranks, by rank, which may differ in length.

    For small things: each rank holds as much as the longest one for each rank.

    Args:
        communicator: an open one.
        content: what this rank gives.
        check: called while there is nothing yet, as for `wait`.

    Raises:
        CommunicatorError: a collective failed.
    """
    length = np.array([len(content)], _LENGTH).view(np.uint8)
    lengths = wait(communicator.start_gather(length), check).view(_LENGTH)[:, 0].tolist()
    longest = max(lengths)
    if not longest:
        return [b""] * communicator.size
    row = np.zeros(longest, np.uint8)
    row[: len(content)] = np.frombuffer(content, np.uint8)
    rows = wait(communicator.start_gather(row), check)
    return [gathered[:size].tobytes() for gathered, size in zip(rows, lengths, strict=True)]
