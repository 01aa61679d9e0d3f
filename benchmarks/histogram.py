"""What does a histogram of all weights cost?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Case, Goal, Table, interleaved, main
from trainsignal.histogram import BINS, OFFSET, log2_histogram

Floats = npt.NDArray[np.float32]

PASS = "np.abs and np.log2"
OURS = "trainsignal, log2_histogram"
SHAPES = ((1024, 784), (1024, 1), (1024, 1024), (1024, 1), (10, 1024), (10, 1))
"""Parameters of a perceptron for images of 28 x 28: 1.9 million numbers."""


def parameters() -> list[Floats]:
    """Return weights as they are drawn at first."""
    random = np.random.default_rng(0)
    return [(0.1 * random.standard_normal(shape)).astype(np.float32) for shape in SHAPES]


def logarithms(weights: list[Floats]) -> None:
    """Take the logarithm of each magnitude: the least that a histogram by NumPy has to do."""
    for one in weights:
        np.log2(np.abs(one))


def ours(weights: list[Floats]) -> None:
    """Count them."""
    for one in weights:
        log2_histogram(one)


def neons_rule(weights: list[Floats]) -> None:
    """Count them in neon's way, with NumPy's histogram."""
    with np.errstate(divide="ignore"):
        for one in weights:
            powers = np.maximum(np.rint(np.log2(np.abs(one))), OFFSET)
            np.histogram(powers[~np.isnan(powers)], BINS, (OFFSET, OFFSET + BINS))


def measure(quick: bool) -> Table:
    """Count the magnitudes of all weights of a network."""
    weights = parameters()
    strange = [one.copy() for one in weights]
    for one in strange:
        one.reshape(-1)[::1000] = np.nan
    cases = [
        Case(PASS, lambda: logarithms(weights), 1),
        Case(OURS, lambda: ours(weights), 1),
        Case("trainsignal, one in a thousand is NaN", lambda: ours(strange), 1),
        Case("neon's rule by np.histogram", lambda: neons_rule(weights), 1),
    ]
    rows = interleaved(cases, repeats=3 if quick else 100)
    size = sum(one.size for one in weights)
    question = f"Count {size:,} weights by powers of two"
    table = Table(question, "ms per pass over all", 1e3, PASS, rows)
    times = table.ratio(OURS)
    table.goals.append(Goal("at most 3 times np.abs and np.log2", f"{times:.2f} times", times <= 3))
    return table


if __name__ == "__main__":
    main(measure)
