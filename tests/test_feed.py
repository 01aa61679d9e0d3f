from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from tests.support.resuming import ByPython, WithPosition
from trainsignal import random_state
from trainsignal.feed import Feed, Served
from trainsignal.plain_values import decode, encode


class Framework:
    """A model whose framework has a random generator of its own."""

    state = 0

    def get_random_state(self) -> int:
        return self.state

    def set_random_state(self, state: int) -> None:
        self.state = state


def epoch_of(feed: Feed, *sources: Iterable[Any]) -> list[Any]:
    """Return what a whole epoch serves."""
    feed.new_epoch()
    return [batch for source in sources for batch in feed.serve(source)]


def taken(feed: Feed, number: int, *sources: Iterable[Any]) -> list[Any]:
    """Begin an epoch, and return the first so many minibatches; the rest stays untouched."""
    feed.new_epoch()
    batches: list[Any] = []
    for source in sources:
        for batch in feed.serve(source):
            batches.append(batch)
            if len(batches) == number:
                return batches
    return batches


def saved(feed: Feed, *, is_within: bool, is_cut: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the position of the data and the random numbers, as they come back from a checkpoint."""
    position = feed.state_dict(is_within=is_within, is_cut=is_cut)
    state = encode(position), encode(random_state.capture(object()))
    return decode(state[0]), decode(state[1])


@pytest.fixture(autouse=True)
def seeded() -> None:
    random.seed(2)


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_list_goes_on_after_what_was_taken(number: int) -> None:
    before, after = Feed(object()), Feed(object())
    taken(before, number, range(5)) if number else before.new_epoch()
    after.load_state_dict(*saved(before, is_within=number > 0))
    assert epoch_of(after, range(5)) == [*range(number, 5)]
    assert epoch_of(after, range(5)) == [*range(5)]


def test_complete_epoch_is_followed_by_a_whole_one() -> None:
    before, after = Feed(object()), Feed(object())
    epoch_of(before, range(3))
    after.load_state_dict(*saved(before, is_within=False))
    assert epoch_of(after, range(3)) == [0, 1, 2]


@pytest.mark.parametrize("number", [1, 2, 4])
def test_order_that_random_numbers_decided_on_is_found_again_and_so_are_the_numbers_that_follow(
    number: int,
) -> None:
    before = Feed(object())
    begun = taken(before, number, ByPython(4))
    state = saved(before, is_within=True)
    random.seed(2)
    expected = [*ByPython(4), random.random()]
    assert expected[:number] == begun

    random.seed(99)  # the new process has drawn others meanwhile
    after = Feed(object())
    after.load_state_dict(*state)
    assert [*epoch_of(after, ByPython(4)), random.random()] == expected[number:]


def test_random_numbers_go_on_after_those_that_the_loop_itself_drew() -> None:
    before, after = Feed(object()), Feed(object())
    before.new_epoch()
    for _ in zip(range(2), before.serve(ByPython(4)), strict=False):
        random.random()
    state = saved(before, is_within=True)
    expected = random.random()
    after.load_state_dict(*state)
    after.new_epoch()
    next(iter(after.serve([1, 2, 3, 4])))  # draws none
    assert random.random() == expected


@pytest.mark.parametrize("number", [1, 2, 4])
def test_source_that_tells_its_position_is_put_back_by_it(number: int) -> None:
    before = Feed(object())
    taken(before, number, WithPosition(4))
    state = saved(before, is_within=True)
    whole = WithPosition(4)
    expected = [*whole, *whole]

    after, source = Feed(object()), WithPosition(4)
    after.load_state_dict(*state)
    assert [*epoch_of(after, source), *epoch_of(after, source)] == expected[number:]


def test_source_that_tells_its_position_is_put_back_between_two_epochs_too() -> None:
    before, whole = Feed(object()), WithPosition(4)
    epoch_of(before, WithPosition(4))
    state = saved(before, is_within=False)
    expected = [*whole, *whole][4:]

    after = Feed(object())
    after.load_state_dict(*state)
    assert epoch_of(after, WithPosition(4)) == expected


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_several_sources_of_an_epoch_are_put_back_each(number: int) -> None:
    before = Feed(object())
    taken(before, number, ByPython(2), WithPosition(3))
    state = saved(before, is_within=True)
    random.seed(2)
    expected = [*ByPython(2), *WithPosition(3), random.random()]

    after = Feed(object())
    after.load_state_dict(*state)
    assert [*epoch_of(after, ByPython(2), WithPosition(3)), random.random()] == expected[number:]


def test_source_that_had_no_more_is_not_begun_again_when_it_tells_its_position() -> None:
    before = Feed(object())
    taken(before, 4, WithPosition(3), range(2))
    state = saved(before, is_within=True)
    after, first = Feed(object()), WithPosition(3)
    after.load_state_dict(*state)
    assert epoch_of(after, first, range(2)) == [1]
    whole = WithPosition(3)
    assert epoch_of(after, first) == [*whole, *whole][3:]


@pytest.mark.parametrize("kind", [ByPython, WithPosition])
def test_source_that_the_loop_had_left_for_another_is_not_gone_on_with(kind: type[ByPython]) -> None:
    before, after = Feed(object()), Feed(object())
    before.new_epoch()
    next(before.serve(kind(3)))
    second = before.serve(range(3))
    next(second)
    after.load_state_dict(*saved(before, is_within=True))
    assert epoch_of(after, kind(3), range(3)) == [1, 2]


def test_sources_that_were_stepped_in_turns_are_gone_on_with_both() -> None:
    before, after = Feed(object()), Feed(object())
    before.new_epoch()
    for _ in zip(in_turns := before.serve("abc"), before.serve("xyz"), strict=True):
        break
    after.load_state_dict(*saved(before, is_within=True))
    after.new_epoch()
    assert [*zip(after.serve("abc"), after.serve("xyz"), strict=True)] == [("b", "y"), ("c", "z")]
    in_turns.close()


def test_source_that_the_epoch_had_not_come_to_is_put_back_too() -> None:
    first = Feed(object())
    epoch_of(first, range(2), WithPosition(3))  # one whole epoch
    taken(first, 1, range(2))
    second = Feed(object())
    second.load_state_dict(*saved(first, is_within=True))
    third = Feed(object())
    taken(second, 1, range(2))
    third.load_state_dict(*saved(second, is_within=True))  # killed again before it was come to

    whole, loader = WithPosition(3), WithPosition(3)
    expected = [*whole, *whole, *whole]
    assert [*epoch_of(third, range(2)), *epoch_of(third, range(2), loader)] == [0, 1, *expected[3:6]]
    assert epoch_of(third, range(2), loader) == [0, 1, *expected[6:]]


def test_source_of_an_earlier_epoch_is_kept_in_mind_when_an_epoch_does_without_it() -> None:
    before, after, loader = Feed(object()), Feed(object()), WithPosition(3)
    epoch_of(before, range(2), loader)
    epoch_of(before, range(2))
    after.load_state_dict(*saved(before, is_within=False))
    whole = WithPosition(3)
    assert epoch_of(after, range(2), WithPosition(3)) == [0, 1, *[*whole, *whole][3:]]


def test_loop_that_an_error_ended_is_put_back_to_where_it_was() -> None:
    before, after = Feed(object()), Feed(object())
    before.new_epoch()
    served = before.serve(WithPosition(4))
    next(served)
    served.close()  # as the error does; the loader has forgotten its place now
    after.load_state_dict(*saved(before, is_within=True))
    assert epoch_of(after, WithPosition(4)) == [*WithPosition(4)][1:]


@pytest.mark.parametrize("kind", [ByPython, WithPosition])
def test_loop_that_was_left_by_break_has_nothing_left_of_the_epoch(kind: type[ByPython]) -> None:
    before, after = Feed(object()), Feed(object())
    assert len(taken(before, 1, kind(4))) == 1
    after.load_state_dict(*saved(before, is_within=True, is_cut=False))
    assert epoch_of(after, kind(4)) == []
    assert len(epoch_of(after, kind(4))) == 4


def test_feed_tells_whether_the_loop_takes_the_minibatches_of_the_epoch_through_it() -> None:
    feed = Feed(object())
    assert not feed.is_used
    taken(feed, 1, range(2))
    assert feed.is_used
    feed.new_epoch()
    assert not feed.is_used
    feed.place(range(2))
    feed.is_refused = True
    assert feed.is_used
    feed.new_epoch()
    assert not feed.is_refused


def test_source_that_has_become_shorter_yields_nothing() -> None:
    before, after = Feed(object()), Feed(object())
    taken(before, 4, range(5))
    after.load_state_dict(*saved(before, is_within=True))
    assert epoch_of(after, range(2)) == []


def test_generators_of_the_models_framework_are_put_back_too() -> None:
    class Drawing:
        def __iter__(self) -> Iterator[int]:
            for _ in range(3):
                model.state += 1
                yield model.state

    model = Framework()
    feed = Feed(model)
    taken(feed, 2, Drawing())
    state, _ = saved(feed, is_within=True)
    numbers = random_state.capture(model)
    model.state = 70
    after = Feed(model)
    after.load_state_dict(state, numbers)
    assert epoch_of(after, Drawing()) == [3]


def test_position_tells_how_much_of_the_epoch_is_done_before_anything_is_taken() -> None:
    before, after, fresh = Feed(object()), Feed(object()), Feed(object())
    taken(before, 2, range(5))
    after.load_state_dict(*saved(before, is_within=True))
    assert after.place(range(5)) == 2
    epoch_of(before, range(5))
    fresh.load_state_dict(*saved(before, is_within=False))
    assert fresh.place(range(5)) == 0


def test_position_is_put_back_before_anything_is_taken_so_that_lengths_are_right() -> None:
    before, after, source = Feed(object()), Feed(object()), WithPosition(4)
    taken(before, 3, WithPosition(4))
    state = saved(before, is_within=True)
    after.load_state_dict(*state)
    after.place(source)
    assert source.state_dict()["left"] == state[0]["sources"][0]["position"]["left"]


def test_what_is_saved_after_a_resumption_counts_from_the_epochs_begin() -> None:
    first, second, third = Feed(object()), Feed(object()), Feed(object())
    taken(first, 2, ByPython(5))
    second.load_state_dict(*saved(first, is_within=True))
    taken(second, 2, ByPython(5))
    third.load_state_dict(*saved(second, is_within=True))
    rest = epoch_of(third, ByPython(5))
    random.seed(2)
    assert rest == [*ByPython(5)][4:]


def test_each_iteration_of_what_is_served_goes_through_the_feed() -> None:
    feed = Feed(object())
    served = Served(feed, range(3))
    feed.new_epoch()
    assert [*served] == [0, 1, 2]
    assert feed.state_dict(is_within=True)["sources"][0]["served"] == 3
    feed.new_epoch()
    next(iter(served))
    assert feed.state_dict(is_within=True)["sources"][0]["served"] == 1


def test_length_of_what_is_served_is_that_of_the_iterable() -> None:
    assert len(Served(Feed(object()), [1, 2, 3])) == 3


def test_iterable_without_a_length_has_none_when_it_is_served() -> None:
    served = Served(Feed(object()), (number for number in range(3)))
    with pytest.raises(TypeError, match="has no len"):
        len(served)
    assert list(served) == [0, 1, 2]
