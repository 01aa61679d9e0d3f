"""Trainings of several real processes, by torchrun and mpirun, within a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py

PROGRAM = Path(__file__).with_name("rank_program.py")
FRAMEWORK_PROGRAM = Path(__file__).with_name("framework_program.py")
LIMIT_S = 120
"""A training that takes longer hangs."""

Library = Literal["torch", "mpi"]
Framework = Literal["lightning", "transformers", "ignite"]


@dataclass(frozen=True)
class Launched:
    """What became of a training.

    Attributes:
        status: exit status of the launcher.
        ranks: what each rank has left, None where it has left nothing.
        output: of the launcher and all ranks.
        folder: with the files.
    """

    status: int
    ranks: list[dict[str, Any] | None]
    output: str
    folder: Path

    def archive(self) -> dict[str, Any]:
        """Return series and what is known of the run, from the archive."""
        with h5py.File(str(self.folder / "run.h5")) as file:
            config = file["config"].attrs
            return {
                "loss": file["cost/loss"][:].tolist(),
                "metric": file["metrics/absolute_error"][:].tolist(),
                "train": file["cost/train"][:].tolist(),
                "reason": config.get("exit_reason"),
                "detail": config.get("exit_detail"),
                "epochs": int(file["time_markers"].attrs["epochs_complete"]),
            }


def command(library: Library, ranks: int) -> list[str]:
    """Return what starts so many processes that run a script."""
    if library == "torch":
        return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
    return [
        "mpirun",
        "--allow-run-as-root",
        "--oversubscribe",
        "-n",
        str(ranks),
        sys.executable,
        "-m",
        "mpi4py",
    ]


def environment() -> dict[str, str]:
    """Return the environment in which ranks import what this process imports, on a thread each."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}


def launch(library: Library, ranks: int, folder: Path, **fate: Any) -> Launched:
    """Train with so many ranks; see `rank_program`."""
    return trained([*command(library, ranks), str(PROGRAM), library], ranks, folder, {"rank": -1, **fate})


def launch_framework(framework: Framework, ranks: int, folder: Path, **fate: Any) -> Launched:
    """Train with so many ranks by a framework; see `framework_program`."""
    # Lightning starts the other ranks itself
    start = [sys.executable] if framework == "lightning" else command("torch", ranks)
    fate = {"rank": -1, "size": ranks, **fate}
    return trained([*start, str(FRAMEWORK_PROGRAM), framework], ranks, folder, fate)


def trained(program: list[str], ranks: int, folder: Path, fate: dict[str, Any]) -> Launched:
    """Have `program`, which takes FOLDER and FATE, train within the time limit."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("rank*.json"):
        old.unlink()
    process = subprocess.Popen(
        [*program, str(folder), json.dumps(fate)], env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        raise AssertionError(f"{ranks} ranks hang, fate {fate}:\n{output[-6000:]}") from None
    left = [folder / f"rank{rank}.json" for rank in range(ranks)]
    return Launched(
        process.returncode,
        [json.loads(file.read_text()) if file.exists() else None for file in left],
        output,
        folder,
    )
