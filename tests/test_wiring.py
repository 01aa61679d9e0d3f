from __future__ import annotations

from typing import Any

from tests.support.events import BareModel, container, drive
from tests.support.runs import quiet
from trainsignal import Bus, Callback, StopWhenNotImprovingCallback, keys
from trainsignal.binding import Member
from trainsignal.reported import ReportedCallback
from trainsignal.wiring import describe


class Loss(Callback):
    writes = ("cost/loss",)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None: ...
    def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None: ...


class Best(Callback):
    reads = ("cost/loss",)
    optional_reads = ("metrics/Accuracy",)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None: ...
    def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None: ...


class OwnRule(Callback):
    optional_reads = ("cost/loss",)

    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        return True

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None: ...


def log_line() -> None: ...


class Plotter:
    def __call__(self, sender: object, **payload: object) -> None: ...

    def __repr__(self) -> str:
        return "Plotter()"


def lines_of(*members: Member, bus: Bus | None = None) -> list[str]:
    return [
        " ".join(line.split()) for line in describe(list(members), bus or Bus(), BareModel()).splitlines()
    ]


def test_nobody_listening_is_a_headline_alone() -> None:
    assert lines_of() == ["signals of BareModel, receivers in running order:"]


def test_each_signal_with_receivers_is_listed_with_its_payload_and_they_in_running_order() -> None:
    bus = Bus()
    bus.subscribe("epoch_end", log_line, every=2)
    bus.epoch_end.connect(log_line)
    bus.epoch_end.connect(Plotter())
    bus.subscribe("epoch_end", log_line, first=True, every=3)
    bus.subscribe("train_end", log_line, at=[0, 2])

    assert lines_of(Member(Loss(epoch_freq=[1, 2]), "Loss"), Member(Best(), "Best"), bus=bus)[1:15] == [
        "epoch_end(epoch)",
        "1. handler log_line every 3",
        "2. Loss at [1, 2]",
        "3. Best each time",
        "4. handler log_line every 2",
        "5. receiver log_line each time",
        "6. receiver Plotter() each time",
        "train_end()",
        "1. handler log_line at [0, 2]",
        "run_closed(reason, error)",
        "1. Best each time",
        "2. Loss each time",
        "series:",
        "cost/loss written by Loss, read by Best",
    ]


def test_signals_of_the_users_own_are_listed_too() -> None:
    bus = Bus()
    bus.declare("restored", payload=("path",))
    bus.subscribe("restored", log_line)

    assert lines_of(bus=bus)[1:] == ["restored(path)", "1. handler log_line each time"]


def test_a_rule_of_its_own_is_said() -> None:
    member = Member(OwnRule(minibatch_freq=None), "OwnRule")

    assert lines_of(member)[1:3] == [
        "minibatch_end(epoch, minibatch)",
        "1. OwnRule never, as its should_fire says",
    ]


def test_series_that_are_written_or_needed_are_listed_with_who_does() -> None:
    lines = lines_of(Member(Loss(), "Loss"), Member(Best(), "Best"), Member(OwnRule(), "OwnRule"))

    assert lines[lines.index("series:") + 1 :] == [
        "cost/loss written by Loss, read by Best, OwnRule (if there)",
    ]


def test_a_series_that_nobody_reads_has_just_its_writer() -> None:
    assert lines_of(Member(Loss(), "Loss"))[-1] == "cost/loss written by Loss"


def test_the_wiring_of_a_container_is_the_same_before_and_after_its_run() -> None:
    callbacks = container(Best(), Loss())

    before = str(callbacks)
    drive(callbacks, [1])

    assert str(callbacks) == before
    assert before.index("1. Loss") < before.index("2. Best")


def test_what_saves_the_run_comes_after_the_handlers_and_reads_no_series() -> None:
    class Saving(Callback):
        optional_reads = (keys.RUN_STATE,)
        writes = (keys.MODEL,)

        def on_epoch_end(self, *arguments: object) -> None: ...

        def on_run_closed(self, *arguments: object) -> None: ...

    bus = Bus()
    bus.subscribe("epoch_end", log_line)
    bus.subscribe("run_closed", log_line)
    lines = lines_of(Member(Loss(), "Loss"), Member(Saving(), "Saving"), bus=bus)
    end = lines.index("epoch_end(epoch)")
    assert [line.split()[1] for line in lines[end + 1 : end + 4]] == ["Loss", "handler", "Saving"]
    closed = lines.index("run_closed(reason, error)")
    assert [line.split()[1] for line in lines[closed + 1 : closed + 4]] == ["Saving", "Loss", "handler"]
    assert not any("run state" in line or line.startswith("model") for line in lines)


def test_a_metric_that_the_framework_will_report_has_a_writer() -> None:
    callbacks = quiet()
    callbacks.callbacks = [
        ReportedCallback(expected=["metrics/val_acc"]),
        StopWhenNotImprovingCallback("metrics/val_acc", patience=2, direction="max"),
    ]

    assert "metrics/val_acc          written by ReportedCallback" in str(callbacks)
    assert "nobody" not in str(callbacks)
