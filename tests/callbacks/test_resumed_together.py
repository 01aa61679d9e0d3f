"""Callbacks beside a training run that is broken off, and gone on with from a checkpoint."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.given_series import Broken
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from tests.support.tensorboard_events import shown
from trainsignal import (
    Callbacks,
    CSVCallback,
    EarlyStopCallback,
    LearningRateScheduleCallback,
    SerializeModelCallback,
    StopWhenNotImprovingCallback,
    SystemCallback,
    TensorBoardCallback,
    TimeLimitCallback,
)

EPOCHS = 6
BY_CLOCK = ("system/", "time/")


def count(state: Any, loss: Any) -> tuple[Any, bool]:
    return (state or 0) + 1, False


def train(
    folder: Path, per: Any, *, resume: bool = False, broken_at: tuple[int, int] | None = None
) -> Callbacks:
    """Train for 6 epochs of 2 minibatches, with a checkpoint after each minibatch or each epoch."""
    folder.mkdir(exist_ok=True)
    model, path = tiny_model(), folder / "model.h5"
    callbacks = quiet(
        model,
        eval_set=tiny_set(),
        eval_freq=2,
        output_file=folder / "run.h5",
        resume=path if resume else False,
    )
    for callback in (
        SerializeModelCallback(path, every=1 if per == "minibatch" else None),
        StopWhenNotImprovingCallback(patience=2, direction="max", restore_best=True),  # the loss falls
        EarlyStopCallback(count),
        LearningRateScheduleCallback(lambda index: 0.1 / (index + 1), per=per),
        SystemCallback(gpus=()),
        TimeLimitCallback("1h"),
        CSVCallback(folder / "run.csv"),
        TensorBoardCallback(folder / "board", minibatch_freq=1),
    ):
        callbacks.add_callback(callback)

    def act(epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == broken_at:
            raise Broken

    callbacks.bus.subscribe("minibatch_end", act)
    fit(model, callbacks, EPOCHS)
    return callbacks


def without_clock(row: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in row.items() if key != "time" and not key.startswith(BY_CLOCK)}


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "run.csv").open(newline="") as file:
        return [without_clock(row) for row in csv.DictReader(file)]


@pytest.mark.parametrize("per", ["epoch", "minibatch"])
@pytest.mark.parametrize("broken_at", [(2, 0), (3, 1)], ids=str)
def test_what_they_write_and_vote_is_as_if_the_run_had_not_been_broken_off(
    per: Any, broken_at: tuple[int, int], tmp_path: Path
) -> None:
    whole = train(tmp_path / "whole", per)
    with pytest.raises(Broken):
        train(tmp_path / "broken", per, broken_at=broken_at)

    resumed = train(tmp_path / "broken", per, resume=True)

    assert [vote.reason for vote in resumed.run.votes] == [vote.reason for vote in whole.run.votes] != []
    assert resumed.run.problems == []
    assert lines(tmp_path / "broken") == lines(tmp_path / "whole")
    points, expected = (shown(tmp_path / name / "board") for name in ("broken", "whole"))
    assert points.keys() == expected.keys()
    for key, series in expected.items():
        if key.startswith(BY_CLOCK):
            assert [step for step, _ in points[key]] == [step for step, _ in series], key
        else:
            assert points[key] == series, key
    np.testing.assert_array_equal(
        resumed.callback_data["learning_rate"][:], whole.callback_data["learning_rate"][:]
    )
    np.testing.assert_array_equal(
        resumed.model().layers.layers[0].W, whole.model().layers.layers[0].W, "the best state"
    )
