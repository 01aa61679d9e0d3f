from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.loops.subjects.hand_written import LinearModel
from tests.support.runs import FakeClock, fit, hand_loop, quiet, tiny_model, tiny_set
from trainsignal import Callback
from trainsignal.loop_driver import LoopDriver
from trainsignal.models.numpy_net import Accuracy


class Series(Callback):
    """Writes given values of one series, one an epoch at which it fires."""

    def __init__(self, key: str, values: list[float], frequency: Any, direction: str | None) -> None:
        super().__init__(epoch_freq=frequency)
        self.key, self.values, self.direction = key, values, direction
        self.writes = (key,)

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        axis = (
            {"epochs": self.epoch_freq}
            if isinstance(self.epoch_freq, list)
            else {"epoch_freq": self.epoch_freq}
        )
        attributes = {"time_markers": "epoch_freq", **axis}
        if self.direction is not None:
            attributes["direction"] = self.direction
        series = callback_data.create_series(self.key, len(self.values), attributes=attributes)
        series[:] = self.values


def summary_with(series: Series) -> list[str]:
    callbacks = quiet()
    callbacks.add_callback(series)
    hand_loop(callbacks)
    return [line for line in callbacks.summary().splitlines() if line.startswith("best")]


@pytest.mark.parametrize("key", ["cost/loss", "metrics/Accuracy"])
@pytest.mark.parametrize("frequency, direction, line", [
    (1, "min", "0.25 at epoch 2"),
    (1, "max", "4 at epoch 1"),
    (3, "min", "0.25 at epoch 8"),
    ([1, 4, 6], "min", "0.25 at epoch 6"),
    (np.int64(2), "max", "4 at epoch 3"),
], ids=repr)  # fmt: skip
def test_best_value_and_its_epoch_are_shown(key: str, frequency: Any, direction: str, line: str) -> None:
    name = key.rpartition("/")[2]
    lines = summary_with(Series(key, [1, 4, 0.25], frequency, direction))
    assert lines == [f"best {name:<20} {line}"]


def test_value_that_is_missing_is_never_the_best() -> None:
    series = Series("cost/loss", [float("nan"), 2, float("nan")], 1, "min")
    assert summary_with(series) == [f"best {'loss':<20} 2 at epoch 1"]


@pytest.mark.parametrize("values, direction", [([float("nan")], "min"), ([], "min"), ([1.0], None)])
def test_series_without_a_best_value_is_not_shown(values: list[float], direction: str | None) -> None:
    assert summary_with(Series("cost/loss", values, 1, direction)) == []


def test_group_among_the_metrics_is_passed_over() -> None:
    assert summary_with(Series("metrics/top/k", [1], 1, "min")) == []


def test_run_that_has_not_begun_is_in_progress_or_has_ended() -> None:
    callbacks = quiet()
    assert callbacks.summary().splitlines()[:2] == ["run          not begun", "epochs       0, 0 minibatches"]
    with callbacks.training(2):
        assert callbacks.summary().splitlines()[0] == "run          in progress"
    assert callbacks.summary().splitlines()[0] == (
        "run          stopped by loop: the loop ended after 0 of 2 epochs"
    )


def test_progress_tells_what_was_done_of_what_was_asked_for() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=1)
    hand_loop(callbacks, epochs=5, minibatches=3)
    lines = callbacks.summary().splitlines()
    assert lines[:2] == ["run          stopped by user: enough", "epochs       2 of 5, 6 minibatches"]


def test_error_that_ended_the_run_is_shown() -> None:
    callbacks = quiet()
    with pytest.raises(ValueError), callbacks.training(1):
        raise ValueError("diverged")
    assert callbacks.summary().splitlines()[0] == "run          failed: ValueError: diverged"


def test_files_are_shown_where_they_still_exist(tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = quiet(model, output_file=tmp_path / "run.h5", save_path=tmp_path / "m.h5", history=2)
    fit(model, callbacks, 3)
    lines = callbacks.summary().splitlines()
    assert f"archive      {tmp_path / 'run.h5'}" in lines
    assert [line for line in lines if line.startswith("checkpoint")] == [
        f"checkpoint   {tmp_path / 'm_1.h5'} (epoch 1)", f"checkpoint   {tmp_path / 'm_2.h5'} (epoch 2)",
    ]  # fmt: skip


def test_time_of_each_callback_is_shown_the_slowest_first() -> None:
    clock = FakeClock()
    callbacks = quiet(clock=clock)

    class Slow(Callback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            clock.now += 1

    callbacks.add_callback(Slow())
    hand_loop(callbacks)
    times = [line for line in callbacks.summary().splitlines() if line.startswith("time")]
    milliseconds = [float(line.split()[1]) for line in times]
    assert times[0].endswith("ms  Slow")
    assert milliseconds == sorted(milliseconds, reverse=True)


def test_problems_are_shown() -> None:
    callbacks = quiet()
    with callbacks.training(1) as run:
        run.report("the disk is full")
    assert "problem      the disk is full" in callbacks.summary().splitlines()


def test_evaluation_at_listed_epochs_can_be_summarized() -> None:
    model = tiny_model()
    callbacks = quiet(model, eval_set=tiny_set(), eval_freq=[0, 2], metric=Accuracy())
    fit(model, callbacks, 3)
    best = [line.split()[1] for line in callbacks.summary().splitlines() if line.startswith("best")]
    assert best == ["loss", "Accuracy"]


def test_callback_whose_error_ended_the_run_is_named() -> None:
    class Broken(Callback):
        def on_epoch_end(self, *arguments: Any) -> None:
            raise ValueError("diverged")

    callbacks = quiet()
    callbacks.add_callback(Broken())
    with pytest.raises(ValueError):
        hand_loop(callbacks)
    assert callbacks.summary().splitlines()[0] == "run          failed in Broken: ValueError: diverged"


@pytest.mark.parametrize("epochs, words", [(1, "once"), (2, "2 times")])
def test_failures_are_counted(epochs: int, words: str) -> None:
    class Broken(Callback):
        def on_epoch_end(self, *arguments: Any) -> None:
            raise ValueError("diverged")

    callbacks = quiet()
    callbacks.add_callback(Broken(), on_error="log")
    hand_loop(callbacks, epochs)
    assert f"problem      Broken failed {words}" in callbacks.summary().splitlines()


def test_seams_of_a_resumed_run_are_shown(tmp_path: Path) -> None:
    for epochs in (1, 2, 3):
        model = tiny_model()
        paths = {"save_path": tmp_path / "model.h5", "output_file": tmp_path / "run.h5"}
        callbacks = quiet(model, **paths, resume=True)
        fit(model, callbacks, epochs)
    assert "resumed      at minibatch 2, 4" in callbacks.summary().splitlines()


def test_resumed_run_whose_data_was_closed_still_has_a_summary(tmp_path: Path) -> None:
    for epochs in (1, 2):
        model = tiny_model()
        callbacks = quiet(model, save_path=tmp_path / "model.h5", resume=True)
        fit(model, callbacks, epochs)
    callbacks.callback_data.close()
    assert callbacks.summary().startswith("run          completed")


def test_a_resumed_run_whose_epochs_have_no_minibatches_says_how_often(tmp_path: Path) -> None:
    files = {"save_path": tmp_path / "model.h5", "output_file": tmp_path / "run.h5"}
    told = []
    for crash_at in (1, 2, None):
        callbacks = quiet(LinearModel(), resume=True, **files)
        with contextlib.suppress(ZeroDivisionError), callbacks.training(4) as run:
            for epoch in run.epochs():
                if epoch == crash_at:
                    raise ZeroDivisionError
        told += [line for line in callbacks.summary().splitlines() if line.startswith("resumed")]

    assert told == ["resumed      once", "resumed      2 times"]


def test_the_loss_that_a_framework_reported_is_told_once_with_its_own_name() -> None:
    callbacks = quiet()
    driver = LoopDriver(callbacks)
    driver.begin(2, loss="val_loss")
    for epoch in range(2):
        driver.begin_epoch()
        driver.report(
            {"val_loss": 0.5 - epoch / 4, "loss": 1.0}, higher_is_better={"val_loss": False, "loss": False}
        )
        driver.end_epoch()
    driver.end()

    best = [line for line in callbacks.summary().splitlines() if line.startswith("best")]
    assert best == ["best loss (val_loss)      0.25 at epoch 1", "best loss                 1 at epoch 0"]
