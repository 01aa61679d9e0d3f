from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.relay.fakes import FakeBroker, entry, listed
from trainsignal.errors import RelayError
from trainsignal.relay.broker import Addition
from trainsignal.relay.claim import MOST_NAMES, Claim, claim_name
from trainsignal.relay.messages import MINIBATCHES, Message, encode
from trainsignal.relay.streams import RUNS, events, minibatches


def add(broker: FakeBroker, stream: str, *texts: str) -> None:
    broker.append([Addition(stream, text, 1000) for text in texts])


def durable(run_id: str, number: int, count: int) -> str:
    return encode(Message(run_id, number, "epoch_begin", {"epoch": 0}, count))


def droppable(run_id: str, number: int) -> str:
    content = {"epoch": 0, "first": 0, "last": 0, "rows": {}, "thinned": 0}
    return encode(Message(run_id, number, MINIBATCHES, content))


def test_free_name_is_taken() -> None:
    broker = FakeBroker()
    assert claim_name(broker, "run", entry()) == Claim("run", 0, 0)
    assert listed(broker) == entry()


def test_run_of_the_same_name_stays_and_the_new_one_is_numbered() -> None:
    broker = FakeBroker()
    names = [claim_name(broker, "run", entry(run_id)).name for run_id in ("a", "b", "c", "b")]
    assert names == ["run", "run (2)", "run (3)", "run (2)"]
    assert listed(broker).run_id == "a"


def test_run_that_is_resumed_goes_on_with_its_streams_and_shows_that_it_runs() -> None:
    broker = FakeBroker()
    claim_name(broker, "run", entry(state="failed"))
    add(broker, events("run"), durable("id", 1, 1), durable("id", 8, 2))
    add(broker, minibatches("run"), droppable("id", 7))
    assert claim_name(broker, "run", entry()) == Claim("run", 8, 2)
    assert listed(broker).state == "running"
    add(broker, minibatches("run"), droppable("id", 11), droppable("another", 50))
    assert claim_name(broker, "run", entry()) == Claim("run", 11, 2)


def test_streams_of_another_run_keep_their_name_though_the_list_has_lost_it() -> None:
    broker = FakeBroker()
    add(broker, events("run"), durable("another", 1, 1))
    assert claim_name(broker, "run", entry()).name == "run (2)"
    assert "run" not in broker.fields(RUNS)


def test_what_others_wrote_into_the_streams_and_the_list_is_passed_over() -> None:
    broker = FakeBroker()
    claim_name(broker, "run", entry())
    add(broker, events("run"), durable("id", 3, 2), droppable("id", 4), "no JSON", "{}")
    assert claim_name(broker, "run", entry()) == Claim("run", 3, 2)
    broker.put(RUNS, "run", "no JSON")
    assert claim_name(broker, "run", entry()).name == "run (2)"


def test_entry_that_vanishes_amid_the_claim_is_that_of_another() -> None:
    class Vanishing(FakeBroker):
        def field(self, key: str, name: str) -> bytes | None:
            return None

    broker = Vanishing()
    broker.put(RUNS, "run", entry("another").encode())
    assert claim_name(broker, "run", entry()).name == "run (2)"


def test_names_run_out_in_the_end() -> None:
    class Crowded(FakeBroker):
        def put_new(self, key: str, name: str, text: str) -> bool:
            return False

    with pytest.raises(
        RelayError, match=rf"{MOST_NAMES} runs at redis://broker have the name 'run'.*run_name"
    ):
        claim_name(Crowded(), "run", entry())


def test_message_that_is_nested_too_deep_keeps_no_run_from_its_name() -> None:
    broker = FakeBroker()
    claim_name(broker, "run", entry())
    head = '{"schema":1,"run_id":"x","process":"p","number":1,"signal":"mine","payload":{"a":'
    add(broker, events("run"), durable("id", 1, 1))
    for depth in range(100, 1200, 100):
        add(broker, minibatches("run"), head + "[" * depth + "]" * depth + "}}")
        assert claim_name(broker, "run", entry()) == Claim("run", 1, 1)


def test_name_that_a_run_had_is_its_own_unless_another_has_it() -> None:
    broker = FakeBroker()
    assert claim_name(broker, "run", entry(), "run (2)").name == "run (2)"
    assert claim_name(broker, "run", entry("another"), "run (2)").name == "run"
    assert claim_name(broker, "run", entry("a third"), "run (2)").name == "run (3)"


def test_run_that_has_the_wanted_name_is_told() -> None:
    broker, place = FakeBroker(), "another run at redis://broker"
    claims = [
        claim_name(broker, "run", entry(run_id, state))
        for run_id, state in (("a", "failed"), ("b", "running"))
    ]
    third = claim_name(broker, "run", entry("c"))
    over = f"{place}, which is over (failed), has the name 'run'"
    assert [one.obstacle for one in (*claims, third)] == [None, over, over]
    add(broker, events("run"), durable("a", 1, 1))
    assert claim_name(broker, "run", entry("c")).obstacle == over
    add(broker, events("run (2)"), durable("b", 1, 1))
    lost = claim_name(broker, "run", entry("d"), "run (2)")
    assert (lost.name, lost.obstacle) == ("run (4)", f"{place} has the name 'run (2)'")
    broker.put(RUNS, "run", "no JSON")
    assert claim_name(broker, "run", entry("c")).obstacle == f"{place} has the name 'run'"


@pytest.mark.parametrize("stream", [events, minibatches])
def test_run_whose_key_holds_something_else_goes_on_under_another_name(stream: Callable[[str], str]) -> None:
    broker = FakeBroker()
    claim_name(broker, "run", entry())
    broker.strange = {stream("run")}
    moved = claim_name(broker, "run", entry(), "run")
    assert moved.name == "run (2)" and stream("run") in str(moved.obstacle)
    assert list(broker.fields(RUNS)) == ["run (2)"]
    broker.put(RUNS, "run", entry("another").encode())
    assert claim_name(broker, "run", entry("c")).name == "run (3)"
    assert sorted(broker.fields(RUNS)) == ["run", "run (2)", "run (3)"]
