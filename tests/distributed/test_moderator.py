"""Where all ranks stop, when one of them wants that amid an epoch."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trainsignal.distributed.moderator import MARGIN, MOST_WISHES, Message, Moderator

WISH = {"reason": "enough", "author": "user", "at": "minibatch", "signal": None}


def moderator(size: int) -> tuple[Moderator, list[Message]]:
    told: list[Message] = []
    return Moderator(size, told.append), told


def test_nobody_is_asked_as_long_as_nobody_has_a_wish() -> None:
    one, told = moderator(2)
    one.forget(1)
    assert told == []


def test_all_are_asked_where_they_are_once_for_all_wishes() -> None:
    one, told = moderator(2)
    one.hear(1, {"wish": WISH})
    one.hear(0, {"wish": WISH})
    assert told == [{"where": True}]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=6))
def test_all_stop_where_no_rank_can_have_been(positions: list[tuple[int, int]]) -> None:
    one, told = moderator(len(positions))
    one.hear(0, {"wish": WISH})
    for rank, (epoch, done) in enumerate(positions):
        assert told[1:] == [], "decided before all have answered"
        one.hear(rank, {"epoch": epoch, "done": done})
    epoch, done = max(positions)
    assert told[1:] == [{"epoch": epoch, "done": done + MARGIN, "wishes": [[WISH, [0]]]}]


def test_a_wish_that_comes_while_ranks_are_asked_is_part_of_the_decision() -> None:
    one, told = moderator(2)
    other = {**WISH, "reason": "too hot"}
    one.hear(1, {"wish": WISH})
    one.hear(0, {"epoch": 0, "done": 4})
    one.hear(0, {"wish": other})
    one.hear(1, {"epoch": 0, "done": 5})
    assert told[-1]["wishes"] == [[WISH, [1]], [other, [0]]]


def test_a_rank_that_has_left_is_not_waited_for() -> None:
    one, told = moderator(3)
    one.hear(1, {"wish": WISH})
    one.hear(0, {"epoch": 0, "done": 4})
    one.hear(1, {"epoch": 0, "done": 4})
    one.forget(2)
    assert told[-1]["done"] == 4 + MARGIN


def test_there_is_one_decision() -> None:
    one, told = moderator(1)
    one.hear(0, {"wish": WISH})
    one.hear(0, {"epoch": 0, "done": 4})
    one.hear(0, {"epoch": 0, "done": 5})
    one.hear(0, {"wish": WISH})
    one.forget(0)
    assert len(told) == 2


def test_positions_of_ranks_that_have_all_left_decide_nothing() -> None:
    one, told = moderator(2)
    one.hear(1, {"wish": WISH})
    one.hear(1, {"epoch": 0, "done": 4})
    one.forget(1)
    one.forget(0)
    assert told == [{"where": True}]


def test_ranks_that_want_the_same_are_told_with_it() -> None:
    one, told = moderator(3)
    for rank in (2, 0, 2):
        one.hear(rank, {"wish": WISH})
    for rank in range(3):
        one.hear(rank, {"epoch": 0, "done": 4})
    assert told[-1]["wishes"] == [[WISH, [2, 0]]]


def test_a_decision_that_was_told_changes_no_more() -> None:
    """On the first rank it is no copy that came over the network."""
    one, told = moderator(2)
    one.hear(0, {"wish": WISH})
    for rank in range(2):
        one.hear(rank, {"epoch": 0, "done": 4})
    one.hear(1, {"wish": WISH})
    one.hear(1, {"wish": {**WISH, "signal": 15}})
    assert told[-1]["wishes"] == [[WISH, [0]]]


def test_of_very_many_wishes_the_first_are_told_and_a_signal_among_them() -> None:
    one, told = moderator(2)
    for number in range(2 * MOST_WISHES):
        one.hear(0, {"wish": {**WISH, "reason": str(number)}})
    one.hear(1, {"wish": {**WISH, "reason": "0"}})
    one.hear(0, {"wish": {**WISH, "signal": 15}})
    one.hear(1, {"wish": {**WISH, "signal": 15}})
    one.hear(1, {"wish": {**WISH, "signal": 2}})
    for rank in range(2):
        one.hear(rank, {"epoch": 0, "done": 4})
    wishes = told[-1]["wishes"]
    assert [wish["reason"] for wish, _ in wishes[:-1]] == [str(number) for number in range(MOST_WISHES)]
    assert [ranks for _, ranks in wishes] == [[0, 1], *([[0]] * (MOST_WISHES - 1)), [0, 1]]
    assert wishes[-1][0]["signal"] == 15
