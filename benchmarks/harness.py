"""Times cases in turn and prints what they cost; knows no library but Python's own."""

from __future__ import annotations

import argparse
import gc
import json
import random
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter
from typing import Any


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """Something to time.

    Attributes:
        name: its row in the table.
        run: does `operations` operations; may return the seconds that count, where not all do.
        operations: how many one `run` is.
        before: prepares a run, untimed.
        after: cleans up after it, untimed.
    """

    name: str
    run: Callable[[], float | None]
    operations: int
    before: Callable[[], object] = _nothing
    after: Callable[[], object] = _nothing

    def time_s(self) -> float:
        """Return the seconds per operation of one run."""
        self.before()
        began = perf_counter()
        counted = self.run()
        spent = perf_counter() - began
        self.after()
        return (spent if counted is None else counted) / self.operations


@dataclass(frozen=True, slots=True)
class Timing:
    """What one operation of a case costs, in seconds."""

    minimum_s: float
    median_s: float

    def minus(self, other: Timing) -> Timing:
        """Return what is left without `other`, such as the empty loop."""
        return Timing(self.minimum_s - other.minimum_s, self.median_s - other.median_s)


def summarized(samples_s: Sequence[float]) -> Timing:
    """Return minimum and median of seconds per operation."""
    return Timing(min(samples_s), median(samples_s))


def interleaved(cases: Sequence[Case], repeats: int) -> dict[str, Timing]:
    """Time each case `repeats` times, in turn, in a changing order, after a round that is not counted.

    What else the machine does then meets all of them alike; the minimum is what they cost on a quiet one.
    """
    samples_s: dict[str, list[float]] = {case.name: [] for case in cases}
    order = list(cases)
    shuffle = random.Random(0).shuffle
    with _no_collector():
        for case in order:
            case.time_s()
        for _ in range(repeats):
            shuffle(order)
            for case in order:
                samples_s[case.name].append(case.time_s())
            gc.collect(0)
    return {name: summarized(samples) for name, samples in samples_s.items()}


@contextmanager
def _no_collector() -> Generator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Goal:
    """What was aimed at, what was measured, and whether that is enough."""

    aim: str
    measured: str
    is_met: bool


@dataclass(slots=True)
class Table:
    """The answer to one question.

    Attributes:
        question: its headline.
        unit: of the numbers, and per what.
        scale: units in a second: 1e9 for ns.
        baseline: name of the row that the others are compared with.
        rows: what each case costs.
        goals: what was aimed at.
        notes: lines below, such as what is not installed.
    """

    question: str
    unit: str
    scale: float
    baseline: str
    rows: dict[str, Timing]
    goals: list[Goal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def ratio(self, name: str) -> float:
        """Return how many times the baseline the row costs, minimum by minimum."""
        return self.rows[name].minimum_s / self.rows[self.baseline].minimum_s

    def minimum(self, name: str) -> float:
        """Return the minimum of a row, in `unit`."""
        return self.rows[name].minimum_s * self.scale

    def lines(self) -> list[str]:
        """Return the table as text."""
        width = max(map(len, self.rows)) + len(" (baseline)")
        base = self.rows[self.baseline]
        lines = ["", self.question, f"{self.unit:<{width}}  {'min':>10} {'median':>10}  times (min, median)"]
        for name, row in self.rows.items():
            label = f"{name} (baseline)" if name == self.baseline else name
            numbers = f"{row.minimum_s * self.scale:10,.1f} {row.median_s * self.scale:10,.1f}"
            ratios = f"{row.minimum_s / base.minimum_s:8.2f} {row.median_s / base.median_s:8.2f}"
            lines.append(f"{label:<{width}}  {numbers}  {ratios}")
        for goal in self.goals:
            lines.append(f"goal: {goal.aim}: {goal.measured}: {'met' if goal.is_met else 'NOT met'}")
        return [*lines, *(f"note: {note}" for note in self.notes)]


def answer_of_child(module: str, argument: object) -> dict[str, Any]:
    """Return the JSON that `python -m module --child argument` prints: a process has a peak of its own."""
    command = [sys.executable, "-m", module, "--child", str(argument)]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return answer


def main(measure: Callable[[bool], Table], arguments: Sequence[str] | None = None) -> None:
    """Print the table of one question; `--quick` is a smoke run, whose numbers mean little."""
    print("\n".join(measure(wants_quick(measure.__module__, arguments)).lines()))


def wants_quick(program: str, arguments: Sequence[str] | None = None) -> bool:
    """Return whether the command line says `--quick`."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}")
    parser.add_argument("--quick", action="store_true", help="a smoke run of seconds")
    return bool(parser.parse_args(arguments).quick)
