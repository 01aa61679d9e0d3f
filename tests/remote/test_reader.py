"""Reading runs of a broker: found, in order, once, whatever becomes of the broker."""

from __future__ import annotations

from typing import Any

import pytest

from tests.remote.fake_broker import FakeBroker
from tests.remote.told import RUN, RUN_ID, Telling, entry
from tests.support.runs import FakeClock
from trainsignal.errors import RelayError
from trainsignal.relay import streams
from trainsignal.relay.broker import WrongKeyError
from trainsignal.relay.messages import Message
from trainsignal.remote.reader import LIST_EVERY_S, PAGE, Reader
from trainsignal.remote.source import Source
from trainsignal.remote.troubles import Troubles

AWAY = RelayError("the broker is away")


class Setting:
    """A broker with a run, and a reader of it."""

    def __init__(self, run: str | None = None) -> None:
        self.broker = FakeBroker()
        self.troubles = Troubles()
        self.clock = FakeClock()
        self.paused: list[float] = []
        self.reader = Reader(self.broker, run, self.troubles, clock=self.clock, pause=self.paused.append)
        self.told = Telling()
        self.broker.list_run(RUN, entry())

    def poll(self) -> list[tuple[str, int]]:
        """Return name of the run and number of each message that is read now."""
        return [(source.name, message.number) for source, message in self.reader.poll(0.5)]

    def tell_epochs(self, *epochs: int) -> list[Message]:
        """Publish epochs: three messages each."""
        before = len(self.told.messages)
        for epoch in epochs:
            self.told.epoch(epoch)
        self.broker.publish(RUN, *self.told.messages[before:])
        return self.told.messages[before:]

    def come_back_without_memory(self) -> None:
        """Have the broker be away at the next look, and come back without what it had."""
        self.broker.error = AWAY
        with pytest.raises(RelayError):
            self.poll()
        self.broker.error = None
        self.broker.forget()
        self.broker.list_run(RUN, entry())

    def list_again(self) -> None:
        """Let the time pass after which the list of runs is read again."""
        self.clock.now += LIST_EVERY_S


def test_messages_of_both_streams_come_in_order() -> None:
    setting = Setting()
    setting.tell_epochs(0, 1)

    assert setting.poll() == [(RUN, number) for number in range(1, 7)]
    assert setting.poll() == []


def test_run_that_is_not_there_is_waited_for_aloud(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting("mnist")
    for number in range(30):
        setting.broker.list_run(f"run {number:02}", entry(run_id=f"{number}"))
    for _ in range(3):
        assert setting.poll() == []
        setting.list_again()

    (record,) = [record for record in caplog.records if "waits for" in record.message]
    assert record.message.startswith(f"waits for the run 'mnist'; there are: {RUN}, run 00, run 01,")
    assert record.message.endswith("run 18 and 11 more")


def test_first_run_of_a_broker_is_waited_for_aloud(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting("mnist")
    setting.broker.forget()
    setting.poll()
    assert "waits for the run 'mnist'; there are none yet" in caplog.text


@pytest.mark.parametrize("stream", [streams.events(RUN), streams.minibatches(RUN)])
def test_streams_are_in_order_whichever_ends_the_waiting(stream: str) -> None:
    """A Redis server gives one that waits the stream in which there is something first, and no other."""
    setting = Setting()
    setting.poll()
    setting.tell_epochs(0, 1)
    setting.broker.wakes_with = stream

    assert setting.poll() == [(RUN, number) for number in range(1, 7)]


def test_run_that_comes_later_is_found() -> None:
    setting, other = Setting(), Telling("another")
    setting.poll()
    setting.broker.list_run("mnist", entry(run_id="another"))
    setting.broker.publish("mnist", other.begin())

    assert setting.poll() == []
    setting.list_again()
    assert setting.poll() == [("mnist", 1)]


def test_one_run_alone_is_read_if_that_was_asked_for() -> None:
    setting = Setting(run="mnist")
    setting.tell_epochs(0)
    setting.broker.list_run("mnist", entry(run_id="another"))
    setting.broker.publish("mnist", Telling("another").begin())

    assert setting.poll() == [("mnist", 1)]


def test_reader_waits_where_there_is_no_run() -> None:
    setting = Setting(run="mnist")

    assert setting.poll() == []
    assert setting.paused == [0.5] and setting.broker.reads == 0


def test_reader_waits_though_messages_of_a_run_that_is_passed_over_wait_too() -> None:
    setting = Setting()
    setting.broker.list_run("odd", entry(run_id="odd"))
    told = Telling("odd")
    told.begin()
    told.tell("epoch_begin", epoch=0)
    for number in range(2 * PAGE):
        told.block(0, number, number)
    told.tell("epoch_end", epoch=0, minibatches=2 * PAGE, rows={})
    setting.broker.publish("odd", *told.messages)
    setting.poll()
    assert any(source.merge.is_waiting for source in setting.reader._sources.values())
    setting.broker.strange = {streams.minibatches("odd")}
    setting.list_again()
    setting.poll()
    waits: list[float] = []
    read = setting.broker.read

    def note(after: Any, *, count: int = 100, block_s: float = 0.0) -> Any:
        waits.append(block_s)
        return read(after, count=count, block_s=block_s)

    setting.broker.read = note  # type: ignore[method-assign]
    setting.poll()
    assert waits and waits[0] > 0


def test_long_streams_are_read_page_by_page_and_stay_in_order() -> None:
    setting = Setting()
    setting.told.begin()
    for _ in range(5 * PAGE):
        setting.told.block(0, 0, 0)
    setting.told.epoch(0)
    setting.broker.publish(RUN, *setting.told.messages)

    found: list[int] = []
    for _ in range(12):
        found += [number for _, number in setting.poll()]

    assert found == list(range(1, 5 * PAGE + 5))
    assert not setting.troubles.counts


def test_broker_that_is_away_is_asked_again_where_the_reader_was() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    assert len(setting.poll()) == 3
    setting.broker.error = AWAY
    with pytest.raises(RelayError):
        setting.poll()
    setting.broker.error = None
    setting.tell_epochs(1)

    assert setting.poll() == [(RUN, number) for number in (4, 5, 6)]
    assert not setting.troubles.counts


def test_broker_that_has_forgotten_everything_gives_nothing_twice() -> None:
    setting = Setting()
    before = setting.tell_epochs(0)
    setting.poll()
    setting.broker.error = AWAY
    with pytest.raises(RelayError):
        setting.poll()
    setting.broker.error = None
    setting.broker.forget()
    setting.broker.list_run(RUN, entry())
    setting.broker.publish(
        RUN, *[one for one in before if one.durable is not None]
    )  # the run sends them again
    setting.tell_epochs(1)

    assert setting.poll() == [(RUN, number) for number in (4, 5, 6)]
    assert not setting.troubles.counts


def test_block_that_waited_when_the_broker_forgot_comes_before_nothing_that_is_sent_again() -> None:
    setting = Setting()
    for epoch in range(PAGE + 1):
        setting.told.tell("epoch_begin", epoch=epoch)
    block = setting.told.block(PAGE, 0, 0)
    setting.broker.publish(RUN, *setting.told.messages)
    assert len(setting.poll()) == PAGE
    setting.come_back_without_memory()
    assert setting.poll() == []  # the run has sent nothing again yet
    setting.broker.publish(RUN, *[one for one in setting.told.messages if one is not block])

    setting.poll()
    assert setting.poll() == [(RUN, PAGE + 1)]
    assert setting.troubles.counts == {(RUN, "late"): 1}


def test_block_that_waited_when_the_broker_forgot_twice_comes_before_nothing_either() -> None:
    setting = Setting()
    for _ in range(PAGE + 1):
        setting.told.block(0, 0, 0)
    first = setting.told.tell("epoch_begin", epoch=0)
    setting.broker.publish(RUN, *setting.told.messages)
    assert len(setting.poll()) == PAGE  # the durable message waits for the block before it
    setting.come_back_without_memory()
    second, block = setting.told.tell("epoch_begin", epoch=1), setting.told.block(1, 0, 0)
    setting.broker.publish(RUN, first, second, block)
    assert setting.poll() == [(RUN, first.number)]
    setting.come_back_without_memory()
    assert setting.poll() == []
    setting.broker.publish(RUN, first, second)

    assert setting.poll() == [(RUN, second.number)]
    assert setting.troubles.counts == {(RUN, "late"): 1}


def test_stream_in_which_the_place_was_trimmed_away_is_read_from_its_begin() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    setting.poll()
    setting.broker.error = AWAY
    with pytest.raises(RelayError):
        setting.poll()
    setting.broker.error = None
    later = setting.tell_epochs(1)
    stream = streams.events(RUN)
    setting.broker.streams[stream] = setting.broker.streams[stream][-len(later) + 1 :]

    assert setting.poll() == [(RUN, number) for number in (4, 5, 6)]


def test_reader_that_never_reached_the_broker_begins_at_the_begin() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    setting.broker.error = AWAY
    with pytest.raises(RelayError):
        setting.poll()
    setting.broker.error = None

    assert len(setting.poll()) == 3


def test_messages_that_were_lost_on_the_broker_are_counted_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting = Setting()
    for epoch in range(4):
        setting.told.tell("epoch_begin", epoch=epoch)
    setting.broker.publish(RUN, setting.told.messages[0], setting.told.messages[3])

    assert setting.poll() == [(RUN, 1), (RUN, 4)]
    assert setting.troubles.counts[RUN, "missing"] == 2
    assert [one.getMessage() for one in caplog.records] == [
        "run 'digits': 2 messages have been lost on the broker"
    ]


def test_blocks_that_come_too_late_are_counted() -> None:
    setting = Setting()
    begin, block, end = (
        setting.told.tell("epoch_begin", epoch=0),
        setting.told.block(0, 0, 0),
        setting.told.tell("epoch_end", epoch=0, minibatches=1, rows={}),
    )
    setting.broker.publish(RUN, begin, end)
    assert setting.poll() == [(RUN, 1), (RUN, 3)]
    setting.broker.publish(RUN, block)

    assert setting.poll() == []
    assert setting.troubles.counts[RUN, "late"] == 1


DEEP = b'{"schema":1,"run_id":"%s","process":"-","number":5,"signal":"mine","payload":{"a":%s}}' % (
    RUN_ID.encode(), b"[" * 900 + b"]" * 900,
)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        b"", b"no json", b"[]", b"{}", b'{"schema":2}', b"\xff\xfe", b"x" * (2**20 + 1), DEEP,
        b'{"schema":1,"run_id":"%s","process":"-","number":1,"signal":"mine","payload":{}}' % RUN_ID.encode(),
        b'{"schema":1,"run_id":"%s","process":"-","number":1,"signal":"train_end","durable":0}'
        % RUN_ID.encode(),
    ],
    ids=lambda text: text[:30].decode(errors="replace"),
)  # fmt: skip
def test_entry_that_is_no_message_is_passed_over(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    for _ in range(2):
        setting.broker.put_entry(streams.events(RUN), text)
    setting.tell_epochs(0)

    assert setting.poll() == [(RUN, number) for number in (1, 2, 3)]
    assert setting.troubles.counts == {(RUN, "bad"): 2}
    assert len(caplog.records) == 1


def test_message_of_a_newer_trainsignal_says_that_this_one_is_older(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting = Setting()
    setting.broker.put_entry(streams.events(RUN), b'{"schema":2}')
    setting.poll()

    assert "the reader is older than the writer. Install the newer trainsignal here." in caplog.text


def test_durable_message_among_those_that_may_be_dropped_is_passed_over() -> None:
    setting = Setting()
    text = b'{"schema":1,"run_id":"%s","process":"-","number":1,"signal":"mine","payload":{},"durable":7}'
    setting.broker.put_entry(streams.minibatches(RUN), text % RUN_ID.encode())

    assert setting.poll() == []
    assert setting.troubles.counts == {(RUN, "bad"): 1}


def test_number_that_would_make_all_later_ones_seem_old_is_passed_over() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    setting.poll()
    far = Message(RUN_ID, 10**15, "train_end", {}, 3)
    far_durable = Message(RUN_ID, 4, "train_end", {}, 10**15)
    setting.broker.publish(RUN, far, far_durable, Message(RUN_ID, 10**15, "mine", {"payload": {}}))
    setting.tell_epochs(1)

    assert setting.poll() == [(RUN, number) for number in (4, 5, 6)]
    assert setting.troubles.counts == {(RUN, "bad"): 3}


def test_messages_of_another_run_of_this_name_are_passed_over() -> None:
    setting = Setting()
    setting.broker.publish(RUN, Telling("stranger").begin())

    assert setting.poll() == []
    assert setting.troubles.counts == {(RUN, "foreign"): 1}


def test_run_that_takes_over_a_name_is_read_from_its_begin() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    setting.poll()
    setting.broker.publish(RUN, Telling("heir").begin())
    assert setting.poll() == []  # not listed yet
    setting.broker.list_run(RUN, entry(run_id="heir"))
    setting.list_again()

    assert setting.poll() == [(RUN, 1)]


def test_run_that_has_ended_is_read_no_more_until_it_is_resumed() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    source = setting.reader.poll(0.5)[0][0]
    source.is_done = True
    setting.tell_epochs(1)
    assert len(setting.poll()) == 3  # it lists itself as running still
    setting.broker.list_run(RUN, entry("failed"))
    setting.list_again()
    setting.poll()  # what was published before it said so
    assert not source.is_read
    reads = setting.broker.reads
    assert setting.poll() == [] and setting.broker.reads == reads
    setting.tell_epochs(2)
    setting.broker.error = AWAY
    setting.list_again()
    with pytest.raises(RelayError):
        setting.poll()
    setting.broker.error = None
    assert setting.poll() == []
    setting.broker.list_run(RUN, entry(started_at=2.0))
    setting.list_again()

    assert len(setting.poll()) == 3
    assert source.entry.started_at == 2.0


def test_process_that_begins_and_ends_between_two_looks_at_the_list_is_read() -> None:
    setting = Setting()
    setting.broker.list_run(RUN, entry("failed"))
    setting.tell_epochs(0)
    source = setting.reader.poll(0.5)[0][0]
    source.is_done = True
    assert not source.is_read
    setting.tell_epochs(1)
    setting.broker.list_run(RUN, entry("completed", started_at=2.0))
    setting.list_again()

    assert setting.poll() == [(RUN, number) for number in (4, 5, 6)]
    assert not source.is_read


def test_process_that_ends_while_the_end_of_the_one_before_it_is_read_is_read_too() -> None:
    setting = Setting()
    setting.broker.list_run(RUN, entry(started_at=2.0))
    setting.tell_epochs(0)
    source = setting.reader.poll(0.5)[0][0]
    source.is_done = True  # that of the first process
    setting.tell_epochs(1)
    setting.broker.list_run(RUN, entry("completed", started_at=2.0))
    setting.list_again()

    assert len(setting.poll()) == 3


@pytest.mark.parametrize("epochs", [PAGE // 2, PAGE], ids=["ends amid a page", "ends a page"])
def test_run_that_is_over_is_read_to_its_end_though_an_earlier_process_ended_amid_it(epochs: int) -> None:
    setting = Setting(run=RUN)
    setting.broker.list_run(RUN, entry("completed"))
    for epoch in range(epochs):
        setting.told.tell("epoch_begin", epoch=epoch)
        setting.told.block(epoch, 0, 0)
    setting.broker.publish(RUN, *setting.told.messages)
    again = Telling(process="again")
    again.begin(resumed=True)
    again.block(0, 0, 0)
    again.close()
    setting.broker.publish(RUN, *again.messages)
    found: list[str] = []

    while not setting.reader.has_read_all:
        for source, message in setting.reader.poll(0.5):
            source.is_done = message.process == "-" or message.signal == "run_closed"
            found.append(message.process)

    assert found == ["-"] * 2 * epochs + ["again"] * 4


def test_place_of_a_run_that_had_ended_is_looked_for_as_well() -> None:
    setting = Setting()
    setting.broker.list_run(RUN, entry("failed"))
    setting.tell_epochs(0)
    source = setting.reader.poll(0.5)[0][0]
    source.is_done = True
    setting.list_again()
    setting.come_back_without_memory()
    setting.broker.list_run(RUN, entry("failed"))
    setting.poll()
    again = Telling(process="again")
    again.epoch(1)
    setting.broker.publish(RUN, *again.messages)
    setting.broker.list_run(RUN, entry(started_at=2.0))
    setting.list_again()

    assert setting.poll() == [(RUN, number) for number in (1, 2, 3)]


def test_resumed_run_of_which_the_broker_forgot_the_earlier_process_is_read() -> None:
    setting = Setting()
    setting.tell_epochs(0, 1)
    assert len(setting.poll()) == 6
    setting.come_back_without_memory()
    again = Telling(process="again")
    again.epoch(2)
    setting.broker.publish(RUN, *again.messages)

    assert setting.poll() == [(RUN, number) for number in (1, 2, 3)]
    setting.come_back_without_memory()
    setting.broker.publish(RUN, *again.messages)
    assert setting.poll() == []
    assert not setting.troubles.counts


def test_number_is_far_only_within_a_process() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    setting.poll()
    far = Message(RUN_ID, 10**9, "train_end", {}, 10**9, "again")
    setting.broker.publish(RUN, far)

    assert setting.poll() == [(RUN, 10**9)]
    assert not setting.troubles.counts


def test_run_that_loses_its_name_amid_the_run_is_read_on_under_another() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    source = setting.reader.poll(0.5)[0][0]
    setting.come_back_without_memory()
    setting.broker.list_run(RUN, entry(run_id="heir"))
    setting.list_again()
    setting.poll()
    setting.broker.list_run(f"{RUN} (2)", entry())
    setting.told.epoch(1)
    setting.broker.publish(f"{RUN} (2)", *setting.told.messages)
    setting.list_again()

    (first, *rest) = setting.reader.poll(0.5)

    assert first[0] is source and source.name == f"{RUN} (2)"
    assert [first[1].number, *(message.number for _, message in rest)] == [4, 5, 6]
    assert not setting.troubles.counts


def test_run_and_its_heir_that_are_listed_at_once_are_told_apart() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    source = setting.reader.poll(0.5)[0][0]
    setting.come_back_without_memory()
    setting.broker.hashes.clear()
    setting.broker.list_run(f"{RUN} (2)", entry())
    setting.broker.list_run(RUN, entry(run_id="heir"))
    setting.broker.publish(f"{RUN} (2)", *setting.told.messages)
    setting.broker.publish(RUN, Telling("heir").begin())
    setting.list_again()

    assert setting.poll() == [(RUN, 1)]
    assert source.name == f"{RUN} (2)"


def test_run_that_is_listed_under_another_name_alone_is_read_on() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    setting.poll()
    setting.come_back_without_memory()
    setting.broker.hashes.clear()
    setting.broker.list_run("mnist", entry())
    setting.told.epoch(1)
    setting.broker.publish("mnist", *setting.told.messages)
    setting.list_again()

    assert setting.poll() == [("mnist", number) for number in (4, 5, 6)]


def test_run_that_is_listed_under_two_names_is_read_under_both() -> None:
    setting = Setting()
    setting.tell_epochs(0)
    setting.broker.list_run("mnist", entry())
    setting.broker.publish("mnist", *setting.told.messages)

    assert len(setting.poll()) == 6


def test_run_that_gives_no_sign_of_life_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    setting = Setting()
    setting.broker.time_ms = 60_000

    setting.poll()
    setting.list_again()
    setting.poll()

    (record,) = caplog.records
    assert record.getMessage().startswith("run 'digits': no sign of life for 58 s")


@pytest.mark.parametrize("name", ["../etc/passwd", "a/b", "", " a", "a\n", "\ud800"], ids=repr)
def test_name_that_no_run_can_have_is_passed_over(name: str) -> None:
    setting = Setting()
    setting.broker.list_run(name, entry())

    setting.poll()
    setting.list_again()
    setting.poll()

    assert setting.troubles.counts == {(name, "bad"): 1}


@pytest.mark.parametrize("text", [b"", b"7", b'{"schema":1}', b'{"schema":9}', b"[" * 5000], ids=range(5))
def test_entry_of_the_list_that_is_none_is_passed_over(text: bytes) -> None:
    setting = Setting()
    setting.broker.hashes[streams.RUNS]["mnist"] = text
    setting.tell_epochs(0)

    assert len(setting.poll()) == 3
    assert setting.troubles.counts == {("mnist", "bad"): 1}


def test_place_of_the_first_entry_of_a_millisecond_is_found_again() -> None:
    setting = Setting()
    setting.broker.publish(RUN, setting.told.begin())
    source: Source = setting.reader.poll(0.5)[0][0]
    assert source.places[streams.events(RUN)].endswith("-0")
    setting.broker.error = AWAY
    with pytest.raises(RelayError):
        setting.poll()
    setting.broker.error = None

    assert setting.poll() == []
    assert source.places[streams.events(RUN)].endswith("-0") and source.merge.duplicates == 0


def test_run_with_a_strange_key_is_passed_over_and_all_others_are_read() -> None:
    setting, other = Setting(), Telling("another")
    setting.tell_epochs(0)
    setting.broker.list_run("mnist", entry(run_id="another"))
    setting.broker.publish("mnist", other.begin())
    setting.broker.strange = {streams.minibatches("mnist")}

    assert setting.poll() == []
    assert setting.poll() == [(RUN, number) for number in (1, 2, 3)]
    setting.tell_epochs(1)
    assert setting.poll() == [(RUN, number) for number in (4, 5, 6)]
    setting.broker.strange = set()
    assert setting.poll() == []
    setting.list_again()
    assert setting.poll() == [("mnist", 1)]
    assert setting.troubles.counts == {("mnist", "strange key"): 1}


def test_key_that_becomes_strange_while_its_run_is_read_stops_that_run_alone() -> None:
    setting, other = Setting(), Telling("another")
    setting.tell_epochs(0)
    setting.broker.list_run("mnist", entry(run_id="another"))
    setting.broker.publish("mnist", other.begin())
    assert len(setting.poll()) == 4
    setting.broker.strange = {streams.events("mnist")}
    setting.tell_epochs(1)
    assert setting.poll() == []

    assert setting.poll() == [(RUN, number) for number in (4, 5, 6)]
    assert setting.poll() == []


def test_list_of_runs_that_is_none_is_an_error() -> None:
    setting = Setting()
    setting.broker.strange = {streams.RUNS}

    for _ in range(2):
        with pytest.raises(WrongKeyError):
            setting.poll()
    setting.broker.strange = set()
    setting.tell_epochs(0)
    assert len(setting.poll()) == 3


def test_run_that_is_waited_for_is_told_once_with_those_that_there_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setting = Setting(run="mnist")
    setting.broker.list_run("digits (2)", entry(run_id="another"))
    for _ in range(3):
        setting.poll()
        setting.list_again()

    assert [one.getMessage() for one in caplog.records] == [
        "waits for the run 'mnist'; there are: digits, digits (2)"
    ]


def test_run_that_is_there_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    Setting(run=RUN).poll()
    Setting().poll()

    assert not caplog.records
