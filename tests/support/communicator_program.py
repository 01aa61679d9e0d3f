"""One rank of a few real processes that try a communicator; leaves what it saw as JSON.

torchrun ... communicator_program.py torch collectives /folder
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from trainsignal.distributed import Communicator
from trainsignal.distributed.communicator import gather_bytes, wait
from trainsignal.distributed.detect import communicator_for
from trainsignal.errors import CommunicatorError, ConfigurationError, TrainSignalError


class Torch:
    """What the program needs of torch.distributed."""

    def __init__(self) -> None:
        import torch
        import torch.distributed

        from trainsignal.distributed.torch import TorchCommunicator

        self.torch: Any = torch
        torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=30))
        self.rank, self.size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.communicator: Callable[..., Communicator] = TorchCommunicator

    def start_of_training(self, value: float) -> Callable[[], float]:
        """Start the training's own sum; return what waits for it."""
        tensor = self.torch.tensor([value], dtype=self.torch.float64)
        work = self.torch.distributed.all_reduce(tensor, async_op=True)

        def finish() -> float:
            work.wait()
            return float(tensor[0])

        return finish

    def group(self, ranks: list[list[int]]) -> Any:
        """Return this rank's one of several groups, or what stands for none."""
        groups = [self.torch.distributed.new_group(one) for one in ranks]
        own = [group for group, one in zip(groups, ranks, strict=True) if self.rank in one]
        return own[0] if own else groups[0]


class MPI:
    """What the program needs of mpi4py."""

    def __init__(self) -> None:
        from trainsignal.distributed.mpi import MPI as library
        from trainsignal.distributed.mpi import MPICommunicator

        self.library: Any = library
        self.world = library.COMM_WORLD
        self.rank, self.size = self.world.rank, self.world.size
        self.communicator: Callable[..., Communicator] = MPICommunicator

    def start_of_training(self, value: float) -> Callable[[], float]:
        """Start the training's own sum; return what waits for it."""
        array = np.array([value])
        request = self.world.Iallreduce(self.library.IN_PLACE, array)

        def finish() -> float:
            request.Wait()
            return float(array[0])

        return finish

    def group(self, ranks: list[list[int]]) -> Any:
        """Return this rank's one of several groups, or what stands for none."""
        colours = [colour for colour, one in enumerate(ranks) if self.rank in one]
        return self.world.Split(colours[0] if colours else self.library.UNDEFINED)


Library = Torch | MPI


def nothing() -> None:
    """A check that has nothing to object to."""


def collectives(library: Library) -> dict[str, Any]:
    """Sums, rows and bytes, again after the communicator was closed and opened."""
    communicator = library.communicator()
    numbers = np.random.default_rng(communicator.rank).normal(size=1000)
    seen: dict[str, Any] = {
        "name": communicator.name,
        "place": [communicator.rank, communicator.size],
        "found": communicator_for(None).name,
    }
    for _ in range(3):
        communicator.open()
        pending = communicator.start_sum(numbers.copy())
        row = communicator.start_gather(np.array([communicator.rank, 255], np.uint8))
        seen["gathered"] = wait(row, nothing).tolist()
        added = wait(pending, nothing)
        everybody = sum(np.random.default_rng(rank).normal(size=1000) for rank in range(communicator.size))
        seen["is right"] = bool(np.allclose(added, everybody, rtol=0, atol=1e-12))
        seen["bits"] = added.tobytes().hex()
        texts = gather_bytes(communicator, b"x" * 1000 * communicator.rank, nothing)
        seen["lengths"] = [len(text) for text in texts]
        communicator.close()
        communicator.close()
    return seen


def beside(library: Library) -> dict[str, Any]:
    """The training's own collective is under way, which some ranks start before ours and some after."""
    communicator = library.communicator()
    communicator.open()
    trained, agreed = [], []
    for number in range(20):
        if communicator.rank % 2:
            finish = library.start_of_training(number)
            pending = communicator.start_sum(np.ones(1))
        else:
            pending = communicator.start_sum(np.ones(1))
            finish = library.start_of_training(number)
        if number % 2:
            agreed.append(wait(pending, nothing).item())
            trained.append(finish())
        else:
            trained.append(finish())
            agreed.append(wait(pending, nothing).item())
    communicator.close()
    return {"trained": trained, "agreed": agreed}


def part(library: Library) -> dict[str, Any]:
    """Two trainings among four processes, each opened twice, and one process that is in none."""
    given = library.group([[0, 2], [3]])
    try:
        communicator = library.communicator(given)
    except ConfigurationError as error:
        return {"error": str(error)}
    added = []
    for _ in range(2):
        communicator.open()
        added.append(wait(communicator.start_sum(np.array([float(library.rank)])), nothing).item())
        communicator.close()
    return {"place": [communicator.rank, communicator.size], "added": added}


def killed(library: Library) -> dict[str, Any]:
    """The last rank is killed while the others wait for it."""
    communicator = library.communicator()
    communicator.open()
    wait(communicator.start_sum(np.ones(1)), nothing)
    if communicator.rank == communicator.size - 1:
        os.kill(os.getpid(), signal.SIGKILL)
    begun_s = time.monotonic()
    told: list[float] = []

    def note(number: int, frame: FrameType | None) -> None:
        told.append(time.monotonic() - begun_s)

    def check() -> None:
        if told and isinstance(library, MPI):
            raise TimeoutError

    signal.signal(signal.SIGTERM, note)
    try:
        wait(communicator.start_sum(np.ones(1)), check)
        seen = "a sum"
    except CommunicatorError as error:
        seen = str(error)
    except TimeoutError:
        seen = "SIGTERM"
    closing_s = time.monotonic()
    communicator.close()
    return {
        "seen": seen,
        "after_s": closing_s - begun_s,
        "closed_s": time.monotonic() - closing_s,
    }


def stopped(library: Library) -> dict[str, Any]:
    """The last rank is stopped, and the first one closes with a sum under way."""
    communicator = library.communicator()
    communicator.open()
    told = gather_bytes(communicator, str(os.getpid()).encode(), nothing)
    other = int(told[-1])
    if communicator.rank:
        os.kill(other, signal.SIGSTOP)
        communicator.close()
        return {}
    while "State:\tT" not in Path(f"/proc/{other}/status").read_text():
        time.sleep(0.01)
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 50:
            raise TimeoutError

    try:
        wait(communicator.start_sum(np.ones(1)), check)
        seen = "a sum"
    except TimeoutError:
        seen = "nothing"
    begun_s = time.monotonic()
    communicator.close()
    closed_s = time.monotonic() - begun_s
    if isinstance(library, MPI):  # whose end waits for all
        os.kill(other, signal.SIGCONT)
    return {"seen": seen, "closed_s": closed_s, "pids": [os.getpid(), other]}


TASKS = {task.__name__: task for task in (collectives, beside, part, killed, stopped)}


def main() -> None:
    """Do one of the above, and leave what came of it."""
    name, task, folder = sys.argv[1:4]
    library = Torch() if name == "torch" else MPI()
    try:
        seen = TASKS[task](library)
    except TrainSignalError as error:
        seen = {"error": f"{type(error).__name__}: {error}"}
    aside = Path(folder) / f"{library.rank}.part"
    aside.write_text(json.dumps(seen))
    aside.rename(aside.with_suffix(".json"))
    if task == "killed" and isinstance(library, MPI):
        os._exit(0)  # not through MPI_Finalize, which waits for the dead one


if __name__ == "__main__":
    main()
