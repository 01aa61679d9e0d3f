"""Answers all questions: `python -m benchmarks [--quick]`."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import PackageNotFoundError, version

from benchmarks import (
    agreement,
    default_callbacks,
    empty_publish,
    evaluation,
    gated_callbacks,
    histogram,
    import_time,
    plugging_in,
    ranks,
    relay,
    remote,
    report,
    ten_callbacks,
    ten_million,
    torch_loop,
)
from benchmarks.harness import wants_quick

QUESTIONS = (
    empty_publish.measure,
    ten_callbacks.measure,
    gated_callbacks.measure,
    default_callbacks.measure,
    evaluation.measure,
    ten_million.measure,
    histogram.measure,
    plugging_in.measure,
    torch_loop.measure,
    report.measure,
    relay.measure,
    remote.measure,
    agreement.measure,
    ranks.measure,
    import_time.measure,
)
PACKAGES = (
    "numpy", "h5py", "blinker", "tqdm", "torch", "pytorch-ignite", "torchtnt", "keras", "lightning",
    "transformers", "jax",
)  # fmt: skip


def machine() -> str:
    """Return what the numbers depend on: the date, Python, the processors and the versions."""
    versions: list[str] = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{date.today()}, {python}, {os.cpu_count()} processors, {', '.join(versions)}"


def run(quick: bool) -> None:
    """Print every table, and at the end the goals alone."""
    print(machine(), flush=True)
    goals: list[str] = []
    for measure in QUESTIONS:
        table = measure(quick)
        print("\n".join(table.lines()), flush=True)
        goals += [
            f"{'met    ' if goal.is_met else 'NOT met'}  {table.question}: {goal.aim}: {goal.measured}"
            for goal in table.goals
        ]
    print("\nGoals" + ("; from a smoke run, whose numbers mean little" if quick else ""))
    print("\n".join(goals))


if __name__ == "__main__":
    run(wants_quick("benchmarks"))
