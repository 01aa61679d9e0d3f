from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from trainsignal.relay.messages import MINIBATCHES, Message
from trainsignal.relay.outbox import Outbox


def block(first: int, last: int, **more: Any) -> dict[str, Any]:
    return {"epoch": 0, "first": first, "last": last, "rows": {}, "thinned": 0, **more}


def put_blocks(outbox: Outbox, *spans: tuple[int, int]) -> None:
    for first, last in spans:
        outbox.put(MINIBATCHES, block(first, last), is_durable=False)


def numbers(messages: Sequence[Message]) -> list[int]:
    return [message.number for message in messages]


def test_messages_come_in_the_order_of_publication_whatever_their_kind() -> None:
    outbox = Outbox("id", 10, 10)
    for is_durable in (True, False, False, True, False, True):
        outbox.put("mine", {}, is_durable=is_durable)
    taken = outbox.take(100)
    assert numbers(taken) == [1, 2, 3, 4, 5, 6]
    assert [message.durable for message in taken] == [1, None, None, 2, None, 3]
    assert {message.run_id for message in taken} == {"id"}


def test_messages_are_taken_a_few_at_a_time() -> None:
    outbox = Outbox("id", 10, 10)
    for index in range(6):
        outbox.put("mine", {"index": index}, is_durable=index % 2 == 0)
    found: list[Message] = []
    while taken := outbox.take(2):
        assert len(taken) == 2
        outbox.delivered(taken)
        found += taken
    assert [message.content["index"] for message in found] == [0, 1, 2, 3, 4, 5]
    assert outbox.is_empty


def test_news_are_told() -> None:
    outbox = Outbox("id", 10, 10)
    assert not outbox.news.is_set() and outbox.is_empty
    outbox.put("train_end", {}, is_durable=True)
    assert outbox.news.is_set() and not outbox.is_empty


def test_what_was_not_delivered_is_taken_again() -> None:
    outbox = Outbox("id", 10, 10)
    outbox.put("train_end", {}, is_durable=True)
    put_blocks(outbox, (0, 1), (2, 3))
    outbox.give_back(outbox.take(2))
    assert outbox.undelivered == 1
    assert numbers(outbox.take(10)) == [1, 2, 3]


def test_blocks_that_were_not_delivered_are_the_oldest_again() -> None:
    outbox = Outbox("id", 2, 10)
    put_blocks(outbox, (0, 0), (1, 1))
    outbox.give_back(outbox.take(2))
    put_blocks(outbox, (2, 2))
    assert [message.content["first"] for message in outbox.take(10)] == [1, 2]


def test_durable_messages_are_kept_after_their_delivery_and_come_again_where_the_broker_forgot_them() -> None:
    outbox = Outbox("id", 10, 10)
    for _ in range(4):
        outbox.put("train_end", {}, is_durable=True)
    outbox.delivered(outbox.take(10))
    assert outbox.take(10) == [] and outbox.undelivered == 0
    outbox.go_on_after(1)
    assert outbox.undelivered == 3
    assert [message.durable for message in outbox.take(10)] == [2, 3, 4]


def test_newest_durable_messages_are_kept() -> None:
    outbox = Outbox("id", 10, 3)
    for _ in range(7):
        outbox.put("train_end", {}, is_durable=True)
    assert outbox.undelivered == 7
    taken = outbox.take(10)
    assert [message.durable for message in taken] == [5, 6, 7]
    outbox.delivered(taken)
    assert outbox.undelivered == 0
    outbox.go_on_after(0)
    assert [message.durable for message in outbox.take(2)] == [5, 6]


def test_oldest_blocks_give_way_and_the_next_one_says_how_many_minibatches_they_had() -> None:
    outbox = Outbox("id", 2, 10)
    put_blocks(outbox, (0, 4), (5, 5), (6, 9), (10, 10))
    taken = outbox.take(10)
    assert [(one.content["first"], one.content["thinned"]) for one in taken] == [(6, 6), (10, 0)]
    assert outbox.dropped_minibatches == 6
    outbox.delivered(taken)
    put_blocks(outbox, (11, 12))
    assert outbox.take(10)[0].content["thinned"] == 0


def test_block_that_gives_way_hands_on_what_it_was_to_tell() -> None:
    outbox = Outbox("id", 1, 10)
    outbox.put(MINIBATCHES, block(0, 1, series=["a"]), is_durable=False)
    outbox.put(MINIBATCHES, block(2, 2, series=["b"]), is_durable=False)
    outbox.put(MINIBATCHES, block(3, 3), is_durable=False)
    (message,) = outbox.take(10)
    assert message.content == block(3, 3, thinned=3, series=["a", "b"])
    put_blocks(outbox, (4, 4))
    outbox.give_back([message])  # there is room for one, the newer
    (message,) = outbox.take(10)
    assert message.content == block(4, 4, thinned=4, series=["a", "b"])


def test_announcement_that_was_handed_on_comes_before_the_block_s_own() -> None:
    outbox = Outbox("id", 1, 10)
    outbox.put(MINIBATCHES, block(0, 0, series=["a"]), is_durable=False)
    outbox.put(MINIBATCHES, block(1, 1, series=["b"]), is_durable=False)
    assert outbox.take(10)[0].content["series"] == ["a", "b"]


def test_signal_that_gives_way_is_counted_and_takes_no_thinning_along() -> None:
    outbox = Outbox("id", 1, 10)
    put_blocks(outbox, (0, 1))
    outbox.put("mine", {"payload": {}}, is_durable=False)
    outbox.put("mine", {"payload": {}}, is_durable=False)
    (message,) = outbox.take(10)
    assert message.content == {"payload": {}}
    assert (outbox.dropped_minibatches, outbox.dropped_signals) == (2, 1)
    put_blocks(outbox, (2, 2))
    assert outbox.take(10)[0].content["thinned"] == 2


@pytest.mark.parametrize("seed", range(20))
def test_nothing_durable_is_lost_and_every_minibatch_is_told_or_counted(seed: int) -> None:
    """Against a plain list, with a broker that fails and forgets at random."""
    chance = random.Random(seed)
    outbox = Outbox("id", 3, 1000)
    arrived: dict[int, Message] = {}  # what a broker has, by durable count
    blocks: dict[int, Message] = {}
    minibatches = puts = 0
    for _ in range(300):
        event = chance.random()
        if event < 0.3:
            puts += 1
            outbox.put("train_end", {}, is_durable=True)
        elif event < 0.7:
            last = minibatches + chance.randrange(3)
            put_blocks(outbox, (minibatches, last))
            minibatches = last + 1
        else:
            taken = outbox.take(chance.randrange(1, 6))
            got = chance.randrange(len(taken) + 1)
            for message in taken[:got]:
                (blocks if message.durable is None else arrived)[message.durable or message.number] = message
            if got == len(taken):
                outbox.delivered(taken)
            else:
                outbox.give_back(taken)
                forgotten = chance.randrange(len(arrived) + 1)
                arrived = {count: one for count, one in arrived.items() if count <= forgotten}
                outbox.go_on_after(len(arrived))
    while taken := outbox.take(10):
        for message in taken:
            (blocks if message.durable is None else arrived)[message.durable or message.number] = message
        outbox.delivered(taken)
    assert sorted(arrived) == list(range(1, puts + 1))
    told = {
        index for one in blocks.values() for index in range(one.content["first"], one.content["last"] + 1)
    }
    thinned = sum(one.content["thinned"] for one in blocks.values())
    assert len(told) + thinned >= minibatches - outbox_rest(blocks, minibatches)
    assert [
        message.number for message in sorted(blocks.values(), key=lambda one: one.content["first"])
    ] == sorted(blocks)


def outbox_rest(blocks: dict[int, Message], minibatches: int) -> int:
    """Return the minibatches after the last block that got through."""
    return minibatches - max((one.content["last"] + 1 for one in blocks.values()), default=0)


def test_durable_messages_that_gave_way_undelivered_are_counted() -> None:
    outbox = Outbox("id", 10, 3)
    for _ in range(5):
        outbox.put("train_end", {}, is_durable=True)
    assert outbox.given_up == 2
    outbox.give_back(outbox.take(2))  # 3 and 4
    outbox.put("train_end", {}, is_durable=True)
    assert outbox.given_up == 3
    outbox.delivered(outbox.take(10))
    assert outbox.given_up == 3
    for _ in range(4):  # of which the broker gets each
        outbox.put("train_end", {}, is_durable=True)
        outbox.delivered(outbox.take(10))
    outbox.go_on_after(0)  # a broker that forgot is sent what is kept
    assert outbox.given_up == 3
    outbox.delivered(outbox.take(10))
    assert outbox.given_up == 3


def test_durable_message_that_is_on_its_way_counts_as_given_up_only_where_it_comes_back() -> None:
    outbox = Outbox("id", 10, 1)
    outbox.put("train_end", {}, is_durable=True)
    taken = outbox.take(10)
    outbox.put("train_end", {}, is_durable=True)
    assert outbox.given_up == 0
    outbox.give_back(taken)
    assert outbox.given_up == 1
    taken = outbox.take(10)
    put_blocks(outbox, (0, 1))
    outbox.delivered(taken)
    outbox.delivered(outbox.take(10))
    outbox.put("train_end", {}, is_durable=True)
    assert outbox.given_up == 1
