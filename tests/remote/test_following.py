"""A run from its first message to its last: what is published, and what an earlier listener has published."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import h5py
import pytest

from tests.remote.followed import Journal, Listened, present
from tests.remote.told import Telling, entry, per_minibatch, rows, series
from trainsignal import CSVCallback, EarlyStopCallback, RunTimerCallback, keys

COST = per_minibatch("cost/train")
LOSS = series("cost/loss")


def whole_run(epochs: int = 3) -> Telling:
    """Return a run of two minibatches an epoch."""
    told = Telling()
    told.begin(COST, LOSS, epochs=epochs)
    for epoch in range(epochs):
        told.tell("epoch_begin", epoch=epoch)
        costs = rows(2 * epoch, epoch + 0.25, epoch + 0.5)
        told.block(epoch, 0, 1, rows={"cost/train": costs})
        told.tell("epoch_end", epoch=epoch, minibatches=2, rows={"cost/loss": rows(epoch, 1 / (epoch + 1))})
    told.close()
    return told


def test_numbers_tell_the_messages_apart() -> None:
    there = Listened().take(whole_run(2))

    assert there.numbers == [1, 2, 3, 3, 3, 3, 4, 5, 6, 6, 6, 6, 7, 9, 9]
    assert [one[0] for one in there.heard][-3:] == ["epoch_end", "train_end", "run_closed"]


@pytest.mark.parametrize("seen", range(1, 10))
def test_listener_that_is_started_again_goes_on_where_the_last_one_was(seen: int) -> None:
    """Together they hear all, once; a block may come again to the second, for its place is not kept."""
    told, first = whole_run(), Listened()
    durable = [message for message in told.messages if message.durable is not None]
    first.take(message for message in told.messages if message.number <= durable[seen - 1].number)
    first.followed.leave("killed")

    second = Listened(seen=seen).take(told)

    whole = Listened().take(told)
    assert [*first.heard, *second.heard] == whole.heard
    assert second.troubles.counts == {}


def test_callbacks_that_are_started_again_are_told_of_the_begin_and_find_the_series() -> None:
    journal, told = Journal("cost/train", "cost/loss"), whole_run()

    there = Listened(seen=3, callbacks=lambda: [journal]).take(told)

    assert journal.heard[0] == ("train_begin", 3, {"cost/train": [], "cost/loss": []})
    assert journal.heard[1][0:2] == ("epoch_begin", 1)
    assert journal.heard[1][-1] == {"cost/train": [0.25, 0.5], "cost/loss": [1.0]}
    assert journal.heard[-1] == (
        "run_closed", "completed",
        {"cost/train": pytest.approx([0.25, 0.5, 1.25, 1.5, 2.25, 2.5]),
         "cost/loss": pytest.approx([1, 1 / 2, 1 / 3])},
    )  # fmt: skip
    assert there.runs[0].minibatches_complete == 6


def test_listener_that_is_started_again_amid_an_epoch_goes_on_in_it() -> None:
    journal, told = Journal(), whole_run()

    there = Listened(seen=4, callbacks=lambda: [journal]).take(told)

    assert journal.calls[:3] == [("train_begin", 3), ("epoch_begin", 1), ("minibatch_begin", 1, 0)]
    assert there.heard[0] == ("minibatch_begin", 1, 0)


def test_what_was_done_of_an_epoch_before_is_counted() -> None:
    told = Telling()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 4)
    told.tell("checkpoint_saved", path="a.h5", epoch=0, minibatch=5)
    told.tell("stop_requested", reason="enough", author="user")
    told.block(0, 5, 5)

    there = Listened(seen=4).take(told)

    assert there.heard == [("minibatch_begin", 0, 5), ("minibatch_end", 0, 5)]
    assert there.runs[0].epoch_minibatches == 6
    assert there.runs[0].checkpoints[0].path == "a.h5"
    assert there.runs[0].votes[0].reason == "enough"


def test_run_that_was_heard_to_its_end_is_silent_when_it_comes_again() -> None:
    told = whole_run()

    there = Listened(seen=9).take(told)

    assert there.heard == [] and there.runs == []
    assert there.followed.is_over


def test_listener_whose_place_is_gone_from_the_broker_goes_on_with_what_is_there() -> None:
    told = whole_run()

    there = Listened(seen=2).take(told.messages[4:])  # from epoch 1's begin on

    assert there.heard[0] == ("epoch_begin", 1)


def test_run_whose_begin_is_gone_is_followed_from_its_next_epoch_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = whole_run()

    there = Listened().take(told.messages[2:])  # amid epoch 0

    assert there.heard[0] == ("epoch_begin", 1)
    assert there.heard[-1] == ("run_closed", "completed", None)
    assert [one.getMessage() for one in caplog.records] == [
        "run 'digits': its first messages are gone from the broker: it is followed from its next epoch on, "
        "and nothing is known of what it said when it began"
    ]
    assert present(there.data, "cost/train") == pytest.approx([0.25, 0.5, 1.25, 1.5, 2.25, 2.5])
    assert present(there.data, "cost/loss") == pytest.approx([1, 1 / 2, 1 / 3])
    assert there.runs[0].total_epochs is None
    assert there.runs[0].minibatches_complete == 6


def test_position_of_a_run_whose_begin_is_gone_follows_from_its_rows() -> None:
    told = Telling()
    told.block(7, 3, 4, rows={"cost/train": rows(703, 0.5, 0.25), "other": rows(0, 1.0)})
    told.tell("epoch_end", epoch=7, minibatches=100, rows={"cost/loss": rows(3, 0.5)})
    told.tell("epoch_begin", epoch=8)
    told.block(8, 0, 0, rows={"cost/train": rows(800, 0.125)})

    there = Listened().take(told)

    assert there.runs[0].minibatches_complete == 800
    assert there.data["cost/train"][800] == 0.125
    assert there.data["cost/loss"].attrs[keys.EPOCH_FREQ] == 2
    assert there.heard == [("epoch_begin", 8), ("minibatch_begin", 8, 0), ("minibatch_end", 8, 0)]


def test_late_rows_do_not_move_the_position_of_a_run_whose_begin_is_known() -> None:
    told = Telling()
    told.begin(COST)
    told.epoch(0, minibatches=5)
    told.tell("epoch_begin", epoch=1)
    told.block(1, 0, 3, rows={"cost/train": rows(5, 0.5)})
    told.tell("checkpoint_saved", path="a.h5", epoch=1, minibatch=4)
    told.block(1, 4, 4, rows={"cost/train": rows(9, 0.25)})

    there = Listened(seen=5).take(told)

    assert there.runs[0].minibatches_complete == 5
    assert there.data["cost/train"][[5, 9]].tolist() == [0.5, 0.25]


def test_any_series_may_be_read_of_a_run_whose_begin_is_gone() -> None:
    told = Telling()
    told.tell("epoch_begin", epoch=8)
    told.tell("epoch_end", epoch=8, minibatches=0, rows={"cost/loss": rows(8, 0.5)})

    there = Listened(callbacks=lambda: [EarlyStopCallback(lambda state, loss: (state, True))]).take(told)

    assert [author for _, author in there.asked] == ["EarlyStopCallback"]


def test_end_of_a_run_whose_begin_is_gone_is_heard() -> None:
    told = Telling()
    told.close("failed", "boom")

    assert Listened().take(told).heard[0][:2] == ("run_closed", "failed")


def test_resumed_run_closes_the_replica_of_its_earlier_process_and_numbers_on() -> None:
    told = Telling()
    told.begin(COST, LOSS)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 1, rows={"cost/train": rows(0, 0.1, 0.2)})
    told.tell("epoch_end", epoch=0, minibatches=2, rows={"cost/loss": rows(0, 0.5)})
    told.tell("epoch_begin", epoch=1)
    told.block(1, 0, 1, rows={"cost/train": rows(2, 0.3, 0.4)})
    told.begin(COST, LOSS, series("metrics/new"), resumed=True, epochs_complete=1, minibatches_complete=2)
    told.tell("epoch_begin", epoch=1)
    told.block(1, 1, 1, rows={"cost/train": rows(3, 0.7)})
    told.tell("epoch_end", epoch=1, minibatches=2, rows={})

    there = Listened().take(told)

    first, second = there.runs
    assert (first.exit_reason, second.exit_reason) == ("interrupted", None)
    closed = next(one for one in there.heard if one[0] == "run_closed")
    assert closed[1] == "interrupted" and "begun again" in str(closed[2])
    assert there.heard[there.heard.index(closed) + 1 :] == [
        ("train_begin", 3), ("epoch_begin", 1), ("minibatch_begin", 1, 1), ("minibatch_end", 1, 1),
        ("epoch_end", 1),
    ]  # fmt: skip
    assert (second.epochs_complete, second.minibatches_complete) == (2, 4)
    assert present(there.data, "cost/train") == pytest.approx([0.1, 0.2, 0.7])
    assert present(there.data, "cost/loss") == [0.5]


def test_run_that_has_ended_and_is_resumed_goes_on_with_its_rows() -> None:
    told = Telling()
    told.begin(COST)
    told.epoch(0, cost__loss=rows(0, 0.5))
    told.close("preempted")
    told.begin(COST, LOSS, resumed=True, epochs_complete=1, minibatches_complete=2)
    told.epoch(1)

    there = Listened().take(told)

    assert [run.exit_reason for run in there.runs] == ["preempted", None]
    assert present(there.data, "cost/loss") == [0.5]
    assert not there.followed.is_over


def test_run_that_is_begun_anew_has_no_rows_of_before() -> None:
    told = Telling()
    told.begin(LOSS)
    told.epoch(0, cost__loss=rows(0, 0.5))
    told.begin(LOSS)

    there = Listened().take(told)

    assert len(there.runs) == 2 and present(there.data, "cost/loss") == []
    again = Listened(seen=4).take([*told.messages, told.tell("epoch_begin", epoch=0)])
    assert present(again.data, "cost/loss") == []


def test_resumed_run_is_silent_up_to_the_place_of_an_earlier_listener() -> None:
    told = Telling()
    told.begin(LOSS)
    told.epoch(0, cost__loss=rows(0, 0.5))
    told.tell("train_end")
    told.begin(LOSS, resumed=True, epochs_complete=1, minibatches_complete=2)
    told.tell("epoch_begin", epoch=1)

    there = Listened(seen=5).take(told)

    assert there.heard == [("epoch_begin", 1)]
    assert present(there.data, "cost/loss") == [0.5]


def test_epoch_of_which_the_begin_is_missing_is_begun_and_the_one_before_it_ended() -> None:
    told = Telling()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.tell("epoch_end", epoch=2, minibatches=3, rows={})
    told.block(3, 0, 0)

    there = Listened().take(told)

    assert [one[:2] for one in there.heard] == [
        ("train_begin", 3), ("epoch_begin", 0), ("epoch_end", 0), ("epoch_begin", 2), ("epoch_end", 2),
        ("epoch_begin", 3), ("minibatch_begin", 3), ("minibatch_end", 3),
    ]  # fmt: skip


def test_message_of_an_epoch_that_is_over_is_counted_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = Telling()
    told.begin()
    told.epoch(0)
    told.block(0, 5, 6)
    told.tell("epoch_end", epoch=0, minibatches=2, rows={})
    told.tell("epoch_begin", epoch=0)

    there = Listened().take(told)

    assert there.troubles.counts == {("digits", "misplaced"): 3}
    assert len(caplog.records) == 1
    assert there.heard[-1] == ("epoch_end", 0)


def test_message_after_the_end_is_counted() -> None:
    told = whole_run(1)
    told.tell("epoch_begin", epoch=5)

    there = Listened().take(told)

    assert there.heard[-1][0] == "run_closed"
    assert there.troubles.counts == {("digits", "misplaced"): 1}


ONE = {"epoch": 0, "first": 0, "last": 0}
BAD: dict[str, tuple[str, dict[str, Any]]] = {
    "endless block": ("minibatches", {"epoch": 0, "first": 0, "last": 10**12, "rows": {}}),
    "far block": ("minibatches", {"epoch": 0, "first": 10**12, "last": 10**12, "rows": {}}),
    "backward block": ("minibatches", {"epoch": 0, "first": 3, "last": 2, "rows": {}}),
    "signal of ours": ("minibatch_end", {"payload": {"epoch": 0}}),
    "signal that is no name": ("no name", {"payload": {}}),
    "payload that is reserved": ("mine", {"payload": {"run": 1}}),
    "far epoch": ("epoch_begin", {"epoch": 10**15}),
    "many minibatches": ("epoch_end", {"epoch": 0, "minibatches": 10**15, "rows": {}}),
    "announcement that is none": ("epoch_begin", {"epoch": 0, "series": [1]}),
    "unknown reason": ("run_closed", {"reason": "bored", "detail": None, "author": None, "rows": {}}),
}  # fmt: skip


@pytest.mark.parametrize("signal, content", BAD.values(), ids=BAD.keys())
def test_message_that_cannot_be_is_told_and_the_rest_is_heard(
    signal: str, content: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    told = Telling()
    told.begin(COST, LOSS)
    content = {"thinned": 0, **content} if signal == "minibatches" else content
    for _ in range(3):
        told.tell(signal, **content)
    told.epoch(0)
    told.close()

    there = Listened().take(told)

    assert sum(there.troubles.counts.values()) == 3
    assert len(caplog.records) == 1 and "is passed over" in caplog.text
    assert there.runs[0].exit_reason == "completed"
    assert there.runs[0].minibatches_complete == 2


@pytest.mark.parametrize(
    "span",
    [
        {"cost/train": rows(10**15, 1.0)},
        {"../a": rows(0, 1.0)},
        {"cost/train": rows(0, "a")},
        {"wide": rows(10**8 - 2, [1.0] * 1000)},
    ],
    ids=["absurd row", "key that leads out", "text for a number", "series that fills the memory"],
)
def test_rows_that_cannot_be_are_told_and_the_rest_of_the_message_is_heard(
    span: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    told = Telling()
    told.begin(COST, LOSS, series("wide", tail=(1000,)))
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 0, rows={**span, "lr": rows(0, 0.5)})
    told.block(0, 1, 1, rows=span)

    there = Listened().take(told)

    assert there.troubles.counts == {("digits", "bad"): 2}
    assert len(caplog.records) == 1 and "what it says of one series is passed over" in caplog.text
    assert there.heard[-1] == ("minibatch_end", 0, 1)
    assert present(there.data, "lr") == [0.5]


def test_late_listener_finds_rows_of_all_series_also_of_those_with_columns() -> None:
    told = Telling()
    told.tell("epoch_begin", epoch=3)
    told.tell(
        "epoch_end", epoch=3, minibatches=0, rows={"wide": rows(3, [1.0, 2.0]), "cost/loss": rows(3, 0.5)}
    )

    there = Listened().take(told)

    assert there.data["wide"][3].tolist() == [1.0, 2.0] and there.data["cost/loss"][3] == 0.5
    assert there.heard[-1] == ("epoch_end", 3)


def test_payload_part_of_any_name_reaches_its_handler() -> None:
    told, found = Telling(), list[Any]()
    told.begin()
    told.tell("mine", payload={"signal": 1, "payload": 2})
    told.tell("other", payload={"self": 1})

    there = Listened(handlers=[("mine", lambda **given: found.append(given["signal"]))]).take(told)

    assert found == [1]
    assert there.troubles.counts == {("digits", "misplaced"): 1}


def test_signal_without_a_part_that_a_handler_wants_is_passed_over_until_it_has_that(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told, found = Telling(), list[Any]()
    told.begin()
    told.tell("mine", payload={"a": 1})
    told.tell("mine", payload={"a": 2})
    told.tell("mine", payload={"a": 3, "image": 4})

    there = Listened(handlers=[("mine", lambda image: found.append(image))]).take(told)

    assert found == [4]
    assert there.troubles.counts == {("digits", "misplaced"): 2}
    assert len(caplog.records) == 1 and "wants 'image'" in caplog.text


def resumed_elsewhere(first: str = "one", second: str = "two") -> tuple[Telling, Telling]:
    """Return two processes of a run, of which the second counts from 1 again."""
    before, after = Telling(process=first), Telling(process=second)
    before.begin(LOSS, epochs=2)
    before.epoch(0, cost__loss=rows(0, 0.5))
    before.epoch(1, cost__loss=rows(1, 0.25))
    after.begin(LOSS, epochs=2, resumed=True, epochs_complete=1, minibatches_complete=2)
    after.epoch(1, cost__loss=rows(1, 0.125))
    after.close()
    return before, after


def test_process_that_was_not_heard_is_heard_from_its_begin_after_one_that_was() -> None:
    before, after = resumed_elsewhere()

    there = Listened(seen={"one": 5}).take(before).take(after)

    assert [one[:2] for one in there.heard] == [
        ("train_begin", 2), ("epoch_begin", 1), ("minibatch_begin", 1), ("minibatch_end", 1),
        ("minibatch_begin", 1), ("minibatch_end", 1), ("epoch_end", 1), ("train_end",),
        ("run_closed", "completed"),
    ]  # fmt: skip
    assert present(there.data, "cost/loss") == [0.5, 0.125]


def test_process_that_was_heard_in_part_is_silent_up_to_its_place_also_where_the_other_is_gone() -> None:
    _, after = resumed_elsewhere()

    there = Listened(seen={"one": 5, "two": 3}).take(after)

    assert [one[0] for one in there.heard] == ["train_end", "run_closed"]


def test_run_that_has_ended_is_not_kept_and_its_rows_are_for_one_that_is_resumed() -> None:
    told = Telling()
    told.begin(LOSS, COST)
    told.epoch(0, cost__loss=rows(0, 0.5))
    told.close("failed", "boom")
    there = Listened().take(told)
    replica = weakref.ref(there.runs.pop().data)
    there.models.clear()
    gc.collect()

    assert replica() is None
    there.take([told.begin(LOSS, COST, resumed=True, epochs_complete=1, minibatches_complete=2)])
    assert present(there.data, "cost/loss") == [0.5]


def test_rows_of_a_series_without_an_axis_stay_when_the_run_is_resumed() -> None:
    told = Telling()
    told.begin(series("notes", units="s"))
    told.epoch(0, notes=rows(0, 0.5, 0.25))
    told.begin(resumed=True)

    assert present(Listened().take(told).data, "notes") == [0.5, 0.25]
    told.begin(series("notes", units="s"))
    assert present(Listened().take(told).data, "notes") == []


def test_rows_of_after_the_moment_at_which_a_run_is_resumed_are_left_out_though_others_have_heard_them() -> (
    None
):
    told = Telling()
    told.begin(COST)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 1, rows={"cost/train": rows(0, 0.5, 0.25)})
    told.block(0, 2, 3, rows={"cost/train": rows(2, 0.75, 1.5)})
    told.begin(COST, resumed=True, epochs_complete=0, minibatches_complete=3)
    told.tell("epoch_begin", epoch=0)

    there = Listened(seen=3).take(told)

    assert present(there.data, "cost/train") == [0.5, 0.25, 0.75]


def test_payload_that_is_another_than_before_is_refused() -> None:
    told = Telling()
    told.begin()
    told.tell("mine", payload={"a": 1})
    told.tell("mine", payload={"b": 1})

    assert Listened().take(told).troubles.counts == {("digits", "misplaced"): 1}


def test_words_that_no_file_takes_are_written_as_escapes() -> None:
    told = Telling()
    told.begin(model="N\ud800", callbacks=["A\0", 7])
    told.tell("stop_requested", reason="x" * 20_000, author="\0")

    there = Listened().take(told)

    config = there.data[keys.CONFIG].attrs
    assert config[keys.MODEL_CLASS] == "N\\ud800" and list(config[keys.CALLBACKS]) == ["A\\x00", "7"]
    assert len(there.heard[-1][1]) == 10_000 and there.heard[-1][2] == "\\x00"


@pytest.mark.parametrize("given", [None, "yesterday", -1.0, 1e300, 10**400])
def test_archive_says_when_the_remote_run_ended(given: Any) -> None:
    told = Telling()
    told.begin(LOSS)
    told.epoch(0)
    told.close(ended_at=1_790_000_000.5)
    assert Listened().take(told).data[keys.TRAIN_END][:] == [1_790_000_000.5]

    told = Telling()
    told.begin(LOSS)
    told.close(ended_at=given)
    there = Listened().take(told)
    assert keys.TRAIN_END not in there.data and there.runs[0].exit_reason == "completed"


def test_end_that_a_callback_here_takes_stays() -> None:
    told = Telling()
    told.begin(LOSS)
    told.close(ended_at=1_790_000_000.5)
    there = Listened(callbacks=lambda: [RunTimerCallback(clock=lambda: 5.0)]).take(told)
    assert there.data[keys.TRAIN_END][:] == [5.0]


def test_listener_that_ends_tells_callbacks_and_no_handlers() -> None:
    journal, told = Journal(), Telling()
    told.begin()
    there = Listened(callbacks=lambda: [journal]).take(told)

    there.followed.leave("nobody listens any more")
    there.followed.leave("twice")

    assert journal.calls[-1] == ("run_closed", "interrupted")
    assert [one[0] for one in there.heard] == ["train_begin"]
    Listened().followed.leave("before anything came")


def test_signal_of_the_user_is_heard_by_a_listener_that_is_started_again() -> None:
    told, found = Telling(), list[int]()
    told.begin()
    told.tell("mine", payload={"a": 1})
    told.tell("epoch_begin", epoch=0)
    told.tell("mine", payload={"a": 2})

    Listened(seen=2, handlers=[("mine", lambda a: found.append(a))]).take(told)

    assert found == [2]


def test_archive_shows_what_is_new_when_it_is_due(tmp_path: Path) -> None:
    path, told = tmp_path / "run.h5", Telling()
    told.begin(LOSS)
    there = Listened(archive=path).take(told)
    there.followed.publish_if_due()  # too soon after the first state
    there.take([told.tell("epoch_begin", epoch=0)])
    there.take([told.tell("epoch_end", epoch=0, minibatches=0, rows={"cost/loss": rows(0, 0.5)})])
    there.data._archive._next_due_s = float("-inf")  # the second is over

    there.followed.publish_if_due()

    with h5py.File(str(path)) as archive:
        assert archive["cost/loss"][:].tolist() == [0.5]
    before = path.stat().st_mtime_ns
    there.data._archive._next_due_s = float("-inf")
    there.followed.publish_if_due()
    assert path.stat().st_mtime_ns == before  # nothing is new
    Listened().followed.publish_if_due()


def test_resumed_run_keeps_the_archive_of_before_under_a_numbered_name(tmp_path: Path) -> None:
    told = Telling()
    told.begin(LOSS)
    told.begin(LOSS, resumed=True)

    Listened(archive=tmp_path / "run.h5").take(told).followed.leave("enough")

    assert sorted(one.name for one in tmp_path.glob("*.h5")) == ["run.1.h5", "run.h5"]


def test_file_of_a_callback_goes_on_from_where_the_listener_was(tmp_path: Path) -> None:
    told = whole_run()

    Listened(seen=3, callbacks=lambda: [CSVCallback(tmp_path / "a.csv")]).take(told)

    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["1", "4"], ["2", "6"]]


def test_state_of_a_run_tells_whether_it_goes_on() -> None:
    assert Listened().followed.is_running
    assert not Listened(listed=entry("failed")).followed.is_running
