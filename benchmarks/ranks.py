"""What do callbacks add to a training by four ranks, and how often do the ranks talk because of them?

One machine, gloo, PyTorch's DistributedDataParallel. Epochs with callbacks and epochs without take turns in
the same processes, so that what else the machine does meets both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Goal, Table, Timing, main, summarized

RANKS: Final = 4
ALONE = "DDP alone"
OURS = "DDP, default callbacks"
ALONE_EVALUATING = "DDP that evaluates at the epoch's end by hand"
OURS_EVALUATING = "DDP, default callbacks and LossCallback"
PAIRS: Final = ((OURS, ALONE), (OURS_EVALUATING, ALONE_EVALUATING))
ENDS: Final = ((OURS, "their two sums"), (OURS_EVALUATING, "those with LossCallback"))
AIM_PERCENT: Final = 2.0


def measure(quick: bool) -> Table:
    """Have four processes train, and compare their epochs with and without callbacks."""
    minibatches, rounds = (10, 1) if quick else (100, 16)
    with tempfile.TemporaryDirectory() as folder:
        told = answers_of_ranks(Path(folder), minibatches, rounds)
    epochs_s: dict[str, list[float]] = told[0]["epochs_s"]
    rows = {name: summarized([one / minibatches for one in spent]) for name, spent in epochs_s.items()}
    table = Table("Callbacks on four ranks of PyTorch's DDP", "us per minibatch", 1e6, ALONE, rows)
    for ours, theirs in PAIRS:
        ratios = np.divide(epochs_s[ours], epochs_s[theirs])
        more = 100 * (float(np.median(ratios)) - 1)
        aim = f"{ours}: at most {AIM_PERCENT:.0f} % slower"
        measured = f"{more:+.1f} %, half of the rounds {_quartiles(ratios)}"
        table.goals.append(Goal(aim, measured, more <= AIM_PERCENT))
        computed_s = more_computed_s(told, ours, theirs) / minibatches
        part = 100 * computed_s / rows[theirs].minimum_s
        aim = f"{ours}: compute for at most {AIM_PERCENT:.0f} % of a step more"
        table.goals.append(Goal(aim, f"{part:.2f} %, {computed_s * 1e6:.0f} us", part <= AIM_PERCENT))
    at_ends = {count for rank in told for counts in rank["at_ends"].values() for count in counts}
    amid = sum(rank["amid_epochs"] for rank in told)
    counted = f"{', '.join(map(str, sorted(at_ends)))}; {amid} at minibatches"
    table.goals.append(
        Goal("two collectives an epoch's end, none else", counted, at_ends == {2} and not amid)
    )
    table.notes += notes_of(told)
    return table


def notes_of(told: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the sums took."""
    notes: list[str] = []
    for name, label in ENDS:
        sums = sums_s([rank["sums_s"][name] for rank in told])
        notes.append(
            f"{label}: {sums.minimum_s * 1e6:,.0f} us at least, {sums.median_s * 1e6:,.0f} us in the median, "
            "from the moment at which the last rank comes"
        )
    quiet = summarized(told[0]["quiet_sums_s"])
    notes.append(
        f"two sums one after another, ranks at a barrier: {quiet.minimum_s * 1e6:,.0f} us at least, "
        f"{quiet.median_s * 1e6:,.0f} us in the median, by {os.cpu_count()} processors"
    )
    return notes


def more_computed_s(told: Sequence[dict[str, Any]], ours: str, theirs: str) -> float:
    """Return for how much longer a rank's thread computes in an epoch besides the steps; of the busiest rank.

    What other processes do hardly shows in this; what waits, and what PyTorch's threads do, is not in it.
    """
    besides_s = [rank["besides_s"] for rank in told]
    return max(float(np.median(one[ours]) - np.median(one[theirs])) for one in besides_s)


def _quartiles(ratios: npt.NDArray[np.float64]) -> str:
    lower, upper = 100 * (np.quantile(ratios, (0.25, 0.75)) - 1)
    return f"{lower:+.1f} to {upper:+.1f} %"


def answers_of_ranks(folder: Path, minibatches: int, rounds: int) -> list[dict[str, Any]]:
    """Start the ranks by torchrun, and return what each has measured."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={RANKS}"]
    child = ["-m", "benchmarks.ranks_child", str(folder), str(minibatches), str(rounds)]
    done = subprocess.run(
        [sys.executable, *launcher, *child], capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"a rank failed:\n{done.stderr[-4000:]}")
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(RANKS)]


def sums_s(of_ranks: Sequence[Sequence[Sequence[float]]]) -> Timing:
    """Return what the sums of an epoch's end take from when the last rank comes to each.

    Args:
        of_ranks: (ranks, epochs, sums) seconds from when a rank starts a sum until it has it; that of the
            last rank to come is the shortest.
    """
    return summarized(np.min(of_ranks, axis=0).sum(axis=1).tolist())


if __name__ == "__main__":
    main(measure)
