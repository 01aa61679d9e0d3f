from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.fake_device import FakeDevice, plug_in
from tests.support.resuming import Total
from tests.support.runs import CUT_SHORT, SENTENCE, Bare, Costly, Finishable, Sentence, quiet
from trainsignal import Callback, Callbacks, TrainCostCallback, keys
from trainsignal.errors import CostError, RunStateError, WiringError
from trainsignal.loop_driver import LoopDriver
from trainsignal.reported import ReportedCallback


def only(*callbacks: Callback, model: object = None, **options: Any) -> Callbacks:
    """Return a container with just these callbacks."""
    made = quiet(model, **options)
    made.callbacks = list(callbacks)
    return made


def train(driver: LoopDriver, epochs: int = 2, minibatches: int = 2, cost: object = 1.0) -> None:
    """Do what an adapter does in a loop that knows nothing of resuming, and asks whether to stop."""
    driver.begin(epochs, minibatches)
    for _ in range(epochs):
        driver.begin_epoch()
        for _ in range(minibatches):
            driver.begin_minibatch()
            driver.end_minibatch(cost)
            if driver.should_stop():
                break
        driver.end_epoch()
        if driver.should_stop("epoch"):
            break
    driver.end()


def calls(*words: str) -> list[str]:
    """Return names of methods: "E" begins an epoch, "B" a minibatch; "e" and "b" end them; "t" the run."""
    names = {"E": "begin_epoch", "B": "begin_minibatch", "b": "end_minibatch", "e": "end_epoch", "t": "end"}
    return [names[letter] for word in words for letter in word]


# -- the sequence --------------------------------------------------------------------------------------


def test_epochs_and_minibatches_are_numbered() -> None:
    callbacks = only()
    heard = Sentence(callbacks)
    train(LoopDriver(callbacks))
    assert heard.calls == [
        ("train_begin", 2),
        ("epoch_begin", 0), ("minibatch_begin", 0, 0), ("minibatch_end", 0, 0), ("minibatch_begin", 0, 1),
        ("minibatch_end", 0, 1), ("epoch_end", 0),
        ("epoch_begin", 1), ("minibatch_begin", 1, 0), ("minibatch_end", 1, 0), ("minibatch_begin", 1, 1),
        ("minibatch_end", 1, 1), ("epoch_end", 1),
        ("train_end",), ("run_closed", "completed", None),
    ]  # fmt: skip


@pytest.mark.parametrize("told, published", [
    ("EBbet", "TEBbetC"),
    ("EBbeet", "TEBbetC"),  # an end that is told twice
    ("EBbbet", "TEBbetC"),
    ("EBbett", "TEBbetC"),
    ("EBBbet", "TEBbBbetC"),  # ends that nobody tells
    ("EBbEBbet", "TEBbeEBbetC"),
    ("EBEBbet", "TEBbeEBbetC"),
    ("EBet", "TEBbetC"),
    ("EBt", "TEBbetC"),
    ("Et", "TEetC"),
    ("t", "TtC"),
    ("BbeEBbet", "TEBbetC"),  # ends of what nobody has begun
    ("EbBbet", "TEBbetC"),
    ("EBbeBbt", "TEBbetC"),  # a minibatch outside an epoch
    ("EBbetEBbet", "TEBbetC"),  # after the end
    ("EeEeEet", "TEeEetC"),  # more epochs than were announced
])  # fmt: skip
def test_whatever_is_told_twice_or_not_at_all_the_rest_is_a_sentence(told: str, published: str) -> None:
    callbacks = only(TrainCostCallback())
    heard = Sentence(callbacks)
    driver = LoopDriver(callbacks)
    driver.begin(2)
    for name in calls(told):
        getattr(driver, name)()
    assert heard.text == published
    assert SENTENCE.fullmatch(published)


@pytest.mark.parametrize("name", [*calls("EBbet"), "report", "report_minibatch"])
def test_calls_before_the_begin_do_nothing(name: str) -> None:
    callbacks = only()
    heard = Sentence(callbacks)
    driver = LoopDriver(callbacks)
    getattr(driver, name)(*([{"loss": 1.0}] if name.startswith("report") else []))
    driver.failed(ValueError("early"))
    assert heard.text == ""
    assert not driver.should_stop()
    assert not driver.should_stop("epoch")

    train(driver)
    assert SENTENCE.fullmatch(heard.text)
    assert "metrics" not in callbacks.callback_data


@pytest.mark.parametrize("told", ["", "E", "EB", "EBb", "EBbe"])
@pytest.mark.parametrize("then", ["E", "B", "b", "e", "t", "EBbet"])
def test_calls_after_a_failure_do_nothing(told: str, then: str) -> None:
    callbacks = only(TrainCostCallback())
    heard = Sentence(callbacks)
    driver = LoopDriver(callbacks)
    driver.begin(2)
    for name in calls(told):
        getattr(driver, name)()
    driver.failed(ValueError("mine"))
    driver.failed(ValueError("again"))
    driver.report({"loss": 1.0})
    driver.report_minibatch({"loss": 1.0})
    for name in calls(then):
        getattr(driver, name)()
    assert heard.text == f"T{told}C"
    assert CUT_SHORT.fullmatch(heard.text)
    assert str(callbacks.run.error) == "mine"
    assert "metrics" not in callbacks.callback_data


@pytest.mark.parametrize("error, reason", [
    (ValueError("mine"), "failed"), (KeyboardInterrupt(), "interrupted"),
], ids=["error", "interrupt"])  # fmt: skip
def test_failure_that_the_framework_tells_of_closes_the_run(error: BaseException, reason: str) -> None:
    callbacks = only()
    driver = LoopDriver(callbacks)
    driver.begin(2)
    driver.failed(error)
    assert (callbacks.run.exit_reason, callbacks.run.error) == (reason, error)


def test_failure_after_the_end_changes_nothing() -> None:
    callbacks = only()
    driver = LoopDriver(callbacks)
    train(driver)
    driver.failed(ValueError("late"))
    assert callbacks.run.exit_reason == "completed"


def test_begin_amid_the_run_is_refused_and_disturbs_nothing() -> None:
    callbacks = only(model=Finishable())
    heard = Sentence(callbacks)
    driver = LoopDriver(callbacks)
    driver.begin(1, 5, loss="val_loss")
    callbacks.run.model.finished = True
    before = callbacks.callbacks
    driver.report({"val_loss": 2.0})

    with pytest.raises(RunStateError, match="has served a run already"):
        driver.begin(3, 7, loss="val_loss")

    assert callbacks.callbacks is before
    assert callbacks.run.model.finished
    for name in calls("EBbet"):
        getattr(driver, name)()
    assert heard.text == "TEBbetC"
    assert callbacks.callback_data["cost/loss"][:].tolist() == [2.0]


def test_begin_may_be_tried_again_after_what_was_wrong_is_mended() -> None:
    class Reader(Callback):
        reads = ("cost/loss",)

    callbacks = only(Reader())
    driver = LoopDriver(callbacks)
    with pytest.raises(WiringError, match="reads 'cost/loss', which no callback writes"):
        driver.begin(1)
    driver.begin(1, loss="val_loss")
    assert [type(one).__name__ for one in callbacks.callbacks] == ["ReportedCallback", "Reader"]
    driver.end()


# -- what it is given ----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [None, [Callback()], Callback(), Callbacks], ids=str)
def test_what_is_no_container_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"is no Callbacks object: pass trainsignal\.Callbacks\(model"):
        LoopDriver(given)


def test_what_is_no_callback_is_refused_in_the_words_of_the_preflight() -> None:
    stranger: Any = object()
    with pytest.raises(WiringError, match="is no Callback: subclass"):
        LoopDriver(only(stranger)).begin(1)


def test_run_and_model_are_those_of_the_container() -> None:
    model = Bare()
    callbacks = only(model=model)
    driver = LoopDriver(callbacks)
    assert driver.callbacks is callbacks
    assert driver.run is callbacks.run
    assert driver.model is model


def test_size_of_an_epoch_is_announced() -> None:
    callbacks = only(TrainCostCallback())
    train(LoopDriver(callbacks), epochs=3, minibatches=4)
    assert callbacks.callback_data["config"].attrs["total_minibatches"] == 12
    assert callbacks.run.minibatches_per_epoch == 4


def test_size_that_is_unknown_is_not_announced() -> None:
    callbacks = only(TrainCostCallback())
    driver = LoopDriver(callbacks)
    driver.begin(None)
    for name in calls("EBbBbet"):
        getattr(driver, name)()
    assert not {"total_minibatches", "total_epochs"} & set(callbacks.callback_data["config"].attrs)
    assert callbacks.run.exit_reason == "completed"


def test_model_that_an_earlier_run_finished_is_not_finished_any_more() -> None:
    model = Finishable()
    model.finished = True
    callbacks = only(model=model)
    train(LoopDriver(callbacks))
    assert callbacks.run.exit_reason == "completed"


# -- costs ---------------------------------------------------------------------------------------------


def costs_of(driver: LoopDriver, costs: Iterable[object]) -> list[float]:
    """Return the training costs of a run of one epoch in which the framework tells these."""
    driver.callbacks.callbacks = [TrainCostCallback(1)]
    driver.begin(1)
    driver.begin_epoch()
    for cost in costs:
        driver.begin_minibatch()
        driver.end_minibatch(cost)
    driver.end()
    series: list[float] = driver.callbacks.callback_data["cost/train"][:].tolist()
    return series


def test_cost_is_that_of_its_minibatch_and_missing_where_none_was_told() -> None:
    costs = costs_of(LoopDriver(quiet()), [2.0, None, np.float32(3.0), np.array([[4.0]])])
    np.testing.assert_array_equal(costs, [2.0, np.nan, 3.0, 4.0])


def test_cost_of_the_model_stands_in_for_none_that_the_framework_tells() -> None:
    callbacks = only(TrainCostCallback(1), model=Costly(7.0))
    assert np.isnan(costs_of(LoopDriver(callbacks), [None])).all()  # it has said so: nothing is known


def test_cost_that_the_loops_author_set_counts_where_the_framework_tells_none() -> None:
    callbacks = only(TrainCostCallback(1))
    driver = LoopDriver(callbacks)
    driver.begin(1)
    driver.begin_epoch()
    driver.begin_minibatch()
    callbacks.run.cost = 5.0
    driver.end_minibatch()
    driver.begin_minibatch()
    driver.end()
    assert callbacks.callback_data["cost/train"][:].tolist() == [5.0]
    assert callbacks.run.minibatches_done == 2


@pytest.mark.parametrize("cost", ["high", [1.0, 2.0], [[1.0], [2.0, 3.0]], True], ids=str)
def test_cost_that_is_no_number_is_refused(cost: object) -> None:
    with pytest.raises(CostError, match="not one number"):
        costs_of(LoopDriver(quiet()), [cost])


def test_device_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice()
    plug_in(monkeypatch, device)
    callbacks = quiet()
    waits: list[int] = []
    callbacks.bus.subscribe("minibatch_end", lambda: waits.append(device.waits))
    assert costs_of(LoopDriver(callbacks), map(device.value, (1.0, 2.0, 3.0))) == [1.0, 2.0, 3.0]
    assert (waits, device.sent) == ([0, 0, 0], [3])


# -- stopping ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at, published", [("minibatch", "TEBbetC"), ("epoch", "TEBbBbetC")])
def test_vote_is_heard_at_its_boundary(at: Any, published: str) -> None:
    callbacks = only()
    heard = Sentence(callbacks)
    callbacks.bus.subscribe("minibatch_end", lambda: callbacks.run.request_stop("enough", at=at), once=True)
    train(LoopDriver(callbacks), epochs=3)
    assert heard.text == published
    assert callbacks.run.exit_reason == "stopped"


def test_end_of_a_minibatch_tells_whether_to_stop_there() -> None:
    callbacks = only()
    driver = LoopDriver(callbacks)
    assert not driver.end_minibatch()
    driver.begin(1)
    driver.begin_epoch()
    driver.begin_minibatch()
    assert not driver.end_minibatch(1.0)
    callbacks.run.request_stop("later", at="epoch")
    driver.begin_minibatch()
    assert not driver.end_minibatch(1.0)
    callbacks.stop("now")
    driver.begin_minibatch()
    assert driver.end_minibatch(1.0)
    assert driver.end_minibatch()
    driver.end()


def test_all_epochs_done_is_a_reason_to_stop_at_the_end_of_an_epoch_alone() -> None:
    driver = LoopDriver(only())
    driver.begin(1)
    driver.begin_epoch()
    assert not driver.should_stop("epoch")
    driver.end_epoch()
    assert driver.should_stop("epoch")
    assert not driver.should_stop()
    driver.end()


def test_run_without_epochs_has_nothing_to_do() -> None:
    callbacks = only()
    heard = Sentence(callbacks)
    driver = LoopDriver(callbacks)
    driver.begin(0)
    assert driver.should_stop("epoch")
    for name in calls("EBbet"):
        getattr(driver, name)()
    assert heard.text == "TtC"
    assert callbacks.run.exit_reason == "completed"


# -- reporting -----------------------------------------------------------------------------------------


def epochs_of(driver: LoopDriver, reports: Iterable[dict[str, object]], **options: Any) -> Any:
    """Run one epoch of a minibatch for each report; return the shared data."""
    reports = list(reports)
    driver.begin(len(reports), **options)
    for report in reports:
        driver.begin_epoch()
        driver.begin_minibatch()
        driver.end_minibatch(1.0)
        driver.report(report)
        driver.end_epoch()
    driver.end()
    return driver.callbacks.callback_data


def test_reported_values_are_series_of_epochs() -> None:
    data = epochs_of(LoopDriver(only()), [{"accuracy": 0.5}, {"accuracy": 0.75}])
    assert data["metrics/accuracy"][:].tolist() == [0.5, 0.75]


def test_reported_loss_is_the_evaluation_loss_too() -> None:
    data = epochs_of(LoopDriver(only()), [{"val_loss": 3.0}, {"val_loss": 2.0}], loss="val_loss")
    assert data["cost/loss"][:].tolist() == data["metrics/val_loss"][:].tolist() == [3.0, 2.0]


def test_loss_that_a_callback_of_the_users_writes_is_not_overwritten() -> None:
    class Mine(Callback):
        writes = ("cost/loss",)

        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_series("cost/loss", epochs)

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            callback_data["cost/loss"][epoch] = 7.0

    data = epochs_of(LoopDriver(only(Mine())), [{"val_loss": 3.0}], loss="val_loss")
    assert data["cost/loss"][:].tolist() == [7.0]
    assert data["metrics/val_loss"][:].tolist() == [3.0]
    assert keys.REPORTED_AS not in data["cost/loss"].attrs


def test_last_report_of_an_epoch_counts_and_one_between_two_epochs_is_of_the_next() -> None:
    driver = LoopDriver(only())
    driver.begin(2)
    driver.report({"a": 1.0})
    driver.begin_epoch()
    driver.report({"b": 1.0})
    driver.report({"b": 2.0})
    driver.end_epoch()
    driver.report({"a": 3.0})
    driver.begin_epoch()
    driver.end()
    data = driver.callbacks.callback_data
    assert data["metrics/a"][:].tolist() == [1.0, 3.0]
    np.testing.assert_array_equal(data["metrics/b"][:], [2.0, np.nan])


def test_callbacks_of_all_kinds_find_what_was_reported_of_the_epoch() -> None:
    seen: list[Any] = []

    class Plain(Callback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            seen.append(float(callback_data["metrics/accuracy"][epoch]))

    epochs_of(LoopDriver(only(Plain())), [{"accuracy": 0.5}, {"accuracy": 0.75}])
    assert seen == [0.5, 0.75]


def test_values_of_a_minibatch_have_its_row() -> None:
    driver = LoopDriver(only())
    driver.begin(2, 2)
    driver.report_minibatch({"early": 0.0})
    for epoch in range(2):
        driver.begin_epoch()
        driver.report_minibatch({"before": float(epoch)})
        for minibatch in range(2):
            driver.begin_minibatch()
            driver.report_minibatch({"amid": 10.0 * epoch + minibatch})
            driver.end_minibatch(1.0)
            if minibatch:
                driver.report_minibatch({"after": 10.0 * epoch + minibatch})
        driver.end_epoch()
        driver.report_minibatch({"behind": float(epoch)})
    driver.end()
    driver.report_minibatch({"late": 0.0})

    data, missing = driver.callbacks.callback_data, np.nan
    expected = {
        "amid": [0, 1, 10, 11], "after": [missing, 1, missing, 11], "before": [missing, 1, missing, missing],
        "behind": [missing, 0, missing, 1],
    }  # fmt: skip
    assert list(data["metrics"]) == sorted(expected)
    for name, rows in expected.items():
        np.testing.assert_array_equal(data[f"metrics/{name}"][:], rows)
        assert data[f"metrics/{name}"].attrs["time_markers"] == "minibatch"


@pytest.mark.parametrize("reads", ["reads", "optional_reads"])
def test_series_that_a_callback_needs_is_there_before_anything_is_reported(reads: str) -> None:
    found: list[bool] = []

    class Reader(Callback):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            found.append("metrics/val_accuracy" in callback_data)

    reader = Reader()
    setattr(reader, reads, ("metrics/val_accuracy",))
    data = epochs_of(LoopDriver(only(reader)), [{"val_accuracy": 0.5}, {"val_accuracy": 0.75}])
    assert found == [reads == "reads"]
    assert data["metrics/val_accuracy"][:].tolist() == [0.5, 0.75]


def test_metric_that_another_callback_writes_is_not_awaited(caplog: pytest.LogCaptureFixture) -> None:
    class Writer(Callback):
        writes = ("metrics/mine",)

        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_series("metrics/mine", epochs)

    class Reader(Callback):
        reads = ("metrics/mine",)

    epochs_of(LoopDriver(only(Writer(), Reader())), [{"other": 1.0}])
    assert caplog.messages == []


def test_reported_callback_of_an_earlier_run_is_not_kept() -> None:
    old = ReportedCallback()
    callbacks = only(old, Callback())
    LoopDriver(callbacks).begin(0)
    assert [type(one) for one in callbacks.callbacks] == [ReportedCallback, Callback]
    assert callbacks.callbacks[0] is not old
    LoopDriver(callbacks).end()


# -- going on ------------------------------------------------------------------------------------------

Loader = Callable[[Callbacks], Iterable[float]]


class CrashError(Exception):
    """Ends a process."""


def run_total(
    folder: Path, loader: Loader, *, crash_at: tuple[int, int] | None = None, resume: bool = False
) -> Callbacks:
    """Train a `Total` in a loop of three epochs that knows nothing of resuming; saves at each minibatch."""
    folder.mkdir(exist_ok=True)
    model = Total()
    files = {"output_file": folder / "run.h5", "save_path": folder / "model.h5"}
    callbacks = quiet(model, checkpoint_every=1, resume=resume, **files)
    callbacks.callbacks[0] = TrainCostCallback(1)
    driver = LoopDriver(callbacks)
    batches = loader(callbacks)
    driver.begin(3, 4, loss="val_loss")
    while not driver.should_stop("epoch"):
        driver.begin_epoch()
        driver.report({"early": 100.0 * callbacks.run.epoch})
        for batch in batches:
            driver.begin_minibatch()
            if (callbacks.run.epoch, callbacks.run.open_minibatch) == crash_at:
                driver.failed(CrashError())
                return callbacks
            model.total += batch
            driver.end_minibatch(model.total)
            driver.report_minibatch({"rate": model.total})
        driver.report({"val_loss": model.total, "rate": -1.0})
        driver.end_epoch()
    driver.end()
    return callbacks


BATCHES = (1.0, 2.0, 3.0, 4.0)


def served(callbacks: Callbacks) -> Iterable[float]:
    return callbacks.serve(BATCHES)


def unserved(callbacks: Callbacks) -> Iterable[float]:
    return BATCHES


@pytest.mark.parametrize("crash_at", [(0, 0), (0, 2), (1, 0), (1, 3), (2, 1)], ids=str)
def test_resumed_loop_over_a_served_loader_goes_on_exactly(crash_at: tuple[int, int], tmp_path: Path) -> None:
    run_total(tmp_path / "run", served, crash_at=crash_at)
    data = run_total(tmp_path / "run", served, resume=True).callback_data

    totals = np.cumsum(BATCHES * 3)
    np.testing.assert_array_equal(data["cost/train"][:], totals)
    np.testing.assert_array_equal(data["cost/loss"][:], totals[3::4])
    assert sorted(data["metrics"]) == ["early", "rate", "rate_2", "val_loss"]
    np.testing.assert_array_equal(data["metrics/early"][:], [0.0, 100.0, 200.0])
    np.testing.assert_array_equal(data["metrics/rate"][:], totals)
    np.testing.assert_array_equal(data["metrics/rate_2"][:], [-1.0] * 3)


def test_resumed_loop_over_a_loader_that_nobody_knows_trains_the_epoch_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_total(tmp_path / "run", unserved, crash_at=(1, 2))
    with caplog.at_level(logging.WARNING, "trainsignal"):
        callbacks = run_total(tmp_path / "run", unserved, resume=True)

    told = [line for line in caplog.messages if "is trained again" in line]
    assert len(told) == 1
    assert told[0].startswith(
        "epoch 1 is trained again from its begin, with the model as it was after 2 minibatches"
    )
    assert "callbacks.serve(loader)" in told[0]
    totals = [1, 3, 6, 10, 14, 16, 19, 23, 24, 26, 29, 33]
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], totals)
    assert callbacks.run.exit_reason == "completed"


def test_mean_of_an_epoch_that_is_trained_again_is_that_of_its_minibatches(tmp_path: Path) -> None:
    run_total(tmp_path / "run", unserved, crash_at=(2, 2))
    callbacks = run_total(tmp_path / "run", unserved, resume=True)
    rows = callbacks.callback_data["cost/train"][8:]
    assert callbacks.run.epoch_cost == pytest.approx(rows.mean())


def test_framework_that_goes_on_from_a_checkpoint_of_its_own_numbers_on() -> None:
    callbacks = only(TrainCostCallback(1))
    heard = Sentence(callbacks)
    driver = LoopDriver(callbacks)
    driver.begin(4, 3)
    driver.go_on(2, 6, within=1)
    while not driver.should_stop("epoch"):
        driver.begin_epoch()
        while callbacks.run.epoch_minibatches < 3:
            driver.begin_minibatch()
            driver.end_minibatch(1.0)
        driver.end_epoch()
    driver.end()
    assert heard.calls[1:-2] == [
        ("epoch_begin", 2), ("minibatch_begin", 2, 1), ("minibatch_end", 2, 1), ("minibatch_begin", 2, 2),
        ("minibatch_end", 2, 2), ("epoch_end", 2),
        ("epoch_begin", 3), ("minibatch_begin", 3, 0), ("minibatch_end", 3, 0), ("minibatch_begin", 3, 1),
        ("minibatch_end", 3, 1), ("minibatch_begin", 3, 2), ("minibatch_end", 3, 2), ("epoch_end", 3),
    ]  # fmt: skip
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], 7 * [np.nan] + 5 * [1.0])
    assert callbacks.run.exit_reason == "completed"


def test_complete_run_that_is_resumed_has_nothing_to_do(tmp_path: Path) -> None:
    run_total(tmp_path / "run", served)
    callbacks = run_total(tmp_path / "run", served, resume=True)
    assert callbacks.run.exit_reason == "completed"
    assert callbacks.run.epochs_complete == 3
