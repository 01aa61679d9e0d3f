"""Trainings of forked ranks that meet a fate: started, struck, waited for; within a time limit.

For a process that has imported this module and started no thread, of which each rank is a fork: Python with
its imports takes seconds to start.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from tests.support.forked_rank import Orders, be_rank

PATIENCE_S = 60.0
"""For all ranks to begin, and for the fate of one that chooses the moment itself."""

HALTED_S = 0.5
"""From the moment at which a rank halts until it is killed."""

_LOOK_S = 0.005
_TO_TELL_S = 0.5


@dataclass(frozen=True)
class Blow:
    """What is done to ranks from outside.

    Attributes:
        signals: which ones, each sent to all of `ranks` at once.
        ranks: to whom.
        after_s: seconds from the moment at which all ranks are in their first epoch.
        pause_s: seconds between two signals.
    """

    signals: Sequence[signal.Signals]
    ranks: Sequence[int]
    after_s: float
    pause_s: float = 0.0


@dataclass(frozen=True)
class Left:
    """What is left of one rank.

    Attributes:
        status: exit status, the negative number of the signal that killed it; None: it hung.
        told: what it said at its end, or None.
        log: what it printed.
    """

    status: int | None
    told: dict[str, Any] | None
    log: str


@dataclass(frozen=True)
class Outcome:
    """What became of a training.

    Attributes:
        ranks: what is left of each.
        took_s: seconds from the fate to the end of the last rank.
    """

    ranks: list[Left]
    took_s: float

    def __str__(self) -> str:
        lines = [f"{self.took_s:.1f} s after its fate:"]
        for rank, left in enumerate(self.ranks):
            lines += [f"-- rank {rank}: status {left.status}, told {left.told}", left.log[-4000:]]
        return "\n".join(lines)


def conduct(orders: Orders, limit_s: float, *, serve_store: bool, blow: Blow | None = None) -> Outcome:
    """Train with forked ranks, and return what became of them.

    Args:
        orders: for all ranks.
        limit_s: seconds from the fate, or from the begin, within which all are to end; then they are killed.
        serve_store: whether the first rank serves the store, which else is a file.
        blow: what is done to them; None: nothing, or what one does to itself.
    """
    for old in _marks(orders.folder):
        old.unlink()
    processes = multiprocessing.get_context("fork")
    with ExitStack() as stack:
        if serve_store:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            orders = replace(orders, listener=listener)
        ranks = [processes.Process(target=be_rank, args=(rank, orders)) for rank in range(orders.size)]
        stack.callback(_kill, ranks)
        for rank in ranks:
            rank.start()
        struck_s = _strike(ranks, orders, blow)
        for rank in ranks:
            rank.join(max(0.0, struck_s + limit_s - time.monotonic()))
        took_s = time.monotonic() - struck_s
        _show_where([rank for rank in ranks if rank.exitcode is None])
        return Outcome([_left(orders.folder, number, rank) for number, rank in enumerate(ranks)], took_s)


def _marks(folder: Path) -> list[Path]:
    """Return what an earlier training has left in a folder beside its archive and checkpoints."""
    names = ("rank*.json", "log*", "begun*", "struck", "store", "announced")
    return [file for name in names for file in folder.glob(name)]


def _strike(ranks: Sequence[ForkProcess], orders: Orders, blow: Blow | None) -> float:
    """Do what is to be done to the ranks, or wait until one has done it; return when that was."""
    if blow is not None:
        _wait_for([orders.folder / f"begun{rank}" for rank in range(orders.size)])
        time.sleep(blow.after_s)
        for number, one in enumerate(blow.signals):
            time.sleep(blow.pause_s if number else 0.0)
            for rank in blow.ranks:
                os.kill(ranks[rank].pid or 0, one)
    elif orders.deed is not None:
        _wait_for([orders.folder / "struck"])
        if orders.deed.act == "halt":
            time.sleep(HALTED_S)
            ranks[orders.victim].kill()
    return time.monotonic()


def _wait_for(files: Sequence[Path]) -> None:
    """Wait until ranks have left these files.

    Raises:
        AssertionError: they do not come in time.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while missing := [file.name for file in files if not file.exists()]:
        assert time.monotonic() < deadline_s, f"no {missing} within {PATIENCE_S} s; see {files[0].parent}"
        time.sleep(_LOOK_S)


def _show_where(hanging: Sequence[ForkProcess]) -> None:
    """Have ranks that hang write into their logs where they are."""
    for rank in hanging:
        os.kill(rank.pid or 0, signal.SIGUSR1)
    if hanging:
        time.sleep(_TO_TELL_S)


def _kill(ranks: Sequence[ForkProcess]) -> None:
    for rank in ranks:
        if rank.pid is not None:
            rank.kill()
            rank.join()


def _left(folder: Path, number: int, rank: ForkProcess) -> Left:
    told = folder / f"rank{number}.json"
    log = (folder / f"log{number}").read_text(errors="replace")
    return Left(rank.exitcode, json.loads(told.read_text()) if told.exists() else None, log)
