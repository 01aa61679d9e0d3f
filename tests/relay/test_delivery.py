from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.relay.fakes import FakeBroker, droppables, durables, entry, listed, told
from tests.support.runs import FakeClock
from trainsignal.errors import RelayError
from trainsignal.relay.broker import AccessDeniedError, Addition
from trainsignal.relay.commands import CommandDesk
from trainsignal.relay.delivery import Delivery
from trainsignal.relay.messages import LARGEST_BYTES, MINIBATCHES, Message, encode
from trainsignal.relay.outbox import Outbox
from trainsignal.relay.requests import StopCommand
from trainsignal.relay.streams import RUNS, commands, events, minibatches


class Rig:
    """A delivery with a broker in memory and a clock of its own."""

    def __init__(self, broker: FakeBroker | None = None, run_id: str = "id", trimmed_to: int = 1000) -> None:
        self.broker = FakeBroker() if broker is None else broker
        self.clock = FakeClock()
        self.outbox = Outbox(run_id, 4, trimmed_to)
        self.desk = CommandDesk(run_id, "-", allow_stop=True, clock=self.clock)
        self.delivery = Delivery(
            self.broker,
            self.outbox,
            self.desk,
            "run",
            entry(run_id),
            trimmed_to,
            clock=self.clock,
        )

    def put(self, *epochs: int) -> None:
        for epoch in epochs:
            self.outbox.put("epoch_begin", {"epoch": epoch}, is_durable=True)

    def put_block(self, first: int, last: int) -> None:
        content = {"epoch": 0, "first": first, "last": last, "rows": {}, "thinned": 0}
        self.outbox.put(MINIBATCHES, content, is_durable=False)

    def lose_connection(self) -> None:
        """Have the next attempt fail, and all after it work."""
        self.broker.go_away()
        self.clock.now += 5
        self.delivery.step()
        self.broker.come_back()

    def reconnect(self) -> None:
        """Go on until nothing waits."""
        self.clock.now += self.delivery.step()
        self.delivery.step()
        assert self.outbox.is_empty

    def epochs(self, run: str = "run") -> list[tuple[int | None, int]]:
        return [(message.durable, message.content["epoch"]) for message in durables(self.broker, run)]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in log.records]


def test_what_waits_is_delivered_with_its_numbers(log: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.put(0)
    rig.put_block(0, 4)
    rig.put(1)
    rig.delivery.step()
    assert [(one.number, one.durable, one.signal) for one in told(rig.broker)] == [
        (1, 1, "epoch_begin"), (2, None, MINIBATCHES), (3, 2, "epoch_begin"),
    ]  # fmt: skip
    assert rig.outbox.is_empty
    assert lines(log) == [("INFO", "the run is relayed as 'run' by the broker at redis://broker")]


def test_many_messages_are_delivered_in_one_step() -> None:
    rig = Rig()
    rig.put(*range(1000))
    rig.delivery.step()
    assert rig.epochs() == [(epoch + 1, epoch) for epoch in range(1000)]


def test_run_shows_that_it_lives_every_two_seconds() -> None:
    rig = Rig()
    began_s = rig.broker.time_ms / 1000
    seen: list[float] = []
    for _ in range(40):
        pause_s = rig.delivery.step()
        assert 0 < pause_s <= 0.5
        rig.clock.now += 0.125
        rig.broker.time_ms += 125
        seen.append(listed(rig.broker).seen_at)
    assert sorted(set(seen)) == pytest.approx([began_s, began_s + 2, began_s + 4]), "by the broker's clock"


def test_commands_are_looked_for_every_half_second() -> None:
    rig = Rig()
    rig.delivery.step()
    rig.broker.append([Addition(commands("run"), StopCommand("1", "enough", "me", "id", "-").encode(), 100)])
    rig.clock.now += 0.4
    assert rig.delivery.step() == pytest.approx(0.1)
    assert not rig.desk.stops
    rig.clock.now += 0.1
    rig.delivery.step()
    assert len(rig.desk.stops) == 1


def test_broker_that_is_away_is_told_once_and_tried_ever_more_rarely(log: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.broker.go_away()
    rig.put(0)
    pauses: list[float] = []
    for _ in range(9):
        pauses.append(rig.delivery.step())
        rig.clock.now += pauses[-1]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    rig.broker.come_back()
    rig.delivery.step()
    assert rig.epochs() == [(1, 0)]
    assert lines(log) == [
        ("WARNING", "the broker cannot be reached. Training goes on; the relay tries again."),
        ("WARNING", "the run is relayed as 'run' by the broker at redis://broker"),
    ]
    rig.broker.go_away()
    rig.clock.now += 5
    assert rig.delivery.step() == 0.1
    assert len(log.records) == 3


def test_nothing_is_tried_before_its_time() -> None:
    rig = Rig()
    rig.broker.go_away()
    rig.delivery.step()
    rig.broker.come_back()
    rig.clock.now += 0.06
    assert rig.delivery.step() == pytest.approx(0.04)
    assert rig.broker.fields(RUNS) == {}
    rig.delivery.try_now()
    rig.delivery.step()
    assert rig.broker.fields(RUNS)


def test_broker_that_lets_nobody_in_is_an_error_and_tried_rarely(log: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.broker.go_away(AccessDeniedError("the broker does not let us in: wrong password"))
    for _ in range(3):
        assert rig.delivery.step() == 30
        assert rig.delivery.is_denied
        rig.clock.now += 30
    rig.broker.come_back()
    rig.delivery.step()
    assert not rig.delivery.is_denied
    assert lines(log)[:-1] == [
        ("ERROR", "the broker does not let us in: wrong password. Training goes on; the relay tries again.")
    ]


def test_what_was_dropped_meanwhile_is_told_when_the_broker_is_back(log: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.broker.go_away()
    for index in range(6):
        rig.put_block(2 * index, 2 * index + 1)
    rig.delivery.step()
    rig.broker.come_back()
    rig.reconnect()
    assert lines(log)[-1][1].endswith("; 4 minibatches and 0 other signals were dropped meanwhile")
    assert [(one.content["first"], one.content["thinned"]) for one in droppables(rig.broker)] == [
        (4, 4), (6, 0), (8, 0), (10, 0),
    ]  # fmt: skip
    rig.lose_connection()
    rig.reconnect()
    assert lines(log)[-1][1].endswith("redis://broker")


@pytest.mark.parametrize("arrived", [False, True])
def test_connection_that_breaks_amid_a_delivery_loses_and_repeats_nothing_durable(arrived: bool) -> None:
    rig = Rig()
    rig.put(0, 1)
    rig.put_block(0, 1)
    rig.put(2)
    rig.broker.appends_left, rig.broker.loses_answers = 0, arrived
    rig.delivery.step()
    rig.broker.come_back()
    rig.reconnect()
    assert rig.epochs() == [(1, 0), (2, 1), (3, 2)]
    assert {one.content["first"] for one in droppables(rig.broker)} == {0}


def test_broker_that_forgot_everything_is_told_all_that_is_kept_again() -> None:
    rig = Rig(trimmed_to=3)
    rig.put(0, 1, 2, 3)
    rig.delivery.step()
    rig.broker.forget()
    rig.put(4)
    rig.lose_connection()
    rig.reconnect()
    assert rig.epochs() == [(3, 2), (4, 3), (5, 4)]
    assert listed(rig.broker).run_id == "id"


def test_broker_that_is_behind_is_told_what_it_lacks() -> None:
    rig = Rig()
    rig.put(0, 1, 2, 3)
    rig.delivery.step()
    kept = durables(rig.broker)[:2]
    rig.broker.forget()
    rig.broker.append([Addition(events("run"), encode(one), 10) for one in kept])
    rig.broker.put(RUNS, "run", entry().encode())
    rig.put(4)
    rig.lose_connection()
    rig.reconnect()
    assert rig.epochs() == [(count + 1, count) for count in range(5)]


def test_run_that_is_resumed_goes_on_with_its_numbers() -> None:
    before = Rig()
    before.put(0, 1)
    before.put_block(0, 4)
    before.delivery.step()
    after = Rig(before.broker)
    after.put(1)
    after.put_block(2, 3)
    after.put(2)
    after.delivery.step()
    assert after.epochs() == [(1, 0), (2, 1), (3, 1), (4, 2)]
    assert [one.number for one in told(after.broker)] == [1, 2, 3, 4, 5, 6]
    after.broker.forget()
    after.lose_connection()
    after.broker.appends_left = 0
    after.clock.now += 5
    after.delivery.step()
    assert after.outbox.undelivered == 2
    after.broker.come_back()
    after.reconnect()
    assert after.epochs() == [(3, 1), (4, 2)]
    after.put(3)
    after.lose_connection()
    after.reconnect()
    assert after.epochs() == [(3, 1), (4, 2), (5, 3)]


def test_name_that_is_taken_is_numbered_and_told(log: pytest.LogCaptureFixture) -> None:
    first, second = Rig(run_id="a"), None
    first.delivery.step()
    second = Rig(first.broker, run_id="b")
    second.put(0)
    second.delivery.step()
    assert second.epochs("run (2)") == [(1, 0)]
    assert lines(log)[1:] == [
        ("WARNING", "another run at redis://broker has the name 'run'. This run is 'run (2)'"),
        ("INFO", "the run is relayed as 'run (2)' by the broker at redis://broker"),
    ]
    second.lose_connection()
    second.put(1)
    second.reconnect()
    assert second.epochs("run (2)") == [(1, 0), (2, 1)]
    assert [level for level, _ in lines(log)].count("WARNING") == 3


def test_name_that_is_taken_by_a_run_that_is_over_is_told_so(log: pytest.LogCaptureFixture) -> None:
    first = Rig(run_id="a")
    first.delivery.step()
    first.delivery.end("completed")
    Rig(first.broker, run_id="b").delivery.step()
    assert lines(log)[1:2] == [
        (
            "WARNING",
            "another run at redis://broker, which is over (completed), has the name 'run'. This run is "
            "'run (2)'",
        )
    ]


def test_name_that_was_lost_to_another_run_is_given_up() -> None:
    rig = Rig()
    rig.put(0, 1)
    rig.delivery.step()
    rig.broker.forget()
    rig.broker.put(RUNS, "run", entry("another").encode())
    rig.lose_connection()
    rig.reconnect()
    assert rig.epochs("run (2)") == [(1, 0), (2, 1)]


def test_signal_that_is_too_large_is_left_out_and_told_once(log: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    for _ in range(2):
        rig.outbox.put("mine", {"payload": {"x": "a" * LARGEST_BYTES}}, is_durable=False)
    rig.put(0)
    rig.delivery.step()
    assert [one.signal for one in told(rig.broker)] == ["epoch_begin"]
    assert rig.outbox.is_empty
    assert [level for level, text in lines(log) if "too large, such as this mine" in text] == ["WARNING"]


@pytest.mark.parametrize("epoch", [object(), "1" * LARGEST_BYTES], ids=["strange", "large"])
def test_durable_message_that_tells_nothing_is_passed_over_with_one_error(
    epoch: object, log: pytest.LogCaptureFixture
) -> None:
    rig = Rig()
    rig.put(0)
    for _ in range(2):
        rig.outbox.put("epoch_begin", {"epoch": epoch}, is_durable=True)
    rig.put(2)
    rig.delivery.step()
    assert rig.epochs() == [(1, 0), (4, 2)]
    assert rig.outbox.is_empty
    assert [level for level, text in lines(log) if "tells nothing of epoch_begin" in text] == ["ERROR"]


def test_durable_message_that_cannot_be_written_is_told_without_what_is_strange(
    log: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    content = {"epoch": 3, "minibatches": 7, "rows": {"x": object()}}
    rig.outbox.put("epoch_end", content, is_durable=True)
    rig.delivery.step()
    assert [one.content for one in durables(rig.broker)] == [{"epoch": 3, "minibatches": 7, "rows": {}}]
    assert [level for level, text in lines(log) if "tells only in part of epoch_end" in text] == ["ERROR"]


def test_mistake_is_told_once_with_its_traceback_and_tried_again_ever_more_rarely(
    log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig()
    rig.put(0)
    rig.put_block(0, 1)
    with monkeypatch.context() as patch:

        def fail(message: Message) -> str:
            raise ZeroDivisionError

        patch.setattr("trainsignal.relay.delivery.encode", fail)
        pauses: list[float] = []
        for _ in range(3):
            pauses.append(rig.delivery.step())
            rig.clock.now += pauses[-1]
    assert pauses == [0.1, 0.2, 0.4]
    (record,) = [record for record in log.records if record.exc_info]
    assert record.exc_info is not None and record.exc_info[0] is ZeroDivisionError
    rig.delivery.step()
    assert [one.signal for one in told(rig.broker)] == ["epoch_begin", MINIBATCHES]


def test_broker_that_is_read_and_takes_nothing_is_told_once_and_tried_ever_more_rarely(
    log: pytest.LogCaptureFixture,
) -> None:
    """As one without memory: the run finds its place there each time."""
    rig = Rig()
    rig.put(0)
    rig.put_block(0, 1)
    rig.broker.full_for = (minibatches("run"),)
    pauses: list[float] = []
    for _ in range(4):
        pauses.append(rig.delivery.step())
        rig.clock.now += pauses[-1]
    assert pauses == [0.1, 0.2, 0.4, 0.8]
    assert told(rig.broker) == []
    rig.broker.full_for = ()
    rig.delivery.step()
    assert rig.epochs() == [(1, 0)] and len(droppables(rig.broker)) == 1
    assert [level for level, _ in lines(log)] == ["WARNING", "WARNING"]


def test_messages_that_are_too_many_while_the_broker_is_away_are_told(log: pytest.LogCaptureFixture) -> None:
    rig = Rig(trimmed_to=3)
    rig.broker.go_away()
    rig.put(0, 1, 2)
    rig.delivery.step()
    assert len(log.records) == 1
    rig.put(3, 4)
    for _ in range(2):
        rig.clock.now += 5
        rig.delivery.step()
    rig.broker.come_back()
    rig.reconnect()
    assert rig.epochs() == [(3, 2), (4, 3), (5, 4)]
    assert lines(log)[1:] == [
        (
            "WARNING",
            "more than trimmed_to=3 messages of this run wait for the broker: the relay gives up the oldest",
        ),
        (
            "WARNING",
            "the run is relayed as 'run' by the broker at redis://broker; the oldest 2 messages of epochs "
            "and the like were given up",
        ),
    ]


def test_name_that_is_lost_twice_is_numbered_from_the_one_that_was_chosen() -> None:
    rig = Rig()
    rig.put(0)
    rig.delivery.step()
    for name in ("run", "run (2)"):
        rig.broker.forget()
        for taken in ("run", name):
            rig.broker.put(RUNS, taken, entry("another").encode())
        rig.lose_connection()
        rig.reconnect()
    assert rig.epochs("run (3)") == [(1, 0)]
    assert set(rig.broker.fields(RUNS)) == {"run", "run (2)", "run (3)"}


def test_run_keeps_the_number_in_its_name_though_the_name_is_free_by_now() -> None:
    first = Rig(run_id="a")
    first.delivery.step()
    second = Rig(first.broker, run_id="b")
    second.delivery.step()
    second.broker.forget()
    second.put(0)
    second.lose_connection()
    second.reconnect()
    assert second.epochs("run (2)") == [(1, 0)]


def test_end_is_shown_in_the_list_of_runs() -> None:
    rig = Rig()
    rig.delivery.step()
    rig.delivery.end("completed")
    assert listed(rig.broker).state == "completed"
    assert rig.broker.closed == 1


@pytest.mark.parametrize("was_connected", [False, True])
def test_end_without_a_broker_is_an_end_too(was_connected: bool, log: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    if was_connected:
        rig.delivery.step()
    rig.broker.go_away(RelayError("away"))
    rig.delivery.end("failed")
    assert rig.broker.closed == 1
    told_of_it: list[Any] = [text for level, text in lines(log) if level == "WARNING"]
    assert told_of_it == ["the list of runs still has 'run' as running: away"] * was_connected
