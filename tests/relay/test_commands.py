from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import pytest

from tests.relay.fakes import FakeBroker
from tests.support.runs import FakeClock
from trainsignal.relay.broker import Addition, Entry, WrongKeyError
from trainsignal.relay.commands import ACCEPTED, FOR_ANOTHER, REFUSED, CommandDesk
from trainsignal.relay.requests import Answer, StopCommand
from trainsignal.relay.streams import answers, commands


def ask(broker: FakeBroker, *ids: str) -> None:
    texts = [StopCommand(identity, "enough", "me", "id", "-").encode() for identity in ids]
    broker.append([Addition(commands("run"), text, 100) for text in texts])


def desk_at(broker: FakeBroker, *, allow_stop: bool = True) -> CommandDesk:
    return CommandDesk("id", "-", allow_stop=allow_stop, clock=lambda: broker.time_ms / 1000)


def answered(broker: FakeBroker) -> list[Answer]:
    entries = broker.read({answers("run"): "0"}).get(answers("run"), [])
    return [Answer.decode(one.text) for one in entries]


def test_command_is_handed_on_and_answered_once() -> None:
    broker = FakeBroker()
    desk = desk_at(broker)
    ask(broker, "1", "2")
    desk.serve(broker, "run")
    ask(broker, "3")
    desk.serve(broker, "run")
    desk.serve(broker, "run")
    assert [command.id for command in desk.stops] == ["1", "2", "3"]
    assert answered(broker) == [Answer(identity, accepted=True, text=ACCEPTED) for identity in "123"]


def test_run_that_does_not_allow_it_says_so() -> None:
    broker = FakeBroker()
    desk = desk_at(broker, allow_stop=False)
    ask(broker, "1")
    desk.serve(broker, "run")
    assert not desk.stops
    assert answered(broker) == [Answer("1", accepted=False, text=REFUSED)]
    assert "allow_remote_stop=True" in REFUSED


def test_command_of_before_this_process_is_not_obeyed() -> None:
    """The desk looks for the first time 30 s after it began: the broker was away."""
    broker = FakeBroker()
    ask(broker, "old")
    broker.time_ms += 1_000
    desk = desk_at(broker)
    broker.time_ms += 20_000
    ask(broker, "new")
    broker.time_ms += 10_000
    desk.serve(broker, "run")
    assert [command.id for command in desk.stops] == ["new"]


def test_clocks_of_the_two_machines_may_differ() -> None:
    broker, clock = FakeBroker(), FakeClock()
    desk = CommandDesk("id", "-", allow_stop=True, clock=clock)
    broker.time_ms += 20_000
    ask(broker, "new")
    broker.time_ms += 10_000
    clock.now += 30.5
    desk.serve(broker, "run")
    assert [command.id for command in desk.stops] == ["new"]


def test_broker_that_forgot_everything_does_not_stop_the_reading() -> None:
    broker = FakeBroker()
    desk = desk_at(broker)
    ask(broker, "1")
    desk.serve(broker, "run")
    broker.forget()
    ask(broker, "2")
    desk.serve(broker, "run")
    assert [command.id for command in desk.stops] == ["1", "2"]


def test_what_is_no_command_is_passed_over_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    broker = FakeBroker()
    desk = desk_at(broker)
    broker.append([Addition(commands("run"), text, 100) for text in ("no JSON", "{}")])
    ask(broker, "1")
    with caplog.at_level(logging.WARNING):
        desk.serve(broker, "run")
    assert [command.id for command in desk.stops] == ["1"]
    assert len(answered(broker)) == 1
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "the relay passes over commands that are none"
    ]


@pytest.mark.parametrize("run_id, process", [("another", "-"), ("id", "an earlier one")])
def test_command_that_was_meant_for_another_run_or_process_is_not_obeyed(run_id: str, process: str) -> None:
    """Runs of one name share its stream of commands, one after the other."""
    broker = FakeBroker()
    desk = desk_at(broker)
    text = StopCommand("1", "enough", "me", run_id, process).encode()
    broker.append([Addition(commands("run"), text, 100)])
    desk.serve(broker, "run")
    assert not desk.stops
    assert answered(broker) == [Answer("1", accepted=False, text=FOR_ANOTHER)]


def test_command_that_is_nested_too_deep_is_passed_over() -> None:
    broker = FakeBroker()
    desk = desk_at(broker)
    head = '{"schema":1,"command":"stop","id":"1","author":"me","run_id":"id","process":"-","reason":'
    for depth in range(100, 1200, 100):
        broker.append([Addition(commands("run"), head + "[" * depth + "]" * depth + "}", 100)])
    ask(broker, "1")
    desk.serve(broker, "run")
    assert [command.id for command in desk.stops] == ["1"]


def test_stop_that_has_come_is_announced_when_it_can_be_taken() -> None:
    broker = FakeBroker()
    found: list[int] = []
    desk = CommandDesk(
        "id", "-", lambda: found.append(len(desk.stops)), allow_stop=True, clock=lambda: broker.time_ms / 1000
    )
    ask(broker, "1", "2")
    desk.serve(broker, "run")
    assert found == [1, 2]


@pytest.mark.parametrize("key", [commands("run"), answers("run")])
def test_key_that_holds_something_else_is_told_once_and_no_trouble_of_the_broker(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Strange(FakeBroker):
        def read(
            self, after: Mapping[str, str], *, count: int = 100, block_s: float = 0.0
        ) -> dict[str, list[Entry]]:
            self._check_key(*after)
            return super().read(after, count=count, block_s=block_s)

        def append(self, additions: Iterable[Addition]) -> None:
            additions = list(additions)
            self._check_key(*(one.stream for one in additions))
            super().append(additions)

        def _check_key(self, *keys: str) -> None:
            if is_strange and key in keys:
                raise WrongKeyError(f"the key {key!r} holds something else")

    is_strange = False
    broker = Strange()
    desk = desk_at(broker)
    ask(broker, "1")
    is_strange = True
    desk.serve(broker, "run")
    desk.serve(broker, "run")
    assert [one.getMessage() for one in caplog.records] == [
        f"requests to this run are not heard, or not answered: the key {key!r} holds something else"
    ]
