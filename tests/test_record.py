from __future__ import annotations

import errno
import os
import platform
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import trainsignal
from tests.support.runs import FakeClock, Finishable, fit, hand_loop, quiet, tiny_model
from trainsignal.callback import Callback
from trainsignal.errors import ArchiveError
from trainsignal.notes import Checkpoint
from trainsignal.receiver import Receiver
from trainsignal.record import RunRecord
from trainsignal.shared_data import SharedData


def problems_of(data: SharedData) -> tuple[RunRecord, list[str]]:
    problems: list[str] = []
    return RunRecord(data, problems.append, receivers=list), problems


@pytest.mark.parametrize("epochs, minibatches, attributes", [
    (4, 32, {"total_epochs": 4, "total_minibatches": 128}), (4, None, {"total_epochs": 4}), (None, 32, {}),
])  # fmt: skip
def test_config_says_what_is_known(
    epochs: int | None, minibatches: int | None, attributes: dict[str, int]
) -> None:
    data = SharedData()
    problems_of(data)[0].begin("a1b2", epochs, minibatches)
    assert dict(data["config"].attrs) == {"run_id": "a1b2", **attributes}


def test_progress_counts_epochs_and_cumulative_minibatches() -> None:
    data = SharedData()
    record, _ = problems_of(data)
    record.begin("a1b2", 3, None)
    assert dict(data["time_markers"].attrs) == {"epochs_complete": 0, "minibatches_complete": 0}
    record.end_epoch(0, 32)
    record.end_epoch(1, 63)
    assert dict(data["time_markers"].attrs) == {"epochs_complete": 2, "minibatches_complete": 63}
    np.testing.assert_array_equal(data["time_markers/minibatch"][:], [32, 63, 0])


def test_each_epoch_notes_when_it_ended() -> None:
    data, clock = SharedData(), FakeClock(1.5e9)
    record = RunRecord(data, print, list, clock)
    record.begin("a1b2", 3, None)
    clock.now += 60.5
    record.end_epoch(0, 32)
    clock.now += 9.5
    record.end_epoch(1, 64)
    series = data["time/epoch_end"]
    np.testing.assert_array_equal(series[:], [1.5e9 + 60.5, 1.5e9 + 70, np.nan])
    assert series.dtype == np.float64
    assert dict(series.attrs) == {"units": "seconds since 1970-01-01 UTC"}


class Model:
    """A model."""


def described(callbacks: tuple[object, ...] = (), now: float = 1.5e9) -> Any:
    """Return the attributes of a run of this program."""
    data = SharedData()
    record = RunRecord(data, print, list, FakeClock(now))
    record.begin("a1b2", None, None)
    record.describe(Model(), callbacks)
    return data["config"].attrs


def test_run_says_what_runs_where_and_since_when() -> None:
    config = described(callbacks=(FakeClock(), Model()))
    assert config["model"] == "Model"
    assert list(config["callbacks"]) == ["FakeClock", "Model"]
    assert config["host"] == platform.node()
    assert config["version"] == trainsignal.__version__
    assert config["started_at"].tolist() == [1.5e9]
    assert config["started_at"].dtype == np.float64


def test_run_without_callbacks_names_none() -> None:
    assert "callbacks" not in described()


@pytest.mark.parametrize("arguments, script", [
    (["/home/me/train.py", "--epochs", "3"], "train.py"),
    (["odd\udc80.py"], "odd\\udc80.py"),
    (["-c"], None), ([""], None), ([], None),
], ids=["script", "undecodable", "command", "interactive", "embedded"])  # fmt: skip
def test_run_names_its_program_without_the_folder(
    arguments: list[str], script: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    assert described().get("script") == script


def test_interactive_session_is_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/lib/ipykernel_launcher.py"])
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert "script" not in described()


def test_run_of_a_container_describes_itself_before_its_first_publish(tmp_path: Path) -> None:
    callbacks = quiet(Finishable(), output_file=tmp_path / "run.h5")
    with callbacks.training(1), h5py.File(str(tmp_path / "run.h5")) as archive:
        config = dict(archive["config"].attrs)
    assert config["model"] == "Finishable"
    assert list(config["callbacks"]) == [
        "TrainCostCallback", "TrainLoggerCallback", "RunTimerCallback"
    ]  # fmt: skip
    assert len(config["started_at"]) == 1


SAVED = [
    Checkpoint("a.h5", 0, 3),
    Checkpoint("b\0.h5", 1, 3),
    Checkpoint("c.h5", 2, 0),
    Checkpoint("c.h5", 2, 1),
]


def checkpoints_in(data: SharedData) -> list[tuple[str, int, int, float]]:
    return [(path.decode(), *rest) for path, *rest in data["checkpoints"][:].tolist()]


def with_checkpoints(data: SharedData, clock: FakeClock) -> RunRecord:
    record = RunRecord(data, print, list, clock)
    record.begin("a1b2", 9, None)
    for checkpoint in SAVED:
        clock.now += 1
        record.note_checkpoint(checkpoint)
    return record


def test_each_checkpoint_is_noted_with_its_place_and_time() -> None:
    data = SharedData()
    with_checkpoints(data, FakeClock(1.5e9))
    assert checkpoints_in(data) == [
        ("a.h5", 0, 3, 1.5e9 + 1),
        ("b\\x00.h5", 1, 3, 1.5e9 + 2),
        ("c.h5", 2, 0, 1.5e9 + 3),
        ("c.h5", 2, 1, 1.5e9 + 4),
    ]
    assert data["checkpoints"].dtype.names == ("path", "epoch", "minibatch", "saved_at")


def test_no_more_than_the_newest_thousand_checkpoints_are_noted() -> None:
    data = SharedData()
    record, _ = problems_of(data)
    for epoch in range(1000):
        record.note_checkpoint(Checkpoint("model.h5", epoch, 0))
    assert [epoch for _, epoch, _, _ in checkpoints_in(data)] == list(range(1000))
    record.note_checkpoint(Checkpoint("model.h5", 1000, 0))
    assert [epoch for _, epoch, _, _ in checkpoints_in(data)] == list(range(100, 1001))


@pytest.mark.parametrize("epochs, minibatches, minibatches_done, kept", [
    (3, 12, 12, 4), (2, 8, 10, 4), (2, 8, 9, 3), (2, 8, 8, 2), (1, 4, 8, 2), (1, 4, 4, 1), (0, 0, 0, 0),
], ids=str)  # fmt: skip
def test_resumed_run_forgets_the_checkpoints_of_what_it_does_again(
    epochs: int, minibatches: int, minibatches_done: int, kept: int
) -> None:
    data = SharedData()
    record = with_checkpoints(data, FakeClock())
    record.resume(epochs, minibatches, minibatches_done)
    assert len(checkpoints_in(data)) == kept


def test_something_else_under_the_name_of_the_checkpoints_is_left_and_reported() -> None:
    data = SharedData()
    record, problems = problems_of(data)
    data.create_dataset("checkpoints", (3,))
    record.note_checkpoint(SAVED[0])
    record.begin("a1b2", None, None)
    record.resume(0, 0, 0)
    assert data["checkpoints"].shape == (3,)
    assert problems == [
        "the archive does not list the checkpoints: 'checkpoints' in the shared data is something else. Give "
        "that another name."
    ]


def test_checkpoint_is_noted_before_anybody_hears_of_it() -> None:
    callbacks = quiet()
    heard: list[list[Any]] = []
    callbacks.bus.subscribe(
        "checkpoint_saved", lambda callback_data: heard.append(checkpoints_in(callback_data)), first=True
    )
    with callbacks.training(1) as run:
        run.checkpoint_saved("model.h5")
    assert [[row[:3] for row in rows] for rows in heard] == [[("model.h5", 0, 0)]]


def test_resumed_run_notes_where_it_was_cut_short_each_time() -> None:
    data = SharedData()
    record, _ = problems_of(data)
    record.begin("a1b2", 9, None)
    record.resume(epochs=2, minibatches=6, minibatches_done=7)
    record.resume(epochs=4, minibatches=12, minibatches_done=12)
    assert data["config"].attrs["resumed_at_minibatches"].tolist() == [7, 12]
    assert data["config"].attrs["resumed_at_minibatches"].dtype == np.int64
    assert dict(data["time_markers"].attrs) == {"epochs_complete": 4, "minibatches_complete": 12}


class Spent(Receiver):
    """A receiver with an account."""

    def __init__(self, name: str, spent_s: float, failures: int = 0) -> None:
        super().__init__(name, "raise", lambda: None)
        self.spent_s, self.failures = spent_s, failures

    def __call__(self, sender: object, **payload: Any) -> object:
        return None


def times_of(data: SharedData, *receivers: Receiver) -> RunRecord:
    record = RunRecord(data, print, lambda: receivers)
    record.note_times()
    return record


def test_what_each_callback_has_cost_is_kept_with_its_name() -> None:
    data = SharedData()
    times_of(data, Spent("Loss", 0.5, 1), Spent("Bar\0", 2.0), Spent("Loss", 0.25, 2))
    series = data["time/callbacks"]
    np.testing.assert_array_equal(series[:], [0.75, 2.0])
    assert series.dtype == np.float64
    assert list(series.attrs["names"]) == ["Loss", "Bar\\x00"]
    assert list(series.attrs["failures"]) == [3, 0]
    assert (series.attrs["slowest"], series.attrs["units"]) == ("Bar\\x00", "seconds")


def test_later_times_replace_earlier_ones_in_their_place() -> None:
    data = SharedData()
    loss, bar = Spent("Loss", 0.5), Spent("Bar", 0.25)
    record = times_of(data, loss, bar)
    series = data["time/callbacks"]
    bar.spent_s, bar.failures = 1.0, 2
    record.note_times()
    assert data["time/callbacks"] == series
    np.testing.assert_array_equal(series[:], [0.5, 1.0])
    assert series.attrs["slowest"] == "Bar"
    assert list(series.attrs["failures"]) == [0, 2]


def test_times_of_others_replace_those_of_before_whoever_wrote_them() -> None:
    data = SharedData()
    times_of(data, Spent("Loss", 0.5))
    times_of(data, Spent("Loss", 1.5), Spent("Bar", 1.0))
    np.testing.assert_array_equal(data["time/callbacks"][:], [1.5, 1.0])
    assert list(data["time/callbacks"].attrs["names"]) == ["Loss", "Bar"]


def test_times_of_a_callback_that_joins_amid_the_run_are_kept_too() -> None:
    data = SharedData()
    receivers: list[Receiver] = [Spent("Loss", 0.5)]
    record = RunRecord(data, print, lambda: receivers)
    record.note_times()
    receivers.append(Spent("Bar", 1.0))
    record.note_times()
    np.testing.assert_array_equal(data["time/callbacks"][:], [0.5, 1.0])
    assert list(data["time/callbacks"].attrs["names"]) == ["Loss", "Bar"]


def own_series(data: SharedData) -> Any:
    data.create_dataset("time/callbacks", data=[1.0, 2.0, 3.0])
    return data["time/callbacks"][:].tolist()


def own_group(data: SharedData) -> Any:
    group = data.create_group("time/callbacks")
    group.attrs["names"] = ["mine"]
    return list(group.attrs["names"])


OTHERS = {"a series": own_series, "a group": own_group}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
def test_something_else_under_the_name_of_the_times_is_left_and_reported_once(others: Any) -> None:
    data = SharedData()
    expected = others(data)
    problems: list[str] = []
    record = RunRecord(data, problems.append, lambda: [Spent("Loss", 0.5)])
    record.note_times()
    record.note_times()
    found: Any = data["time/callbacks"]
    assert (found[:].tolist() if isinstance(found, h5py.Dataset) else list(found.attrs["names"])) == expected
    assert problems == [
        "the archive does not tell what the callbacks cost: 'time/callbacks' in the shared data is something "
        "else. Give that another name."
    ]


def test_times_that_cannot_be_written_are_reported_once_and_publishing_goes_on(tmp_path: Path) -> None:
    data = SharedData(tmp_path / "run.h5")
    data.create_dataset("time", data=[1.0])  # so "time/callbacks" cannot be
    problems: list[str] = []
    RunRecord(data, problems.append, lambda: [Spent("Loss", 0.5)])
    data.claim()
    data.publish()
    data.close()
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert list(archive["time"][:]) == [1.0]
    (problem,) = problems
    assert problem.startswith("the archive does not tell what the callbacks cost: ")
    assert problem.endswith(". Training goes on.")


@pytest.mark.parametrize("path", [None, "run.h5"], ids=["in memory", "archive"])
def test_whoever_publishes_the_times_are_in_it(path: str | None, tmp_path: Path) -> None:
    data = SharedData(None if path is None else tmp_path / path)
    RunRecord(data, print, lambda: [Spent("Loss", 0.5)])
    data.claim()
    data.publish()
    np.testing.assert_array_equal(data["time/callbacks"][:], [0.5])
    data.close()


def test_times_of_a_run_in_memory_are_there_at_its_end() -> None:
    clock = FakeClock()
    callbacks = quiet(Finishable(), clock=clock)
    callbacks.add_callback(Slow(clock))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches("abc"):
                run.cost = 1.0
    times = callbacks.callback_data["time/callbacks"]
    assert dict(zip(times.attrs["names"], times[:], strict=True))["Slow"] == 6


def test_noting_times_and_checkpoints_waits_for_no_device() -> None:
    data = SharedData()
    series = data.create_series("late", 2)
    record = times_of(data, Spent("Loss", 0.5))
    series.await_rows(lambda: pytest.fail("nobody has read"))
    record.note_times()
    record.note_checkpoint(SAVED[0])
    record.note_checkpoint(SAVED[1])


def test_no_times_are_kept_without_callbacks_or_after_the_data_was_closed() -> None:
    data = SharedData()
    times_of(data)
    assert "time" not in data
    data.close()
    times_of(data, Spent("Loss", 0.5))


def test_end_of_a_run_whose_data_was_closed_is_not_written() -> None:
    data = SharedData()
    record, problems = problems_of(data)
    data.close()
    record.end("completed", None, None)
    assert problems == []


@pytest.mark.parametrize("text, stored", [
    ("plain", "plain"),
    ("a\0b", "a\\x00b"),
    ("a\ud800b", "a\\ud800b"),
    ("größer, 損失", "größer, 損失"),
    ("x" * 100_000, "x" * 100_000),
], ids=["plain", "zero", "surrogate", "umlaut", "long"])  # fmt: skip
def test_why_the_run_ended_is_kept_whatever_its_text(text: str, stored: str, tmp_path: Path) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")
    with pytest.raises(ValueError), callbacks.training(1):
        raise ValueError(text)
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert archive["config"].attrs["exit_detail"] == f"ValueError: {stored}"
        assert archive["config"].attrs["exit_reason"] == "failed"


def test_archive_has_its_first_state_before_the_first_epoch(tmp_path: Path) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")
    with callbacks.training(3), h5py.File(str(tmp_path / "run.h5")) as archive:
        assert archive["config"].attrs["total_epochs"] == 3
        assert "exit_reason" not in archive["config"].attrs
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert archive["config"].attrs["exit_detail"] == "the loop ended after 0 of 3 epochs"


class Slow(Callback):
    """Takes two seconds of a clock at each minibatch."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.clock.now += 2


def test_archive_says_during_the_run_what_callbacks_cost(tmp_path: Path) -> None:
    clock = FakeClock()
    callbacks = quiet(Finishable(), output_file=tmp_path / "run.h5", clock=clock)
    callbacks.add_callback(Slow(clock))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches("abc"):
                run.cost = 1.0
            with h5py.File(str(tmp_path / "run.h5")) as archive:
                times = archive["time/callbacks"]
                assert dict(zip(times.attrs["names"], times[:], strict=True))["Slow"] == 6
                assert times.attrs["slowest"] == "Slow"


class FullDisk:
    """Makes every file that is written aside end in ENOSPC, as long as it `is_full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_full = False
        self._sync = os.fsync
        monkeypatch.setattr(os, "fsync", self._sync_or_fail)

    def _sync_or_fail(self, descriptor: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._sync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    return FullDisk(monkeypatch)


def test_full_disk_while_publishing_is_reported_and_training_goes_on(
    disk: FullDisk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = quiet(Finishable(), output_file=tmp_path / "run.h5")
    with callbacks.training(3) as run:
        for epoch in run.epochs():
            disk.is_full = epoch == 1
            callbacks.callback_data.flush()
            for _ in run.minibatches("ab"):
                run.cost = 1.0
    assert "No space left on device" in caplog.messages[0]
    assert "Training goes on, and publishing is tried again" in caplog.messages[0]
    assert caplog.messages[1] == f"reported during this run: {caplog.messages[0]}"
    assert caplog.messages[0] in callbacks.summary()
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert archive["config"].attrs["exit_reason"] == "completed"
        np.testing.assert_array_equal(archive["cost/train"][:], np.ones(6))


def test_full_disk_at_the_end_leaves_the_last_state_and_the_data_in_memory(
    disk: FullDisk, tmp_path: Path
) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")
    with callbacks.training(1) as run:
        for _ in run.epochs():
            disk.is_full = True
            for _ in run.minibatches("ab"):
                run.cost = 1.0
    assert "callbacks.callback_data.save_as(path) saves it" in callbacks.run.problems[-1]
    disk.is_full = False
    callbacks.callback_data.save_as(tmp_path / "rescued.h5")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["rescued.h5", "run.h5"]
    with h5py.File(str(tmp_path / "rescued.h5")) as archive:
        np.testing.assert_array_equal(archive["cost/train"][:], [1, 1])
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert len(archive["cost/train"]) == 0


def test_full_disk_while_saving_a_checkpoint_is_reported_and_training_goes_on(
    disk: FullDisk, tmp_path: Path
) -> None:
    model = tiny_model()
    callbacks = quiet(model, save_path=tmp_path / "model.h5")
    saved: list[int] = []
    callbacks.bus.subscribe("checkpoint_saved", lambda epoch: saved.append(epoch))

    def fill(epoch: int) -> None:
        disk.is_full = epoch == 1

    callbacks.bus.subscribe("epoch_begin", fill)
    fit(model, callbacks, 3)
    assert saved == [0, 2]
    assert len(callbacks.run.problems) == 1
    assert callbacks.run.problems[0].startswith("SerializeModelCallback: ")
    assert callbacks.run.problems[0].endswith("Training goes on.")
    assert callbacks.run.exit_reason == "completed"


def test_due_publication_that_fails_is_reported_and_tried_again_when_due(
    disk: FullDisk, tmp_path: Path
) -> None:
    clock = FakeClock()
    data = SharedData(tmp_path / "run.h5", clock=clock)
    record, problems = problems_of(data)
    record.begin("a1b2", 1, None)
    data.claim()
    record.publish_first()
    disk.is_full = True
    clock.now += 2
    assert not data.publish_if_due()
    assert len(problems) == 1
    assert problems[0].endswith(". Training goes on, and publishing is tried again.")
    disk.is_full = False
    clock.now += 2
    assert data.publish_if_due()
    record.publish_last()
    assert len(problems) == 1


def test_run_that_published_nothing_writes_nothing_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "run.h5").write_text("of an earlier run")
    callbacks = quiet(output_file=tmp_path / "run.h5")

    def fail() -> None:
        raise ValueError

    callbacks.bus.subscribe("train_begin", fail)
    with pytest.raises(ValueError):
        hand_loop(callbacks)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("run.h5", "of an earlier run")]


def test_run_whose_archive_cannot_be_written_at_its_begin_writes_none_at_its_end(
    disk: FullDisk, tmp_path: Path
) -> None:
    (tmp_path / "run.h5").write_text("of an earlier run")
    callbacks = quiet(output_file=tmp_path / "run.h5")
    disk.is_full = True
    with pytest.raises(ArchiveError):
        hand_loop(callbacks)
    assert (tmp_path / "run.h5").read_text() == "of an earlier run"
    assert callbacks.run.problems == []  # it was raised, and is not told of a second time
