from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.resuming import Total
from tests.support.runs import Bare, quiet
from trainsignal import (
    Callback,
    Callbacks,
    CSVCallback,
    EarlyStopCallback,
    MetricCallback,
    SaveBestStateCallback,
    StopWhenNotImprovingCallback,
    keys,
)
from trainsignal.errors import ConfigurationError
from trainsignal.loop_driver import LoopDriver
from trainsignal.reported import ReportedCallback
from trainsignal.shared_data import SharedData

Report = Mapping[str, object]
NAN = math.nan


def report(
    reports: Sequence[Report],
    *others: Callback,
    loss: str | None = None,
    epochs: int | None = -1,
    higher_is_better: Mapping[str, bool] = {},
    model: object = None,
    **options: Any,
) -> Callbacks:
    """Run an epoch for each report, with these callbacks alone, until somebody votes to stop."""
    callbacks = quiet(model, **options)
    callbacks.callbacks = list(others)
    driver = LoopDriver(callbacks)
    driver.begin(len(reports) if epochs == -1 else epochs, 1, loss=loss)
    for values in reports[callbacks.run.epochs_complete :]:
        driver.begin_epoch()
        driver.begin_minibatch()
        driver.end_minibatch(1.0)
        driver.report(values, higher_is_better=higher_is_better)
        driver.end_epoch()
        if driver.should_stop("epoch"):
            break
    driver.end()
    return callbacks


def rows(callbacks: Callbacks, key: str) -> list[float]:
    found: list[float] = callbacks.callback_data[key][:].tolist()
    return found


# -- what is written -----------------------------------------------------------------------------------


def test_series_tells_its_axis_and_the_name_it_was_reported_as() -> None:
    series = report([{"accuracy": 0.5}]).callback_data["metrics/accuracy"]
    assert dict(series.attrs) == {"time_markers": "epoch_freq", "epoch_freq": 1, "reported_as": "accuracy"}
    assert series.dtype == np.float64


def test_loss_tells_its_axis_its_name_and_that_lower_is_better() -> None:
    series = report([{"val": 0.5}], loss="val").callback_data["cost/loss"]
    assert dict(series.attrs) == {
        "time_markers": "epoch_freq", "epoch_freq": 1, "reported_as": "val", "direction": "min",
    }  # fmt: skip


def test_epochs_of_which_nothing_was_reported_are_missing() -> None:
    callbacks = report([{}, {"a": 1.0, "val": 3.0}, {}, {"a": 2.0}], loss="val")
    np.testing.assert_array_equal(rows(callbacks, "metrics/a"), [NAN, 1.0, NAN, 2.0])
    np.testing.assert_array_equal(rows(callbacks, "cost/loss"), [NAN, 3.0, NAN, NAN])


@pytest.mark.parametrize("value, number", [
    (2, 2.0), (np.float32(0.5), 0.5), (np.array([[3.0]]), 3.0), (np.int64(4), 4.0), (-math.inf, -math.inf),
], ids=repr)  # fmt: skip
def test_numbers_of_all_kinds_are_written(value: object, number: float) -> None:
    assert rows(report([{"a": value}]), "metrics/a") == [number]


@pytest.mark.parametrize("value", [
    "text", None, True, [1.0, 2.0], [[1.0], [2.0, 3.0]], np.ones(3), {"a": 1.0}, Fraction(1, 2), 1j, object(),
    10**400, np.datetime64("2026-01-01"),
], ids=repr)  # fmt: skip
def test_what_is_no_number_is_passed_over(value: object) -> None:
    callbacks = report([{"a": value, "b": 1.0}])
    assert list(callbacks.callback_data["metrics"]) == ["b"]


def test_run_of_unknown_length_grows_its_series() -> None:
    callbacks = report([{"a": float(epoch)} for epoch in range(5)], loss="a", epochs=None)
    assert rows(callbacks, "metrics/a") == rows(callbacks, "cost/loss") == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_framework_that_goes_on_after_the_last_epoch_loses_nothing() -> None:
    data = SharedData()
    data.create_group("config").attrs["total_epochs"] = 1
    reported = ReportedCallback("a")
    reported.on_train_begin(data, Bare(), 1)
    for epoch in range(3):
        reported.note({"a": float(epoch)}, {})
        reported.on_epoch_end(data, Bare(), epoch)
    assert data["metrics/a"][:].tolist() == data["cost/loss"][:].tolist() == [0.0, 1.0, 2.0]


def test_instance_serves_two_runs() -> None:
    reported = ReportedCallback()
    for value in (1.0, 2.0):
        data = SharedData()
        data.create_group("config").attrs["total_epochs"] = 1
        reported.on_train_begin(data, Bare(), 1)
        reported.note({"a": value}, {})
        reported.on_epoch_end(data, Bare(), 0)
        reported.note({"left over": 1.0}, {"a": True})
        assert list(data["metrics"]) == ["a"]
        assert data["metrics/a"][:].tolist() == [value]
        assert "direction" not in data["metrics/a"].attrs


# -- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names, found", [
    (["val/accuracy", "val/f1"], ["val/accuracy", "val/f1"]),
    (["/val//accuracy/", "./f1"], ["val/accuracy", "f1"]),
    (["a", "a/b"], ["a", "a%2Fb"]),
    (["a", "a/b/c"], ["a", "a%2Fb%2Fc"]),
    (["a/b", "a"], ["a/b", "a_2"]),
    (["a/b", "/a/b"], ["a/b", "a/b_2"]),
    (["a", "a_2", "./a"], ["a", "a_2", "a_3"]),
    (["/", "."], ["%2F", "%2E"]),
    (["..", "top 5 [%]", "größe"], ["..", "top 5 [%]", "größe"]),
], ids=str)  # fmt: skip
def test_names_lead_to_keys_that_can_be(names: list[str], found: list[str]) -> None:
    values = {name: float(number) for number, name in enumerate(names)}
    callbacks = report([values, values])
    for name, key in zip(names, found, strict=True):
        assert rows(callbacks, f"metrics/{key}") == [values[name]] * 2
        assert callbacks.callback_data[f"metrics/{key}"].attrs["reported_as"] == name


class Given(Callback):
    """Writes a metric of its own under a given key, as `MetricCallback` does."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = keys.Numbered(key)
        self.writes = (self.key,)

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self._key = callback_data.create_series(self.key, epochs).name

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data[self._key][epoch] = -1.0


def test_metric_that_has_the_name_already_keeps_it() -> None:
    callbacks = report([{"a": 1.0}, {"a": 2.0}], Given("metrics/a"))
    assert rows(callbacks, "metrics/a") == [-1.0, -1.0]
    assert rows(callbacks, "metrics/a_2") == [1.0, 2.0]


def test_name_may_be_reported_of_epochs_and_of_minibatches() -> None:
    callbacks = quiet()
    callbacks.callbacks = []
    driver = LoopDriver(callbacks)
    driver.begin(2, 1)
    for epoch in range(2):
        driver.begin_epoch()
        driver.begin_minibatch()
        driver.report_minibatch({"rate": 0.1 * epoch, "text": "none"})
        driver.end_minibatch(1.0)
        driver.report({"rate": 10.0 + epoch})
        driver.end_epoch()
    driver.end()
    assert rows(callbacks, "metrics/rate") == [0.0, 0.1]
    assert rows(callbacks, "metrics/rate_2") == [10.0, 11.0]
    assert list(callbacks.callback_data["metrics"]) == ["rate", "rate_2"]


# -- which values are better ---------------------------------------------------------------------------


def test_direction_is_what_the_framework_tells() -> None:
    better = {"a": True, "b": False, "never": True}
    data = report([{"a": 1.0, "b": 1.0, "c": 1.0}], higher_is_better=better).callback_data
    assert data["metrics/a"].attrs["direction"] == "max"
    assert data["metrics/b"].attrs["direction"] == "min"
    assert "direction" not in data["metrics/c"].attrs


def test_direction_that_is_told_later_counts_from_then_on() -> None:
    callbacks = quiet()
    callbacks.callbacks = []
    driver = LoopDriver(callbacks)
    driver.begin(2)
    for better in ({}, {"a": True}):
        driver.begin_epoch()
        driver.report({"a": 1.0}, higher_is_better=better)
    driver.end()
    assert callbacks.callback_data["metrics/a"].attrs["direction"] == "max"


# -- callbacks that read -------------------------------------------------------------------------------


class Saved:
    """A model that can be saved, and notes that."""

    def __init__(self) -> None:
        self.saved = 0

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        self.saved += 1
        return {"saved": self.saved}


def test_best_state_is_saved_by_the_reported_loss(tmp_path: Path) -> None:
    model, best = Saved(), SaveBestStateCallback(tmp_path / "best.npz")
    reports: list[Report] = [{"val": 3.0}, {}, {"val": 2.0}, {"val": NAN}, {"val": 2.5}]
    report(reports, best, loss="val", model=model)
    assert best.best_cost == 2.0
    assert model.saved == 2


def test_early_stop_is_asked_at_epochs_of_which_a_loss_was_reported() -> None:
    asked: list[float] = []

    def stop(state: Any, loss: Any) -> tuple[Any, bool]:
        asked.append(float(loss))
        return None, loss > 3.5

    callbacks = report(
        [{"val": 3.0}, {}, {"other": 1.0}, {"val": 2.0}, {"val": 4.0}, {"val": 5.0}],
        EarlyStopCallback(stop),
        loss="val",
    )
    assert asked == [3.0, 2.0, 4.0]
    assert callbacks.run.exit_reason == "stopped"


def test_metric_that_does_not_improve_stops_the_run_as_the_framework_told_its_direction() -> None:
    patient = StopWhenNotImprovingCallback("metrics/accuracy", patience=2)
    callbacks = report(
        [{}, {"accuracy": 0.5}, {}, {"accuracy": 0.4}, {}, {"accuracy": 0.3}, {"accuracy": 0.9}],
        patient,
        higher_is_better={"accuracy": True},
    )
    assert callbacks.run.epochs_complete == 6
    assert (patient.best, patient.best_epoch) == (0.5, 1)


def test_metric_without_a_direction_is_refused_when_it_is_first_reported() -> None:
    with pytest.raises(ConfigurationError, match="'metrics/a' does not tell which values are better"):
        report([{}, {"a": 1.0}], StopWhenNotImprovingCallback("metrics/a", patience=1))


def test_user_may_say_the_direction() -> None:
    patient = StopWhenNotImprovingCallback("metrics/a", patience=1, direction="max")
    callbacks = report([{"a": 1.0}, {"a": 1.0}, {"a": 2.0}], patient)
    assert callbacks.run.epochs_complete == 2


def test_metric_of_a_group_can_be_watched() -> None:
    patient = StopWhenNotImprovingCallback("metrics/val/loss", patience=1, direction="min")
    callbacks = report([{"val/loss": 1.0}, {"val/loss": 2.0}, {"val/loss": 0.0}], patient)
    assert callbacks.run.epochs_complete == 2


def test_table_has_a_column_for_what_is_reported(tmp_path: Path) -> None:
    report([{"a": 1.5}, {"a": 2.5, "b": 1.0}], CSVCallback(tmp_path / "run.csv", clock=lambda: 0.0))
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert lines[0] == "epoch,minibatches,time,metrics/a,metrics/b"
    assert [line.split(",")[3:] for line in lines[1:]] == [["1.5", ""], ["2.5", "1.0"]]


# -- what is awaited in vain ---------------------------------------------------------------------------


def test_misspelt_name_is_told_with_the_near_one(caplog: pytest.LogCaptureFixture) -> None:
    patient = StopWhenNotImprovingCallback("metrics/val_acuracy", patience=1, direction="max")
    callbacks = report([{"val_accuracy": 0.5, "val_loss": 1.0}] * 3, patient)
    assert caplog.messages == [
        "'metrics/val_acuracy' is read, but 'val_acuracy' was not reported in epoch 0, as were val_accuracy, "
        "val_loss. Did you mean 'val_accuracy'?",
        "'metrics/val_acuracy' is read, but 'val_acuracy' was never reported",
    ]
    assert callbacks.run.exit_reason == "completed"


def test_loss_that_is_read_and_not_reported_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report([{"loss": 1.0}] * 2, SaveBestStateCallback(tmp_path / "a.npz"), loss="val_loss", model=Saved())
    assert caplog.messages == ["'cost/loss' is read, but 'val_loss' was never reported"]


def test_loss_that_nobody_reads_may_stay_away(caplog: pytest.LogCaptureFixture) -> None:
    report([{"loss": 1.0}] * 2, loss="val_loss")
    assert caplog.messages == []


@pytest.mark.parametrize("epochs", [2, None])
def test_framework_that_reports_nothing_at_all_is_told_at_the_end(
    epochs: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    patient = StopWhenNotImprovingCallback("metrics/a", patience=1, direction="max")
    early = EarlyStopCallback(lambda state, loss: (None, False))
    report([{}, {}], patient, early, loss="val", epochs=epochs)
    assert caplog.messages == [
        "'metrics/a' is read, but 'a' was never reported",
        "'cost/loss' is read, but 'val' was never reported",
    ]


def test_run_without_epochs_awaits_nothing(caplog: pytest.LogCaptureFixture) -> None:
    report([], StopWhenNotImprovingCallback("metrics/a", patience=1, direction="max"))
    assert caplog.messages == []


def test_what_is_reported_late_in_the_run_is_not_told_as_missing(caplog: pytest.LogCaptureFixture) -> None:
    report([{}, {"a": 1.0}], StopWhenNotImprovingCallback("metrics/a", patience=1, direction="max"))
    assert caplog.messages == []


# -- going on ------------------------------------------------------------------------------------------


def test_resumed_run_goes_on_in_the_same_series(tmp_path: Path) -> None:
    files: dict[str, Any] = {"output_file": tmp_path / "run.h5", "save_path": tmp_path / "model.npz"}

    def run(epochs: int, **options: Any) -> Callbacks:
        reports = [{"a": float(epoch), "b/c": 10.0 + epoch, "d": 20.0 + epoch} for epoch in range(epochs)]
        callbacks = quiet(Total(), **files, **options)
        saving = callbacks.callbacks
        return report(
            reports, *saving, Given("metrics/a"), StopWhenNotImprovingCallback("metrics/d", patience=9),
            loss="b/c", higher_is_better={"d": True}, model=Total(), **files, **options,
        )  # fmt: skip

    run(2)
    callbacks = run(4, resume=True)
    assert sorted(callbacks.callback_data["metrics"]) == ["a", "a_2", "b", "d"]
    assert rows(callbacks, "metrics/a_2") == [0.0, 1.0, 2.0, 3.0]
    assert rows(callbacks, "metrics/b/c") == rows(callbacks, "cost/loss") == [10.0, 11.0, 12.0, 13.0]
    assert rows(callbacks, "metrics/d") == [20.0, 21.0, 22.0, 23.0]
    assert callbacks.callback_data["metrics/d"].attrs["direction"] == "max"


def test_complete_run_that_is_resumed_says_that_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files: dict[str, Any] = {"output_file": tmp_path / "run.h5", "save_path": tmp_path / "model.npz"}
    patient = StopWhenNotImprovingCallback("metrics/a", patience=9, direction="max")
    for resume in (False, True):
        saving = quiet(Total(), **files).callbacks
        report([{"a": 1.0}], *saving, patient, model=Total(), resume=resume, **files)
    (nothing_left,) = caplog.messages
    assert nothing_left.startswith("nothing is left to train")


def test_values_of_an_epoch_that_goes_on_are_its_state() -> None:
    before, after = ReportedCallback(), ReportedCallback()
    before.note({"a": 1.0}, {})
    after.load_state_dict(before.state_dict())
    assert after.state_dict() == {"values": {"a": 1.0}}


def test_description_leads_back_to_it() -> None:
    callbacks = report(
        [{"val": 1.0}], StopWhenNotImprovingCallback("metrics/val", patience=1, direction="min")
    )
    assert isinstance(callbacks.callbacks[0], ReportedCallback)
    again = Callbacks.load_callbacks(callbacks.get_description(), Bare())
    assert isinstance(again.callbacks[0], ReportedCallback)
    assert again.callbacks[0].expected == ("metrics/val",)


def test_metric_callback_of_the_users_and_a_reported_name_do_not_meet() -> None:
    assert set(MetricCallback([1], max).writes) == {"metrics/max"}
    callbacks = report([{"max": 1.0}], Given("metrics/max"))
    assert rows(callbacks, "metrics/max_2") == [1.0]
