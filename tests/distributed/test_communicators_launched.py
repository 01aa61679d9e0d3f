"""The communicators between real processes, which torchrun and mpirun start and end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import communicator_program
from tests.support.launching import Library, command, environment

LIMIT_S = 90

HANGING_S = 30
"""What takes longer waits for something that does not come."""
"""What takes longer hangs."""

BOTH = pytest.mark.parametrize("library", ["torch", "mpi"])
NAMES = {"torch": "torch.distributed", "mpi": "MPI"}


@contextmanager
def started(library: Library, ranks: int, task: str, folder: Path) -> Generator[subprocess.Popen[str]]:
    """Have so many processes do a task; they are gone after the block."""
    process = subprocess.Popen(
        [*command(library, ranks), communicator_program.__file__, library, task, str(folder)],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def seen(folder: Path, ranks: list[int]) -> list[dict[str, Any]]:
    """Return what these ranks have left."""
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in ranks]


def done(library: Library, ranks: int, task: str, folder: Path) -> list[dict[str, Any]]:
    """Return what each rank saw of a task that all of them ended in order."""
    with started(library, ranks, task, folder) as process:
        output, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, output
    return seen(folder, list(range(ranks)))


@BOTH
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_sums_and_rows_are_those_of_all_processes(library: Library, ranks: int, tmp_path: Path) -> None:
    told = done(library, ranks, "collectives", tmp_path)

    assert [one["place"] for one in told] == [[rank, ranks] for rank in range(ranks)]
    for one in told:
        assert one["name"] == NAMES[library]
        assert one["found"] == (one["name"] if library == "torch" and ranks > 1 else "one process")
        assert one["is right"]
        assert one["gathered"] == [[rank, 255] for rank in range(ranks)]
        assert one["lengths"] == [1000 * rank for rank in range(ranks)]
    assert len({one["bits"] for one in told}) == 1


@BOTH
def test_collectives_of_the_training_that_are_under_way_are_not_disturbed(
    library: Library, tmp_path: Path
) -> None:
    for one in done(library, 4, "beside", tmp_path):
        assert one["trained"] == [4.0 * number for number in range(20)]
        assert one["agreed"] == [4.0] * 20


@BOTH
def test_trainings_of_some_of_the_processes_do_not_meet_and_who_is_in_none_is_told(
    library: Library, tmp_path: Path
) -> None:
    first, outside, second, alone = done(library, 4, "part", tmp_path)

    assert first == {"place": [0, 2], "added": [2.0, 2.0]}
    assert second == {"place": [1, 2], "added": [2.0, 2.0]}
    assert alone == {"place": [0, 1], "added": [3.0, 3.0]}
    expected = {
        "torch": "rank 1 is not in the group",
        "mpi": "an intracommunicator of mpi4py that this process",
    }
    assert expected[library] in outside["error"]


def test_death_of_a_process_ends_what_waits_for_it_under_gloo(tmp_path: Path) -> None:
    with started("torch", 4, "killed", tmp_path) as process:
        output, _ = process.communicate(timeout=LIMIT_S)

    assert process.returncode != 0, output
    for one in seen(tmp_path, [0, 1, 2]):
        assert one["seen"].startswith("torch.distributed: "), output
        assert max(one["after_s"], one["closed_s"]) < HANGING_S


def test_death_of_a_process_is_not_seen_by_open_mpi_until_mpirun_ends_the_others(tmp_path: Path) -> None:
    with started("mpi", 3, "killed", tmp_path) as process:
        output, _ = process.communicate(timeout=LIMIT_S)

    assert process.returncode == 128 + signal.SIGKILL, output
    for one in seen(tmp_path, [0, 1]):
        assert one["seen"] == "SIGTERM", output
        assert max(one["after_s"], one["closed_s"]) < HANGING_S


@BOTH
def test_communicator_closes_while_another_process_stands_still(library: Library, tmp_path: Path) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    with started(library, 2, "stopped", tmp_path) as process:
        while not (tmp_path / "0.json").exists():
            assert time.monotonic() < deadline_s and process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        [first] = seen(tmp_path, [0])
        assert first["seen"] == "nothing"
        assert first["closed_s"] < HANGING_S
        if library == "torch":
            own, other = first["pids"]
            while not has_ended(own):  # although gloo still waits for the other one
                assert time.monotonic() < deadline_s, "the process hangs at its end"
                time.sleep(0.05)
            os.kill(other, signal.SIGKILL)
        process.communicate(timeout=LIMIT_S)


def has_ended(pid: int) -> bool:
    """Return whether a process is gone, or a zombie."""
    try:
        return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
