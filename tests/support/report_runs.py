"""Runs for tests of what draws them, made by hand as if they had been read from archives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from trainsignal.report.records import About, Run, Series
from trainsignal.report.timeline import Timeline

STARTED_AT = 1_790_000_000.0
"""Seconds since 1970-01-01 UTC."""


def about(**changes: Any) -> About:
    """Return what a run of 4 epochs, 10 minibatches each, says of itself, with changes."""
    default = About(
        run_id="a1b2", model="Model", script="train.py", host="machine", version="1.0",
        callbacks=("LossCallback", "TrainCostCallback"), started_at=STARTED_AT, ended_at=STARTED_AT + 60,
        epochs_complete=4, total_epochs=4, minibatches_done=40, total_minibatches=40, status="completed",
        detail=None, author=None, resumed_at=(), checkpoints=(),
    )  # fmt: skip
    return replace(default, **changes)


def timeline(epochs: int = 4, minibatches: int = 10, seconds: float = 15.0) -> Timeline:
    """Return even epochs, of so many minibatches and seconds each."""
    ends = np.arange(epochs + 1, dtype=np.float64)
    return Timeline(ends * minibatches, ends * seconds)


def train_cost(minibatches: int = 40, key: str = "cost/train") -> Series:
    """Return costs that fall from 2 to 0."""
    return Series(key, np.linspace(2, 0, minibatches, dtype=np.float32), "minibatch")


def each_epoch(key: str, values: list[float], **more: Any) -> Series:
    """Return a series with a row for each epoch."""
    return Series(key, np.array(values, np.float32), "epoch", np.arange(len(values)), **more)


def run(*series: Series, name: str = "run", **changes: Any) -> Run:
    """Return a run with these series; without any: with a cost, a loss and an accuracy."""
    given = series or (
        train_cost(),
        each_epoch("cost/loss", [1.5, 0.75, 0.5, 0.625], direction="min"),
        each_epoch("metrics/Accuracy", [0.25, 0.5, 0.75, 0.625], direction="max"),
    )
    default = Run(name, f"/runs/{name}.h5", about(), timeline(), given)
    return replace(default, **changes)
