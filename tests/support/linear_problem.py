"""A problem that every framework trains alike: linear least squares by gradient descent, batches in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FEATURES = 3
BATCH_SIZE = 8
LEARNING_RATE = 0.1

Floats = npt.NDArray[np.float32]


def problem(minibatches: int) -> tuple[Floats, Floats]:
    """Return inputs, (samples, 3) float32, and targets, (samples, 1) float32, of so many batches of 8."""
    generator = np.random.default_rng(7)
    inputs = generator.normal(size=(minibatches * BATCH_SIZE, FEATURES))
    noise = 0.1 * generator.normal(size=(len(inputs), 1))
    targets = inputs @ np.array([[0.5], [-1.0], [2.0]]) + noise
    return inputs.astype(np.float32), targets.astype(np.float32)


def batches(minibatches: int) -> list[tuple[Floats, Floats]]:
    """Return the same as pairs of one batch each."""
    inputs, targets = problem(minibatches)
    rows = [slice(start, start + BATCH_SIZE) for start in range(0, len(inputs), BATCH_SIZE)]
    return [(inputs[one], targets[one]) for one in rows]


def descend(weights: Any, x: Any, y: Any) -> tuple[Any, float]:
    """Return the weights, (3, 1), after a step on one batch, and the mean squared error before it."""
    error = x @ weights - y
    return weights - LEARNING_RATE * 2 / len(x) * (x.T @ error), float(np.mean(error**2))


def expected_costs(minibatches: int, epochs: int) -> npt.NDArray[np.float64]:
    """Return the mean squared error of each minibatch, over all epochs, from weights of zero on."""
    weights, costs = np.zeros((FEATURES, 1)), []
    for _ in range(epochs):
        for x, y in batches(minibatches):
            weights, cost = descend(weights, x.astype(np.float64), y.astype(np.float64))
            costs.append(cost)
    return np.array(costs)


def expected_losses(
    minibatches: int, epochs: int, held_out: list[tuple[Floats, Floats]]
) -> npt.NDArray[np.float64]:
    """Return the mean squared error over all of `held_out` after each epoch, from weights of zero on."""
    x, y = (np.concatenate(one).astype(np.float64) for one in zip(*held_out, strict=True))
    weights, losses = np.zeros((FEATURES, 1)), []
    for _ in range(epochs):
        for inputs, targets in batches(minibatches):
            weights, _ = descend(weights, inputs.astype(np.float64), targets.astype(np.float64))
        losses.append(float(np.mean((x @ weights - y) ** 2)))
    return np.array(losses)
