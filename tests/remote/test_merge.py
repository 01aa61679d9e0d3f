"""Two streams become one, whatever the pages and moments in which they are read."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from trainsignal.remote.merge import Merge, Page


@dataclass(frozen=True)
class Told:
    number: int
    durable: int | None = None
    process: str = "-"


def page(*messages: Told, is_last: bool = True) -> Page[Told]:
    return Page(messages, is_last)


def numbers(merge: Merge[Told]) -> list[int]:
    return [message.number for message in merge.ready()]


def test_messages_come_in_the_order_of_their_numbers() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(1, 1), Told(4, 2)), page(Told(2), Told(3), Told(5)))

    assert numbers(merge) == [1, 2, 3, 4, 5]
    assert (merge.number, merge.durable, merge.is_waiting) == (5, 2, False)


def test_durable_message_waits_until_the_other_stream_is_read_up_to_it() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(3, 1)), page(Told(1), is_last=False))

    assert numbers(merge) == [1]
    assert merge.is_waiting and merge.wants_droppable and not merge.wants_durable
    merge.add(None, page(Told(2)))
    assert numbers(merge) == [2, 3]


def test_droppable_message_waits_for_the_durable_stream() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(1, 1), is_last=False), page(Told(3)))

    assert numbers(merge) == [1]
    assert merge.wants_durable and not merge.wants_droppable
    merge.add(page(Told(2, 2)), None)
    assert numbers(merge) == [2, 3]


def test_stream_that_was_exhausted_long_ago_is_read_again_before_a_later_message_is_given_out() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(1, 1), is_last=False), page(Told(2)))
    merge.add(page(Told(3, 2)), None)  # meanwhile the droppable stream may have got more

    assert numbers(merge) == [1, 2]
    merge.add(None, page())
    assert numbers(merge) == [3]


def test_droppable_message_that_comes_after_later_ones_is_counted_and_left_out() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(5, 1)), page())
    assert numbers(merge) == [5]
    merge.add(page(), page(Told(4), Told(6)))

    assert numbers(merge) == [6]
    assert (merge.late, merge.duplicates) == (1, 0)


def test_messages_that_come_again_are_passed_over() -> None:
    merge = Merge[Told]()
    both = page(Told(1, 1), Told(3, 2)), page(Told(2))
    merge.add(*both)
    assert numbers(merge) == [1, 2, 3]
    merge.add(*both)

    assert numbers(merge) == []
    assert (merge.late, merge.duplicates) == (0, 3)


def test_durable_messages_that_never_came_are_counted() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(1, 1), Told(9, 5), Told(10, 6)), page())

    assert numbers(merge) == [1, 9, 10]
    assert merge.missing == 3


def test_what_is_gone_before_the_first_message_is_not_missed() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(500, 300)), page())

    assert numbers(merge) == [500]
    assert merge.missing == 0


def test_process_that_counts_from_one_again_comes_after_the_one_before_it() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(1, 1, "a"), Told(3, 2, "a")), page(Told(2, None, "a")))
    assert numbers(merge) == [1, 2, 3]
    merge.add(page(Told(1, 1, "b"), Told(3, 2, "b")), page(Told(2, None, "b"), Told(4, None, "b")))

    assert numbers(merge) == [1, 2, 3, 4]
    assert (merge.process, merge.durable, merge.number) == ("b", 2, 4)
    assert (merge.duplicates, merge.late, merge.missing) == (0, 0, 0)


def test_process_that_sends_everything_anew_after_another_is_passed_over() -> None:
    merge = Merge[Told]()
    first, second = page(Told(1, 1, "a"), Told(2, 2, "a")), page(Told(1, 1, "b"), Told(2, 2, "b"))
    merge.add(first, page())
    assert numbers(merge) == [1, 2]
    merge.add(second, page())
    assert numbers(merge) == [1, 2]
    for again in (first, second):
        merge.add(again, page())

    assert numbers(merge) == []
    assert merge.duplicates == 4


def test_droppable_messages_of_a_process_wait_for_its_first_durable_one() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(8, 1, "a"), is_last=False), page(Told(2, None, "b")))

    assert numbers(merge) == [8]
    assert merge.is_waiting
    merge.add(page(Told(9, 2, "a"), Told(1, 1, "b")), None)
    assert numbers(merge) == [9, 1, 2]


def test_droppable_messages_of_a_process_whose_durable_ones_are_gone_are_late() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(1, 1, "b")), page(Told(90, None, "a"), Told(2, None, "b")))

    assert numbers(merge) == [1, 2]
    assert (merge.late, merge.missing) == (1, 0)


def test_droppable_messages_are_given_out_where_nothing_else_is_known() -> None:
    merge = Merge[Told]()
    merge.add(page(), page(Told(90, None, "a"), Told(91, None, "a")))

    assert numbers(merge) == [90, 91]
    merge.add(page(Told(92, 50, "a")), page())
    assert numbers(merge) == [92]


def test_durable_messages_that_were_lost_are_counted_for_each_process() -> None:
    merge = Merge[Told]()
    merge.add(page(Told(1, 1, "a"), Told(9, 5, "a"), Told(7, 4, "b"), Told(9, 6, "b")), page())

    assert numbers(merge) == [1, 9, 7, 9]
    assert merge.missing == 3 + 1


@given(
    kinds=st.lists(st.booleans(), max_size=40),
    steps=st.lists(st.integers(0, 5), max_size=60),
    size=st.integers(1, 4),
)
def test_any_pages_at_any_moments_give_all_messages_in_order(
    kinds: list[bool], steps: list[int], size: int
) -> None:
    """`steps`: how many messages the run publishes between two reads."""
    durables = 0
    published: list[Told] = []
    for number, is_durable in enumerate(kinds, 1):
        durables += is_durable
        published.append(Told(number, durables if is_durable else None))
    merge, there, read = Merge[Told](), 0, {True: 0, False: 0}
    given_out: list[int] = []

    def pages(is_durable: bool, wants: bool) -> Page[Told] | None:
        if not wants:
            return None
        stream = [one for one in published[:there] if (one.durable is not None) == is_durable]
        found = stream[read[is_durable] :][:size]
        read[is_durable] += len(found)
        return Page(found, len(found) < size)

    for step in [*steps, *[len(kinds)] * (2 * len(kinds) + 2)]:
        there = min(there + step, len(kinds))
        merge.add(pages(True, merge.wants_durable), pages(False, merge.wants_droppable))
        given_out += numbers(merge)

    assert given_out == list(range(1, len(kinds) + 1))
    assert merge.late == merge.missing == merge.duplicates == 0
