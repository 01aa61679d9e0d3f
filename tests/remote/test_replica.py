"""The same callbacks, at home and at the other end, hear and find the same."""

from __future__ import annotations

import io
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from tests.remote.followed import Journal, Listened, present
from tests.remote.told import Telling, entry, per_minibatch, rows, series, telling
from tests.support.runs import FakeClock, Terminal, quiet
from trainsignal import (
    Callback,
    CSVCallback,
    EarlyStopCallback,
    ProgressBarCallback,
    RunTimerCallback,
    SaveBestStateCallback,
    StopOnNaNCallback,
    StopWhenNotImprovingCallback,
    TrainCostCallback,
    TrainLoggerCallback,
    keys,
)
from trainsignal.errors import MissingAbilityError, WiringError
from trainsignal.interrupt import PreemptedExit
from trainsignal.remote.endings import RemoteInterrupt, RemoteRunError

COST = per_minibatch("cost/train", direction="min")
LOSS = series("cost/loss", time_markers="epoch_freq", epoch_freq=1, direction="min")


class Loss(Callback):
    """Writes a loss that nobody has to compute."""

    writes = (keys.LOSS,)

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_series(keys.LOSS, epochs, attributes=keys.epoch_axis(1))

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data[keys.LOSS][epoch] = 1 / (epoch + 1)


def built_in(folder: Path, journal: Journal, stream: io.StringIO) -> list[Callback]:
    """Return callbacks that need no model."""
    return [
        journal, CSVCallback(folder / "table.csv", clock=lambda: 5.0), RunTimerCallback(clock=lambda: 5.0),
        ProgressBarCallback(stream=stream, clock=FakeClock()), TrainLoggerCallback(minibatch_freq=2),
    ]  # fmt: skip


def plain(text: str) -> str:
    """Return a text without memory addresses and names of models."""
    return re.sub(r"<.*object at .*>|Bare of the run 'digits'", "MODEL", text)


@pytest.mark.parametrize("block", [1, 3, 100])
def test_callbacks_hear_and_write_the_same_as_at_home(
    block: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trainsignal.callbacks")
    journals = Journal("cost/train", "cost/loss"), Journal("cost/train", "cost/loss")
    streams = io.StringIO(), io.StringIO()
    (tmp_path / "home").mkdir()
    (tmp_path / "there").mkdir()
    home = quiet()
    home.callbacks = [TrainCostCallback(), Loss(), *built_in(tmp_path / "home", journals[0], streams[0])]
    told = telling(home, block)
    with home.training(3, minibatches=4) as run:
        for epoch in run.epochs():
            for minibatch in run.minibatches(range(4)):
                run.cost = 1 / (1 + epoch * 4 + minibatch)
    logged_at_home = [plain(one.getMessage()) for one in caplog.records]
    caplog.clear()

    there = Listened(
        callbacks=lambda: built_in(tmp_path / "there", journals[1], streams[1]),
        listed=entry(run_id=home.run.run_id),
    ).take(told)

    assert not there.troubles.counts
    assert journals[1].heard == journals[0].heard
    assert (tmp_path / "there/table.csv").read_text() == (tmp_path / "home/table.csv").read_text()
    assert streams[1].getvalue() == streams[0].getvalue()
    without_cost = [re.sub(r"Train Cost .*?\.  ", "", one) for one in logged_at_home]  # no raw cost is told
    assert [plain(one.getMessage()) for one in caplog.records] == without_cost


def test_stopped_run_is_stopped_here_with_its_reason() -> None:
    home = quiet()
    home.callbacks = [TrainCostCallback(), Loss(), EarlyStopCallback(lambda state, loss: (state, loss < 0.6))]
    told = telling(home)
    with home.training(9) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(4)):
                run.cost = 1.0

    there = Listened(listed=entry(run_id=home.run.run_id)).take(told)

    assert there.runs[0].exit_reason == "stopped"
    assert there.runs[0].votes[0].author == "EarlyStopCallback"
    assert there.asked == []
    assert [one for one in there.heard if one[0] == "stop_requested"] == [
        ("stop_requested", home.run.votes[0].reason, "EarlyStopCallback")
    ]


def test_minibatches_of_a_block_are_heard_one_by_one_each_with_its_rows() -> None:
    journal, told = Journal("cost/train"), Telling()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 1, rows={"cost/train": rows(0, 0.5, 0.25)})

    Listened(callbacks=lambda: [journal]).take(told)

    assert journal.heard[-4:] == [
        ("minibatch_begin", 0, 0, {"cost/train": []}),
        ("minibatch_end", 0, 0, {"cost/train": [0.5]}),
        ("minibatch_begin", 0, 1, {"cost/train": [0.5]}),
        ("minibatch_end", 0, 1, {"cost/train": [0.5, 0.25]}),
    ]


def test_rows_that_come_late_are_there_before_the_next_minibatch() -> None:
    journal, told = Journal("cost/train"), Telling()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 1)
    told.block(0, 2, 2, rows={"cost/train": rows(0, 0.5, 0.25, 0.125)})

    Listened(callbacks=lambda: [journal]).take(told)

    assert [one[-1]["cost/train"] for one in journal.heard[-2:]] == [[0.5, 0.25], [0.5, 0.25, 0.125]]


def test_minibatches_that_come_again_are_heard_once() -> None:
    told = Telling()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 2)
    told.block(0, 1, 3, rows={"cost/train": rows(1, 0.1, 0.2, 0.4)})

    there = Listened().take(told)

    assert [one[2] for one in there.heard if one[0] == "minibatch_end"] == [0, 1, 2, 3]
    assert len(present(there.data, "cost/train")) == 3


def test_minibatches_that_were_dropped_leave_the_positions_right() -> None:
    told = Telling()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 5, 6, thinned=5, rows={"cost/train": rows(5, 0.5, 0.25)})
    told.tell("epoch_end", epoch=0, minibatches=10, rows={})
    told.tell("epoch_begin", epoch=1)
    told.block(1, 0, 0, rows={"cost/train": rows(10, 0.125)})

    there = Listened().take(told)

    assert there.runs[0].minibatches_complete == 10
    assert there.data["cost/train"][:].tolist()[5:7] == [0.5, 0.25]
    assert there.data["cost/train"][10] == 0.125
    assert there.data[keys.EPOCH_ENDS][0] == 10


@pytest.mark.parametrize("window, told_cost", [(1, 0.5), (10, None), (None, None)])
def test_cost_of_a_minibatch_is_known_where_the_series_has_it_unsmoothed(
    window: int | None, told_cost: float | None
) -> None:
    told, costs = Telling(), list[float | None]()
    told.begin(per_minibatch("cost/train", **({} if window is None else {"window": window})))
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 1, rows={"cost/train": rows(0, 0.5)})

    Listened(handlers=[("minibatch_end", lambda run: costs.append(run.cost))]).take(told)

    assert costs == [told_cost, None]


def test_nan_of_the_unsmoothed_cost_has_the_run_asked_to_stop() -> None:
    told = Telling()
    told.begin(per_minibatch("cost/train", window=1))
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 3, rows={"cost/train": rows(0, 0.5, "nan", "nan")})

    there = Listened(callbacks=lambda: [StopOnNaNCallback()]).take(told)

    assert there.asked == [("cost is nan at epoch 0, minibatch 1", "StopOnNaNCallback")]
    assert there.runs[0].votes == []


def test_vote_of_a_callback_here_is_for_the_run_and_ends_nothing_here() -> None:
    told = Telling()
    told.begin(LOSS, epochs=2)
    told.epoch(0, cost__loss=rows(0, 0.5))
    told.epoch(1, cost__loss=rows(1, 0.25))
    told.close()

    there = Listened(callbacks=lambda: [EarlyStopCallback(lambda state, loss: (state, loss > 0.3))]).take(
        told
    )

    assert [author for _, author in there.asked] == ["EarlyStopCallback"]
    assert there.runs[0].exit_reason == "completed"
    assert there.runs[0].epochs_complete == 2


def test_patience_of_a_callback_counts_epochs_as_at_home() -> None:
    told = Telling()
    told.begin(LOSS, epochs=5)
    for epoch, loss in enumerate([1.0, 0.5, 0.6, 0.7, 0.8]):
        told.epoch(epoch, cost__loss=rows(epoch, loss))

    there = Listened(callbacks=lambda: [StopWhenNotImprovingCallback("cost/loss", patience=2)]).take(told)

    words = "is not better than 0.5 in the last {} evaluations, since epoch 1"
    assert [reason for reason, _ in there.asked] == [f"cost/loss {words.format(n)}" for n in (2, 3)]


@pytest.mark.parametrize(
    "reason, kind, base",
    [
        ("failed", RemoteRunError, RuntimeError),
        ("interrupted", RemoteInterrupt, KeyboardInterrupt),
        ("preempted", PreemptedExit, SystemExit),
    ],
)
def test_run_that_was_cut_short_ends_so_here_with_its_own_words(
    reason: str, kind: type[BaseException], base: type[BaseException]
) -> None:
    told, errors = Telling(), list[BaseException]()
    told.begin()
    told.tell("epoch_begin", epoch=0)
    told.close(reason, "ValueError: bad batch", "TrainCostCallback")

    there = Listened(handlers=[("run_closed", lambda error: errors.append(error))]).take(told)

    assert there.heard[-1][:2] == ("run_closed", reason)
    assert "train_end" not in [one[0] for one in there.heard]
    assert isinstance(errors[0], kind) and isinstance(errors[0], base)
    assert str(errors[0]) == "ValueError: bad batch"
    config = there.data[keys.CONFIG].attrs
    assert (config[keys.EXIT_REASON], config[keys.EXIT_DETAIL]) == (reason, "ValueError: bad batch")
    assert config[keys.EXIT_AUTHOR] == "TrainCostCallback"


def test_error_of_nobody_has_no_author() -> None:
    told = Telling()
    told.begin()
    told.close("failed")

    config = Listened().take(told).data[keys.CONFIG].attrs

    assert keys.EXIT_AUTHOR not in config and keys.EXIT_DETAIL not in config


def test_stopped_run_whose_vote_nobody_heard_is_stopped_all_the_same() -> None:
    told = Telling()
    told.begin(epochs=9)
    told.epoch(0)
    told.close("stopped", "enough", "user")

    there = Listened().take(told)

    assert there.runs[0].exit_reason == "stopped"
    assert (there.runs[0].votes[0].reason, there.runs[0].votes[0].author) == ("enough", "user")


def test_completed_run_is_completed_here_although_epochs_went_missing() -> None:
    told = Telling()
    told.begin(epochs=9)
    told.epoch(0)
    told.close()

    there = Listened().take(told)

    assert there.runs[0].exit_reason == "completed" and there.asked == []


def test_run_that_completed_in_spite_of_a_vote_is_completed_here() -> None:
    told = Telling()
    told.begin(epochs=1)
    told.epoch(0)
    told.tell("stop_requested", reason="too late", author="user")
    told.close()

    there = Listened().take(told)

    assert there.runs[0].exit_reason == "completed"


def test_rows_that_come_with_the_end_are_there_when_it_is_heard() -> None:
    told, found = Telling(), list[Any]()
    told.begin(LOSS)
    told.epoch(0)
    told.tell("train_end")
    told.tell("run_closed", reason="completed", detail=None, author=None, rows={"cost/loss": rows(0, 0.5)})

    Listened(
        handlers=[("train_end", lambda callback_data: found.append(present(callback_data, "cost/loss")))]
    ).take(told)

    assert found == [[0.5]]


def test_series_that_appears_later_is_there_from_then_on() -> None:
    told = Telling()
    told.begin()
    told.tell("epoch_begin", epoch=0)
    told.tell(
        "epoch_end", epoch=0, minibatches=0, rows={"metrics/top": rows(0, [1, 2])},
        series=[series("metrics/top", dtype="<i8", tail=(2,), units="images", time_markers="epoch_freq")],
    )  # fmt: skip

    made = Listened().take(told).data["metrics/top"]

    assert made[:].tolist() == [[1, 2]] and made.dtype == "i8"
    assert made.attrs["units"] == "images"


def test_subscriber_of_a_series_is_told_each_row_with_its_stamp() -> None:
    told, found = Telling(), list[Any]()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 1, rows={"cost/train": rows(0, 0.5, 0.25)})

    def follow(callback_data: Any) -> None:
        callback_data.subscribe("cost/train", lambda value, stamp: found.append((value, *stamp)))

    Listened(handlers=[("train_begin", follow)]).take(told)

    assert found == [(0.5, 0, 0), (0.25, 0, 1)]


def test_reader_of_a_series_that_the_run_has_not_is_refused_as_at_home() -> None:
    told = Telling()
    told.begin(COST)

    with pytest.raises(WiringError, match=r"EarlyStopCallback reads 'cost/loss', which no callback writes"):
        Listened(callbacks=lambda: [EarlyStopCallback(lambda state, loss: (state, False))]).take(told)


def test_callback_that_needs_a_model_is_refused_with_the_reason(tmp_path: Path) -> None:
    told = Telling()
    told.begin(LOSS)

    with pytest.raises(
        MissingAbilityError, match=r"SaveBestState.*RemoteModel has not.*'digits' goes on elsewhere"
    ):
        Listened(callbacks=lambda: [SaveBestStateCallback(tmp_path / "best.h5")]).take(told)


def test_checkpoint_is_heard_and_listed() -> None:
    told = Telling()
    told.begin()
    told.tell("checkpoint_saved", path="/models/net.h5", epoch=3, minibatch=7)

    there = Listened().take(told)

    assert there.heard[-1] == ("checkpoint_saved", "/models/net.h5", 3, 7)
    assert there.runs[0].checkpoints[0].path == "/models/net.h5"
    assert there.data[keys.CHECKPOINTS][0]["minibatch"] == 7


def test_archive_tells_of_the_remote_run(tmp_path: Path) -> None:
    path, told = tmp_path / "there.h5", Telling()
    told.begin(COST, minibatches_per_epoch=None)
    told.epoch(0, minibatches=2)
    there = Listened(archive=path).take(told)
    there.followed.leave("enough")

    config = there.data[keys.CONFIG].attrs
    assert (config[keys.HOST], config[keys.SCRIPT], config[keys.MODEL_CLASS]) == ("gpu7", "train.py", "Net")
    assert list(config[keys.CALLBACKS]) == ["TrainCostCallback"]
    assert list(config[keys.STARTED_AT]) == [1.0]
    assert config[keys.RUN_ID] == there.followed.entry.run_id
    assert there.runs[0].minibatches_per_epoch == 2
    assert path.exists()


def test_run_without_script_and_callbacks_tells_of_none() -> None:
    told, listed = Telling(), entry()
    told.begin(callbacks=[])
    bare = type(listed)(listed.run_id, "h\ud800", None, "", 1.0, False, "running", 1.0)

    config = Listened(listed=bare).take(told).data[keys.CONFIG].attrs

    assert keys.SCRIPT not in config and keys.CALLBACKS not in config
    assert config[keys.HOST] == "h\\ud800"


def test_signal_of_the_user_is_published_under_its_name() -> None:
    told, found = Telling(), list[Any]()
    told.begin()
    told.tell("lr_changed", payload={"rate": 0.5, "why": "plateau"})
    told.tell("lr_changed", payload={"why": "again", "rate": "nan"})

    def note(rate: float, why: str, model: Any) -> None:
        found.append((str(rate), why, model.number))

    there = Listened(handlers=[("lr_changed", note)]).take(told)

    assert found == [("0.5", "plateau", 2), ("nan", "again", 3)]
    assert not there.troubles.counts


def test_handler_that_fails_closes_the_replica_and_is_named() -> None:
    told, reasons = Telling(), list[str]()
    told.begin()

    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        Listened(
            handlers=[("train_begin", fail), ("run_closed", lambda reason: reasons.append(reason))]
        ).take(told)

    assert any("fail handled train_begin" in note for note in caught.value.__notes__)
    assert reasons == ["failed"]


def test_progress_bar_moves_in_a_terminal() -> None:
    stream, told = Terminal(), Telling()
    told.begin(COST)
    told.epoch(0)

    Listened(callbacks=lambda: [ProgressBarCallback(stream=stream, update_thresh_s=0)]).take(told)

    assert "2/4" in stream.getvalue()
