"""What ranks want, and how the wishes of all become one list."""

from __future__ import annotations

import signal

from hypothesis import given
from hypothesis import strategies as st

from trainsignal.distributed.wishes import Wish, author_of, decode, encode, signal_among

WISHES = st.lists(
    st.builds(
        Wish,
        reason=st.text(),
        author=st.text(),
        at=st.sampled_from(["minibatch", "epoch"]),
        signal=st.none() | st.sampled_from([signal.SIGINT.value, signal.SIGTERM.value]),
    ),
    max_size=4,
)


@given(st.lists(WISHES, max_size=3))
def test_wishes_arrive_as_they_were_given_each_with_those_who_have_it(of_ranks: list[list[Wish]]) -> None:
    told = decode(encode(wishes) for wishes in of_ranks)
    assert list(told) == list(dict.fromkeys(wish for wishes in of_ranks for wish in wishes))
    for wish, ranks in told.items():
        assert ranks == [rank for rank, wishes in enumerate(of_ranks) if wish in wishes]


def test_a_vote_of_all_ranks_has_the_author_that_it_has_on_each() -> None:
    assert author_of(Wish("no progress", "EarlyStopCallback", "epoch"), [2, 0, 1], 3) == "EarlyStopCallback"


def test_a_vote_of_some_ranks_names_them() -> None:
    wish = Wish("out of time", "TimeLimitCallback")
    assert author_of(wish, [1], 2) == "TimeLimitCallback on rank 1"
    assert author_of(wish, [2, 0], 3) == "TimeLimitCallback on ranks 0, 2"


def test_many_ranks_are_not_all_named() -> None:
    assert author_of(Wish("hot", "user"), [7, 1, 2, 3, 4], 9) == "user on ranks 1, 2, 3, 4, …"


def test_signal_goes_before_votes_and_termination_before_interruption() -> None:
    vote = Wish("enough", "user")
    interruption = Wish("SIGINT", "SIGINT", signal=signal.SIGINT.value)
    termination = Wish("SIGTERM", "SIGTERM", signal=signal.SIGTERM.value)
    wishes = {vote: [0], interruption: [0], termination: [2, 1]}
    assert signal_among(wishes) == (termination, 1)
    assert signal_among({vote: [0]}) is None
