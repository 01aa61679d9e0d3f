"""What the ranks compare before epoch 0."""

from __future__ import annotations

import pytest

from trainsignal import Callback, LossCallback, TrainCostCallback
from trainsignal.distributed.meeting import MOST_LINES, Introduction, check_alike, wiring_lines
from trainsignal.errors import RankFailedError, WiringError


class Plain(Callback):
    pass


def introduced(
    *callbacks: Callback, epochs: int | None = 3, beginning: str = "from the first"
) -> Introduction:
    return Introduction(wiring_lines(callbacks, epochs, beginning, "1.0"))


def test_introduction_arrives_as_it_was_given() -> None:
    one = Introduction(("a", "b"), "ValueError: no", "node7", "f00")
    decoded = Introduction.decoded(one.encoded())
    assert (list(decoded.wiring), decoded.problem, decoded.host) == (["a", "b"], "ValueError: no", "node7")
    assert decoded.run_id == "f00"


def test_ranks_with_the_same_callbacks_are_alike() -> None:
    check_alike([introduced(Plain(), TrainCostCallback()) for _ in range(3)], rank=0)


@pytest.mark.parametrize(
    "other, words",
    [
        (introduced(), ["- Plain; epochs: each time"]),
        (introduced(Plain(epoch_freq=2)), ["- Plain; epochs: each time", "+ Plain; epochs: every 2"]),
        (introduced(Plain(minibatch_freq=None)), ["+ Plain; epochs: each time; minibatches: never"]),
        (introduced(Plain(), TrainCostCallback()), ["+ TrainCostCallback", "writes cost/train"]),
        (introduced(Plain(), epochs=None), ["- 3 epochs", "+ any number of epochs"]),
        (introduced(Plain(), beginning="from epoch 2"), ["+ 3 epochs, from epoch 2"]),
    ],
    ids=["missing", "epochs", "minibatches", "more", "length", "beginning"],
)
def test_difference_is_shown(other: Introduction, words: list[str]) -> None:
    with pytest.raises(WiringError) as caught:
        check_alike([introduced(Plain()), introduced(Plain()), other], rank=0)
    message = str(caught.value)
    assert "rank 2 (+)" in message and "only_first=True" in message
    assert all(word in message for word in words), message


def test_series_that_are_read_or_written_are_part_of_the_wiring() -> None:
    loss = LossCallback([(1, 2)])
    assert "writes cost/loss" in wiring_lines([loss], 1, "", "1.0")[-1]


def test_long_differences_are_cut() -> None:
    many = introduced(*(Plain(epoch_freq=number) for number in range(1, 3 * MOST_LINES)))
    with pytest.raises(WiringError, match=r"… \d+ more"):
        check_alike([introduced(), many, many], rank=0)


def test_other_ranks_that_differ_are_counted() -> None:
    with pytest.raises(WiringError, match=r"rank 1 \(\+\) \(and 1 more ranks\)"):
        check_alike([introduced(), introduced(Plain()), introduced(Plain())], rank=2)


def test_rank_that_cannot_begin_is_named_on_the_others_alone() -> None:
    of_ranks = [introduced(), Introduction(problem="DataError: empty")]
    with pytest.raises(RankFailedError, match="rank 1 could not begin: DataError: empty"):
        check_alike(of_ranks, rank=0)
