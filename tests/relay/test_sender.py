"""Whole runs, told to a real Redis server, and read back from it."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.relay.fakes import durables, listed, told
from tests.relay.test_courier import relay_threads
from tests.support.fake_device import FakeDevice, plug_in
from tests.support.ranks import ThreadCommunicator, run_ranks
from tests.support.redis_server import RedisServer
from tests.support.runs import FakeClock, Finishable, Sentence, hand_loop, quiet, tiny_model
from trainsignal import Callback, Callbacks, TrainCostCallback, keys
from trainsignal.errors import ConfigurationError, UnknownSignalError
from trainsignal.relay.broker import Addition, Broker
from trainsignal.relay.commands import ACCEPTED, FOR_ANOTHER, REFUSED
from trainsignal.relay.messages import MINIBATCHES, Message
from trainsignal.relay.requests import Answer, StopCommand
from trainsignal.relay.sender import RelaySender
from trainsignal.relay.settings import Relay
from trainsignal.relay.streams import answers, commands, events
from trainsignal.shared_data import SharedData
from trainsignal.subscription import Subscription

PATIENCE_S = 30.0
NOWHERE = "redis://127.0.0.1:1"
PER_EPOCH = {keys.TIME_MARKERS: keys.PER_EPOCH_FREQ, keys.EPOCH_FREQ: 1}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def broker(server: RedisServer) -> Iterator[Broker]:
    broker = Broker(server.url)
    broker._client.flushall()
    yield broker
    broker.close()


@pytest.fixture
def away(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test starts itself."""
    server = RedisServer(tmp_path / "redis")
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name == "trainsignal relay":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()


def relayed(url: str, callbacks: Callbacks | None = None, /, **settings: Any) -> Callbacks:
    """Return a container whose run is relayed as "run"; without another, one whose clock stands still."""
    callbacks = quiet(clock=FakeClock()) if callbacks is None else callbacks
    sender = RelaySender(
        callbacks.run, Relay(url, **{"run_name": "run", **settings}), lambda: callbacks.callbacks
    )
    assert callbacks.run.run_id and sender is not None
    return callbacks


def poll(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def content(message: Message, *left_out: str) -> dict[str, Any]:
    return {name: value for name, value in message.content.items() if name not in left_out}


def blocks(messages: list[Message]) -> list[tuple[int, int, int]]:
    return [
        (one.content["epoch"], one.content["first"], one.content["last"])
        for one in messages
        if one.signal == MINIBATCHES
    ]


def rows(messages: list[Message], key: str, signal: str = MINIBATCHES) -> dict[int, float]:
    """Return what the messages told of a series, by row; each once."""
    found: dict[int, float] = {}
    for message in messages:
        span = message.content.get("rows", {}).get(key)
        if message.signal == signal and span is not None:
            for index, value in enumerate(span["values"], span["first"]):
                assert index not in found
                found[index] = value
    return found


class Losing(Callback):
    """Writes a loss for each epoch."""

    writes = (keys.LOSS,)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        callback_data.create_series(keys.LOSS, epochs, attributes=PER_EPOCH)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        callback_data[keys.LOSS][epoch] = epoch + 0.1


def test_leave_to_stop_a_run_that_is_no_bool_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="allow_remote_stop='no': expected True or False"):
        Callbacks(tiny_model(), relay="redis://host", allow_remote_stop="no")  # type: ignore[arg-type]


def test_run_is_told_from_its_begin_to_its_end(server: RedisServer, broker: Broker) -> None:
    callbacks = relayed(server.url)
    callbacks.add_callback(Losing())
    began_at = time.time()
    hand_loop(callbacks, epochs=2, minibatches=3, cost=0.7)
    messages = told(broker)
    assert [message.signal for message in messages] == [
        "train_begin",
        "epoch_begin", MINIBATCHES, "epoch_end",
        "epoch_begin", MINIBATCHES, "epoch_end",
        "train_end", "run_closed",
    ]  # fmt: skip
    assert [message.number for message in messages] == list(range(1, 10))
    assert {message.process for message in messages} == {listed(broker).process} != {"-"}
    assert [one.durable for one in messages if one.durable] == list(range(1, 8))
    assert {message.run_id for message in messages} == {callbacks.run.run_id}
    assert content(messages[0], "series") == {
        "epochs": 2, "minibatches_per_epoch": None, "model": "Bare",
        "callbacks": [type(callback).__name__ for callback in callbacks.callbacks],
        "resumed": False, "epochs_complete": 0, "minibatches_complete": 0,
    }  # fmt: skip
    assert [one["key"] for one in messages[0].content["series"]] == ["cost/loss", "cost/train"]
    assert [message.content["epoch"] for message in messages[1:7]] == [0, 0, 0, 1, 1, 1]
    assert messages[5].content == {
        "epoch": 1, "first": 0, "last": 2, "thinned": 0,
        "rows": {"cost/train": {"first": 3, "values": [0.7, 0.7, 0.7]}},
    }  # fmt: skip
    assert messages[6].content == {
        "epoch": 1, "minibatches": 3, "rows": {"cost/loss": {"first": 1, "values": [1.1]}},
    }  # fmt: skip
    ending = dict(messages[-1].content)
    assert began_at <= ending.pop("ended_at") <= time.time()
    assert ending == {"reason": "completed", "detail": None, "author": None, "rows": {}}
    assert listed(broker).state == "completed"
    assert listed(broker).run_id == callbacks.run.run_id


def test_minibatches_become_a_message_every_fifth_of_a_second(server: RedisServer, broker: Broker) -> None:
    clock = FakeClock()
    callbacks = relayed(server.url, quiet(clock=clock))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for index in run.minibatches(range(10)):
                run.cost = float(index) if index != 4 else math.nan
                clock.now += 0.125
    messages = told(broker)
    assert blocks(messages) == [(0, 0, 1), (0, 2, 3), (0, 4, 5), (0, 6, 7), (0, 8, 9)]
    found = rows(messages, keys.TRAIN_COST)
    assert list(found) == list(range(10))
    archived = callbacks.callback_data[keys.TRAIN_COST][:]
    assert np.array_equal(np.array([*found.values()], np.float32), archived, equal_nan=True)


def test_fast_minibatches_are_not_asked_each(server: RedisServer, broker: Broker) -> None:
    clock = FakeClock()
    callbacks = relayed(server.url, quiet(clock=clock))
    with callbacks.training(2, 10_000) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(10_000)):
                run.cost = 1.0
                clock.now += 1 / 10_000
    found = blocks(told(broker))
    assert 10 <= len(found) <= 14
    assert sum(last + 1 - first for _, first, last in found) == 20_000
    assert len(rows(told(broker), keys.TRAIN_COST)) == 20_000
    asked = [*callbacks.bus.minibatch_end.connected_for(callbacks.model())]
    assert [one.trigger.frequency for one in asked if isinstance(one, Subscription)] == [64]


def test_what_happens_within_an_epoch_comes_after_the_minibatches_before_it(
    server: RedisServer, broker: Broker
) -> None:
    callbacks = relayed(server.url)
    callbacks.bus.subscribe("minibatch_end", lambda: callbacks.run.checkpoint_saved("/model.h5"), at=2)
    callbacks.bus.subscribe("minibatch_end", lambda: callbacks.stop("enough"), at=4)
    hand_loop(callbacks, epochs=1, minibatches=9)
    assert [
        (one.signal, content(one, "rows", "thinned", "series", "ended_at")) for one in told(broker)[2:]
    ] == [
        (MINIBATCHES, {"epoch": 0, "first": 0, "last": 1}),
        ("checkpoint_saved", {"path": "/model.h5", "epoch": 0, "minibatch": 2}),
        (MINIBATCHES, {"epoch": 0, "first": 2, "last": 3}),
        ("stop_requested", {"reason": "enough", "author": "user"}),
        (MINIBATCHES, {"epoch": 0, "first": 4, "last": 4}),
        ("epoch_end", {"epoch": 0, "minibatches": 5}),
        ("train_end", {}),
        ("run_closed", {"reason": "stopped", "detail": "enough", "author": "user"}),
    ]
    assert listed(broker).state == "stopped"


def test_run_that_fails_is_told_with_its_error_and_its_last_minibatches(
    server: RedisServer, broker: Broker
) -> None:
    callbacks = relayed(server.url)
    with pytest.raises(ZeroDivisionError), callbacks.training(1) as run:
        for _ in run.epochs():
            for index in run.minibatches(range(9)):
                run.cost = 1.0
                if index == 3:
                    raise ZeroDivisionError("bad batch")
    messages = told(broker)
    assert blocks(messages) == [(0, 0, 2)]
    assert content(messages[-1], "ended_at") == {
        "reason": "failed", "detail": "ZeroDivisionError: bad batch", "author": "loop", "rows": {},
    }  # fmt: skip


def test_run_that_fails_before_it_begins_is_not_told(server: RedisServer, broker: Broker) -> None:
    class Broken(Callback):
        def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
            raise ZeroDivisionError

    callbacks = relayed(server.url)
    callbacks.add_callback(Broken())
    with pytest.raises(ZeroDivisionError):
        hand_loop(callbacks)
    assert told(broker) == []


def test_series_that_comes_amid_the_run_is_announced_and_told(server: RedisServer, broker: Broker) -> None:
    clock = FakeClock()
    callbacks = relayed(server.url, quiet(clock=clock))

    class Late(Callback):
        def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
            if minibatch == 1:
                attributes = {keys.TIME_MARKERS: keys.PER_MINIBATCH}
                callback_data.create_series("late", None, attributes=attributes)
            if minibatch >= 1:
                callback_data["late"][minibatch] = float(minibatch)

    callbacks.add_callback(Late())
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(8)):
                run.cost = 1.0
                clock.now += 0.125
    messages = told(broker)
    announced = [(one.signal, [each["key"] for each in one.content.get("series", [])]) for one in messages]
    assert [one for one in announced if one[1]] == [
        ("train_begin", ["cost/train"]), (MINIBATCHES, ["late"]), ("epoch_end", ["late"]),
    ]  # fmt: skip
    found = rows(messages, "late")
    assert list(found) == list(range(8)) and math.isnan(found.pop(0))
    assert list(found.values()) == [1, 2, 3, 4, 5, 6, 7]


def test_chosen_series_alone_are_told(
    server: RedisServer, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = relayed(server.url, series=("cost/loss", "cost/trian"))
    callbacks.add_callback(Losing())
    hand_loop(callbacks)
    messages = told(broker)
    assert rows(messages, keys.TRAIN_COST) == {}
    assert rows(messages, keys.LOSS, "epoch_end") == {0: 0.1, 1: 1.1}
    assert [text for text in caplog.messages if "cost/trian" in text and "not there" in text]


def test_signals_of_one_s_own_are_told_with_their_plain_parts(
    server: RedisServer, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = quiet()
    bus = callbacks.bus
    bus.declare("sampled", ("score", "images"))
    bus.declare("other", ("x",))
    relayed(server.url, callbacks, signals=("sampled",))

    def sample() -> None:
        bus.publish(bus.sampled, callbacks.model(), score=np.float32(math.inf), images=object())
        bus.publish(bus.other, callbacks.model(), x=1)

    callbacks.bus.subscribe("epoch_begin", sample)
    sample()  # before the run: not told
    hand_loop(callbacks)
    found = [message for message in told(broker) if message.signal in ("sampled", "other")]
    assert [(one.signal, one.content, one.durable) for one in found] == [
        ("sampled", {"payload": {"score": math.inf}}, None)
    ] * 2
    assert [text for text in caplog.messages if "images" in text] == [
        "the relay leaves out of the signal 'sampled' what is not plain: {'images': 'object'}"
    ]


def test_signal_that_nobody_declared_is_refused() -> None:
    with pytest.raises(UnknownSignalError, match="smapled"):
        relayed(NOWHERE, signals=("smapled",))


def test_block_with_more_rows_than_a_message_holds_is_cut(server: RedisServer, broker: Broker) -> None:
    class Wide(Callback):
        def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
            attributes = {keys.TIME_MARKERS: keys.PER_MINIBATCH}
            callback_data.create_series("wide", 7, columns=(9_000,), attributes=attributes)

        def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
            callback_data["wide"][minibatch] = np.full(9_000, minibatch)

    callbacks = relayed(server.url)
    callbacks.add_callback(Wide())
    hand_loop(callbacks, epochs=1, minibatches=7)
    messages = told(broker)
    assert blocks(messages) == [(0, 0, 1), (0, 2, 3), (0, 4, 5), (0, 6, 6)]
    assert [values[0] for values in rows(messages, "wide").values()] == list(range(7))  # type: ignore[index]  # lists
    assert list(rows(messages, keys.TRAIN_COST)) == list(range(7))


def test_costs_on_a_device_are_not_waited_for_and_told_when_they_have_come(
    server: RedisServer, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, clock = FakeDevice(), FakeClock()
    plug_in(monkeypatch, device)
    callbacks = relayed(server.url, quiet(clock=clock))
    waits: list[int] = []
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for index in run.minibatches(range(8)):
                run.cost = device.value(float(index))
                device.computed = max(0, index - 2)  # three behind
                clock.now += 0.125
                waits.append(device.waits)
    assert waits == [0] * 8
    messages = told(broker)
    assert blocks(messages) == [(0, 0, 1), (0, 2, 3), (0, 4, 5), (0, 6, 7)]
    assert "rows" in messages[2].content and not messages[2].content["rows"]
    late = rows(messages, keys.TRAIN_COST, "epoch_end")
    assert list(late) == [4, 5, 6, 7]
    found = {**rows(messages, keys.TRAIN_COST), **late}
    assert np.array_equal(
        np.array([*found.values()], np.float32), callbacks.callback_data[keys.TRAIN_COST][:]
    )


@pytest.mark.parametrize("each_s", [0.125, 0.0], ids=["within an epoch", "at its end"])
def test_error_of_the_device_is_one_of_the_training(each_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    device, clock = FakeDevice(computed=math.inf, fails_at=3), FakeClock()
    plug_in(monkeypatch, device)
    callbacks = relayed(NOWHERE, quiet(clock=clock), closing_s=0)
    callbacks.callbacks = [TrainCostCallback()]
    with pytest.raises(RuntimeError, match="the device is broken"), callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(8)):
                run.cost = device.value(1.0)
                clock.now += each_s
    assert callbacks.run.exit_reason == "failed"
    assert callbacks.run.epochs_complete == 0


def test_shared_data_that_cannot_be_read_costs_the_series_and_not_the_run(
    server: RedisServer, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = relayed(server.url)
    callbacks.callbacks = []
    callbacks.bus.subscribe("run_closed", lambda callback_data: callback_data.close(), first=True)
    hand_loop(callbacks, epochs=1)
    assert told(broker)[-1].signal == "run_closed"
    assert [text for text in caplog.messages if text.startswith("the relay tells of no more series")]


def test_without_a_broker_the_run_goes_on_and_its_user_is_told(caplog: pytest.LogCaptureFixture) -> None:
    callbacks = relayed("redis://:hidden@127.0.0.1:1", closing_s=0.1)
    sentence = Sentence(callbacks)
    with caplog.at_level(logging.INFO):
        hand_loop(callbacks, epochs=2, minibatches=1)
    assert sentence.text == "TEBbeEBbetC"
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 2
    assert "cannot be reached" in warnings[0] and warnings[0].endswith("the relay tries again.")
    assert warnings[1] == "the relay could not deliver 7 messages of this run, and gives them up"
    assert "hidden" not in caplog.text


def test_server_that_never_answers_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        callbacks = relayed(f"redis://127.0.0.1:{silent.getsockname()[1]}", closing_s=0.1)
        hand_loop(callbacks)
        assert relay_threads(), "which still waits for the server"
        caller, _ = silent.accept()
        caller.close()
    assert "the relay could not deliver 7 messages of this run, and gives them up" in caplog.messages


def test_broker_that_comes_later_is_told_everything(away: RedisServer) -> None:
    callbacks = relayed(away.url)
    callbacks.bus.subscribe("epoch_begin", away.start, at=1)
    hand_loop(callbacks)
    broker = Broker(away.url)
    assert [message.durable for message in durables(broker)] == list(range(1, 8))
    broker.close()


@pytest.mark.parametrize("persistent", [False, True], ids=["forgetful", "persistent"])
def test_broker_that_is_killed_and_started_again_has_every_durable_message_once(
    persistent: bool, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path, persistent=persistent)
    broker = Broker(server.url)

    def restart() -> None:
        poll(lambda: len(broker.read({events("run"): "0"}).get(events("run"), [])) >= 2)
        broker.close()
        server.kill()
        server.start()

    callbacks = relayed(server.url)
    callbacks.bus.subscribe("epoch_end", restart, at=0, first=True)
    with server:
        hand_loop(callbacks, epochs=3, minibatches=2)
        again = Broker(server.url)
        messages = durables(again)
        state = listed(again).state
        again.close()
    assert [message.durable for message in messages] == list(range(1, 10))
    assert [message.number for message in messages] == sorted(message.number for message in messages)
    assert state == "completed"


def test_wrong_password_is_an_error_line_and_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(tmp_path, password="right") as server:
        callbacks = relayed(server.url_with("hidden"), closing_s=0.3)
        hand_loop(callbacks)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1 and "does not let us in" in errors[0]
    assert "hidden" not in caplog.text
    assert callbacks.run.exit_reason == "completed"


def test_queue_that_is_full_thins_the_minibatches_and_says_so(away: RedisServer) -> None:
    clock = FakeClock()
    callbacks = relayed(away.url, quiet(clock=clock), queue_size=3)
    callbacks.bus.subscribe("epoch_end", away.start, at=0)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(20)):
                run.cost = 1.0
                clock.now += 0.125
    broker = Broker(away.url)
    messages = told(broker)
    assert blocks(messages) == [(0, 14, 15), (0, 16, 17), (0, 18, 19)]
    assert [one.content["thinned"] for one in messages if one.signal == MINIBATCHES] == [14, 0, 0]
    broker.close()


def test_second_run_of_a_name_is_numbered(
    server: RedisServer, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        hand_loop(relayed(server.url))
    assert len(durables(broker)) == len(durables(broker, "run (2)")) == 7
    assert [text for text in caplog.messages if "This run is 'run (2)'" in text]


def test_run_is_named_after_its_script_where_its_user_gives_no_name(
    server: RedisServer, broker: Broker
) -> None:
    callbacks = relayed(server.url, run_name=None)
    hand_loop(callbacks)
    (name,) = broker.fields("trainsignal:runs")
    assert name.endswith(f"-{callbacks.run.run_id[:6]}")


@pytest.mark.parametrize(
    "cut_at", [(1, 1), (1, 2), (2, 0)], ids=["within", "at the end of an epoch", "between"]
)
def test_run_that_is_resumed_goes_on_in_its_streams(
    cut_at: tuple[int, int], server: RedisServer, broker: Broker, tmp_path: Path
) -> None:
    """What both processes told together is what one would have told."""

    def train(resume: bool) -> Callbacks:
        callbacks = quiet(
            tiny_model(), output_file=tmp_path / "run.h5", save_path=tmp_path / "model.h5",
            checkpoint_every=1, resume=resume, clock=FakeClock(),
        )  # fmt: skip
        callbacks.add_callback(Losing())
        relayed(server.url, callbacks)
        with callbacks.training(3) as run:
            for epoch in run.epochs():
                for index in run.minibatches(range(3)):
                    run.cost = 1.0
                    if not resume and (epoch, index) == cut_at:
                        raise KeyboardInterrupt
        return callbacks

    with pytest.raises(KeyboardInterrupt):
        train(resume=False)
    first = told(broker)
    callbacks = train(resume=True)
    messages = told(broker)
    second = messages[len(first) :]
    assert [message.number for message in messages] == list(range(1, len(messages) + 1))
    assert {message.run_id for message in messages} == {callbacks.run.run_id}
    begin = second[0].content
    epochs_done = cut_at[0]
    assert (begin["resumed"], begin["epochs_complete"]) == (True, epochs_done)
    assert begin["minibatches_complete"] == 3 * epochs_done
    assert [(epoch, index) for epoch, low, high in blocks(messages) for index in range(low, high + 1)] == [
        (epoch, index) for epoch in range(3) for index in range(3)
    ]
    assert rows(messages, keys.TRAIN_COST) == dict.fromkeys(range(9), 1.0)
    assert {**rows(messages, keys.LOSS, "epoch_end")} == {0: 0.1, 1: 1.1, 2: 2.1}
    assert listed(broker).state == "completed"


def ask(broker: Broker, identity: str = "1") -> None:
    poll(lambda: listed_now(broker))
    command = StopCommand(identity, "enough", "me", listed(broker).run_id, listed(broker).process)
    broker.append([Addition(commands("run"), command.encode(), 100)])


def answer(broker: Broker) -> Answer | None:
    entries = broker.newest(answers("run"))
    return Answer.decode(entries[0].text) if entries else None


@pytest.mark.parametrize("where", ["minibatch_end", "epoch_begin", "epoch_end"])
def test_stop_from_afar_is_done_by_the_thread_that_trains(
    where: str, server: RedisServer, broker: Broker
) -> None:
    callbacks = relayed(server.url, quiet(clock=FakeClock(step=0.1)), allow_remote_stop=True)
    threads: list[threading.Thread] = []
    callbacks.bus.subscribe("stop_requested", lambda: threads.append(threading.current_thread()))

    def ask_and_wait() -> None:
        ask(broker)
        poll(lambda: answer(broker) is not None)

    callbacks.bus.subscribe(where, ask_and_wait, at=1, first=True, once=True)
    hand_loop(callbacks, epochs=50, minibatches=3)
    assert answer(broker) == Answer("1", accepted=True, text=ACCEPTED)
    assert threads == [threading.current_thread()]
    assert callbacks.run.exit_reason == "stopped"
    assert callbacks.run.epochs_complete <= 2
    last = durables(broker)[-1]
    assert (last.content["detail"], last.content["author"]) == ("enough", "me")
    assert durables(broker)[-1].signal == "run_closed"


def test_stop_from_afar_is_refused_where_it_is_not_allowed(server: RedisServer, broker: Broker) -> None:
    callbacks = relayed(server.url)

    def ask_and_wait() -> None:
        ask(broker)
        poll(lambda: answer(broker) is not None)

    callbacks.bus.subscribe("epoch_end", ask_and_wait, at=0, first=True)
    hand_loop(callbacks)
    assert answer(broker) == Answer("1", accepted=False, text=REFUSED)
    assert callbacks.run.exit_reason == "completed"


def test_stop_that_was_asked_of_an_earlier_process_is_not_obeyed(server: RedisServer, broker: Broker) -> None:
    command = StopCommand("old", "enough", "me", "another run", "another process")
    broker.append([Addition(commands("run"), command.encode(), 100)])
    time.sleep(0.002)  # the server counts in milliseconds
    callbacks = relayed(server.url, allow_remote_stop=True)
    callbacks.bus.subscribe("epoch_end", lambda: poll(lambda: listed_now(broker)), at=0)
    hand_loop(callbacks)
    assert callbacks.run.exit_reason == "completed"
    assert answer(broker) in (None, Answer("old", accepted=False, text=FOR_ANOTHER))  # as the clocks go


def listed_now(broker: Broker) -> bool:
    return bool(broker.fields("trainsignal:runs"))


def test_stop_that_comes_as_the_run_ends_is_too_late(server: RedisServer, broker: Broker) -> None:
    callbacks = quiet()
    relayed(server.url, callbacks, allow_remote_stop=True)
    sender_desk: list[Any] = []

    def note(run: Any) -> None:
        for receiver in callbacks.bus.epoch_end.connected_for(callbacks.model()):
            owner = getattr(getattr(receiver, "handler", None), "__self__", None)
            if isinstance(owner, RelaySender):
                sender_desk.append(owner)

    callbacks.bus.subscribe("epoch_begin", note, once=True)
    hand_loop(callbacks, epochs=1)
    (sender,) = sender_desk
    sender._desk.stops.append(StopCommand("1", "enough", "me", "id", "-"))
    sender._obey()
    assert callbacks.run.votes == []
    sender.close("completed")
    sender.close("completed")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_worker_leaves_the_relay_of_its_parent_alone(server: RedisServer, broker: Broker) -> None:
    """It is forked at the worst moment: the thread of the relay, which it has not, holds the lock."""
    callbacks = quiet()
    bus = callbacks.bus
    bus.declare("mine", ("x",))
    sender = RelaySender(callbacks.run, Relay(server.url, "run", ("mine",)), lambda: ())

    def fork() -> None:
        poll(lambda: len(durables(broker)) >= 2)
        sender._outbox._lock.acquire()
        child = os.fork()
        if child == 0:  # pragma: no cover - another process
            signal.alarm(10)
            try:
                bus.publish(bus.mine, callbacks.model(), x=1)
                bus.publish(bus.run_closed, callbacks.model(), reason="failed", error=None)
            finally:
                os._exit(0)
        sender._outbox._lock.release()
        assert os.waitpid(child, 0)[1] == 0

    bus.subscribe("epoch_begin", fork, at=1, first=True)
    hand_loop(callbacks)
    assert [message.durable for message in durables(broker)] == list(range(1, 8))
    assert listed(broker).state == "completed"
    assert not [message for message in told(broker) if message.signal == "mine"]


def test_epochs_without_minibatches_are_told(server: RedisServer, broker: Broker) -> None:
    callbacks = relayed(server.url)
    callbacks.on_train_begin(2)
    for epoch in range(2):
        callbacks.on_epoch_begin(epoch)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()
    assert len([*callbacks.bus.minibatch_begin.connected_for(callbacks.model())]) == 1
    messages = told(broker)
    assert blocks(messages) == []
    assert [one.content["minibatches"] for one in messages if one.signal == "epoch_end"] == [0, 0]


def test_costs_that_became_means_over_the_ranks_are_told_anew_at_the_end_of_the_epoch(
    server: RedisServer, broker: Broker
) -> None:
    """Rank 0 has the costs 0, 1, 2 and rank 1 has 1, 2, 3; the series has means of the means so far."""

    def train(communicator: ThreadCommunicator) -> None:
        callbacks = quiet(Finishable(), communicator=communicator, clock=FakeClock())
        if communicator.rank == 0:
            relayed(server.url, callbacks)
        with callbacks.training(2) as run:
            for _ in run.epochs():
                for minibatch in run.minibatches(range(3)):
                    run.cost = float(minibatch + communicator.rank)

    run_ranks(2, train, timeout_s=60)
    messages = told(broker)
    ends = [message for message in messages if message.signal == "epoch_end"]
    assert [end.content["rows"]["cost/train"]["first"] for end in ends] == [0, 3]
    assert ends[0].content["rows"]["cost/train"]["values"] == [0.5, 1.0, 1.5]
    assert [span["first"] for _, span in block_rows(messages)] == [0, 3]


def block_rows(messages: list[Message]) -> list[tuple[str, dict[str, Any]]]:
    return [item for one in messages if one.signal == MINIBATCHES for item in one.content["rows"].items()]


def test_stop_from_afar_amid_a_long_epoch_is_done_at_once(server: RedisServer, broker: Broker) -> None:
    """The minibatches are so fast that the relay looks at one of 64, and at the clock."""
    clock = FakeClock()
    callbacks = relayed(server.url, quiet(clock=clock), allow_remote_stop=True)
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for index in run.minibatches(range(10_000)):
                run.cost = 1.0
                clock.now += 1 / 10_000
                if index == 4_100:
                    ask(broker)
                    poll(lambda: answer(broker) is not None)
    assert callbacks.run.exit_reason == "stopped"
    assert 4_101 <= callbacks.run.epoch_minibatches <= 4_102
    assert sum(last + 1 - first for _, first, last in blocks(told(broker))) == callbacks.run.epoch_minibatches


def test_positions_that_are_numbers_of_numpy_are_told(server: RedisServer, broker: Broker) -> None:
    callbacks = relayed(server.url)
    epochs: Any = np.int64(2)
    epoch: Any  # as users have them
    minibatch: Any
    callbacks.on_train_begin(epochs)
    for epoch in np.arange(2):
        callbacks.on_epoch_begin(epoch)
        for minibatch in np.arange(3):
            callbacks.on_minibatch_begin(epoch, minibatch)
            callbacks.run.cost = 1.0
            callbacks.on_minibatch_end(epoch, minibatch)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()
    messages = told(broker)
    assert messages[0].content["epochs"] == 2
    assert [one.content["epoch"] for one in messages if one.signal == "epoch_end"] == [0, 1]
    assert blocks(messages) == [(0, 0, 2), (1, 0, 2)]
    assert listed(broker).state == "completed"


def test_error_at_the_very_end_leaves_no_relay_behind(
    server: RedisServer, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(sender: RelaySender) -> None:
        raise ZeroDivisionError

    callbacks = relayed(server.url)
    callbacks.bus.subscribe("train_end", lambda: monkeypatch.setattr(RelaySender, "_look", fail))
    with pytest.raises(ZeroDivisionError):
        hand_loop(callbacks, epochs=1)
    assert told(broker)[-1].signal == "run_closed"
    assert listed(broker).state == "completed"
