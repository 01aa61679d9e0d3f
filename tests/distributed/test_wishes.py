"""What ranks want, and how the wishes of all become one list."""

from __future__ import annotations

import signal

from hypothesis import given
from hypothesis import strategies as st

from trainsignal.distributed.wishes import Vote, Wish, decode, encode, signal_among, votes_of

WISHES = st.lists(
    st.builds(
        Wish,
        rank=st.integers(0, 5),
        number=st.integers(0, 3),
        reason=st.text(),
        author=st.text(),
        at=st.sampled_from(["minibatch", "epoch"]),
        signal=st.none() | st.sampled_from([signal.SIGINT.value, signal.SIGTERM.value]),
    ),
    max_size=4,
)


@given(st.lists(WISHES, max_size=3))
def test_wishes_arrive_as_they_were_given_in_the_order_of_the_ranks(of_ranks: list[list[Wish]]) -> None:
    assert decode(encode(wishes) for wishes in of_ranks) == [wish for wishes in of_ranks for wish in wishes]


def test_what_all_ranks_want_is_one_vote() -> None:
    wishes = [Wish(rank, 0, "no progress", "EarlyStopCallback", "epoch") for rank in range(3)]
    assert votes_of(wishes, 3) == [Vote("no progress", "EarlyStopCallback", "epoch")]


def test_a_vote_of_some_ranks_names_them() -> None:
    wishes = [Wish(1, 0, "out of time", "TimeLimitCallback"), Wish(1, 1, "out of time", "TimeLimitCallback")]
    assert votes_of(wishes, 2) == [Vote("out of time", "TimeLimitCallback on rank 1", "minibatch")]


def test_many_ranks_are_not_all_named() -> None:
    wishes = [Wish(rank, 0, "hot", "user") for rank in (7, 1, 2, 3, 4)]
    assert votes_of(wishes, 9)[0].author == "user on ranks 1, 2, 3, 4, …"


def test_signal_goes_before_votes_and_termination_before_interruption() -> None:
    interruption = Wish(0, 0, "SIGINT", "SIGINT", signal=signal.SIGINT.value)
    first, second = (Wish(rank, 0, "SIGTERM", "SIGTERM", signal=signal.SIGTERM.value) for rank in (1, 2))
    assert signal_among([Wish(0, 1, "enough", "user"), interruption, second, first]) == first
    assert signal_among([Wish(0, 1, "enough", "user")]) is None
