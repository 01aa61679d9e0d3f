"""Watches of several ranks in one process; those of real processes are in `test_watch_processes`."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.support.watches import LIMIT_S, WatchingRank, until, watch_threads, watching
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.moderator import MOST_WISHES
from trainsignal.distributed.watch import TEXT_LIMIT, Watch
from trainsignal.distributed.watch_link import DEATH
from trainsignal.errors import CommunicatorError

LONG_S = 600.0
"""Longer than any test."""

WISH = {"reason": "enough", "author": "user", "at": "minibatch", "signal": None}


def failures_of(ranks: list[WatchingRank]) -> list[RankFailure | None]:
    return [one.watch.failure(LIMIT_S) for one in ranks]


@pytest.mark.parametrize("is_one_host", [True, False])
@pytest.mark.parametrize("culprit", range(3))
def test_every_rank_hears_of_an_error_of_another(culprit: int, is_one_host: bool) -> None:
    with watching(3, is_one_host=is_one_host) as ranks:
        failure = ranks[culprit].watch.fail("ValueError: bad batch")
        assert str(failure) == f"rank {culprit}: ValueError: bad batch"
        assert failures_of(ranks) == [failure] * 3
        until(lambda: all(one.failures for one in ranks if one is not ranks[culprit]))
        assert [one.failures for one in ranks] == [
            [] if one is ranks[culprit] else [failure] for one in ranks
        ]


@pytest.mark.parametrize("culprit", range(3))
def test_rank_whose_connection_ends_without_a_word_has_died(culprit: int) -> None:
    with watching(3) as ranks:
        others = [one for one in ranks if one is not ranks[culprit]]
        ranks[culprit].watch.close()
        assert failures_of(others) == [RankFailure(culprit, DEATH)] * 2


def test_nothing_is_a_failure_where_all_leave() -> None:
    with watching(3) as ranks:
        for one in ranks:
            one.watch.leave()
        until(lambda: [one.watch.left() for one in ranks] == [{1, 2}, {0, 2}, {0, 1}])
        for one in ranks:
            one.watch.close()
        assert failures_of(ranks) == [None] * 3
        assert [one.failures for one in ranks] == [[]] * 3


def test_death_counts_before_the_error_that_it_caused() -> None:
    with watching(3, settling_s=LONG_S) as ranks:
        telling = ranks[1].begin_to_fail(ranks[0], "ConnectionError: closed by peer")
        ranks[2].watch.close()
        telling.join(LIMIT_S)
        assert not telling.is_alive()
        assert failures_of(ranks[:2]) == [RankFailure(2, DEATH)] * 2


def test_first_error_counts() -> None:
    with watching(3, settling_s=0.2) as ranks:
        telling = ranks[2].begin_to_fail(ranks[0], "first")
        assert ranks[1].watch.fail("second") == RankFailure(2, "first")
        telling.join(LIMIT_S)
        assert failures_of(ranks) == [RankFailure(2, "first")] * 3


def test_death_after_the_failure_is_settled_changes_nothing() -> None:
    with watching(3) as ranks:
        failure = ranks[1].watch.fail("ValueError")
        ranks[2].watch.close()
        ranks[1].watch.leave()
        ranks[0].watch.wait_for_others(LIMIT_S)
        assert failures_of(ranks[:2]) == [failure] * 2


def test_error_of_a_rank_that_ends_counts_before_deaths_that_follow() -> None:
    """Whatever started the processes may kill the others as soon as one has exited."""
    with watching(4, settling_s=LONG_S) as ranks:
        telling = ranks[1].begin_to_fail(ranks[0], "ValueError")
        ranks[1].watch.close()
        assert ranks[0].watch.failure(LIMIT_S) == RankFailure(1, "ValueError")
        ranks[2].watch.close()
        assert ranks[3].watch.failure(LIMIT_S) == RankFailure(1, "ValueError")
        telling.join(LIMIT_S)
        assert not telling.is_alive()


def test_rank_that_failed_waits_until_every_other_has_left_or_died() -> None:
    with watching(4) as ranks:
        waiting = ranks[1].begin_to_fail(ranks[0], "ValueError", LONG_S)
        assert failures_of(ranks) == [RankFailure(1, "ValueError")] * 4
        ranks[0].watch.leave()
        ranks[2].watch.leave()
        until(lambda: ranks[1].watch.left() == {0, 2})
        assert waiting.is_alive()
        ranks[3].watch.close()
        waiting.join(LIMIT_S)
        assert not waiting.is_alive()


def test_ranks_that_all_failed_do_not_wait_for_each_other() -> None:
    with watching(3) as ranks:
        threads = [threading.Thread(target=one.watch.fail, args=("Error", LONG_S)) for one in ranks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT_S)
        assert not any(thread.is_alive() for thread in threads)


def test_rank_that_failed_and_does_not_wait_yet_is_waited_for() -> None:
    with watching(3) as ranks:
        ranks[0].watch.leave()
        ranks[1].watch.fail("ValueError")  # and writes its archive now
        waiting = ranks[2].begin_to_fail(ranks[0], "ConnectionError", LONG_S)
        ranks[2].watch.send({"wish": WISH})
        until(lambda: ranks[2].messages)
        assert waiting.is_alive()
        ranks[1].watch.wait_for_others(LONG_S)
        waiting.join(LIMIT_S)
        assert not waiting.is_alive()


def test_rank_that_failed_is_not_among_those_that_left_in_order() -> None:
    with watching(3) as ranks:
        ranks[1].watch.fail("ValueError")
        ranks[1].watch.leave()
        ranks[2].watch.leave()
        until(lambda: 2 in ranks[0].watch.left())
        assert ranks[0].watch.left() == {2}


@pytest.mark.parametrize("rank", [0, 1])
def test_who_waits_for_others_is_released_when_the_watch_is_closed(rank: int) -> None:
    with watching(2) as ranks:
        ranks[rank].watch.fail("ValueError")
        waiting = threading.Thread(target=ranks[rank].watch.wait_for_others, args=(LONG_S,))
        waiting.start()
        until(lambda: rank not in getattr(ranks[0].watch._end, "_working", ()))
        ranks[rank].watch.close()
        waiting.join(LIMIT_S)
        assert not waiting.is_alive()


def test_patience_ends() -> None:
    with watching(2) as ranks:
        assert ranks[1].watch.fail("ValueError", 0.01) == RankFailure(1, "ValueError")
        ranks[0].watch.wait_for_others(0.01)


def test_rank_that_has_failed_or_left_is_not_called() -> None:
    with watching(4, settling_s=LONG_S) as ranks:
        ranks[3].watch.leave()
        first, second = (ranks[rank].begin_to_fail(ranks[0], f"error {rank}") for rank in (1, 2))
        ranks[1].watch.close()
        assert failures_of(ranks[::2]) == [RankFailure(1, "error 1")] * 2
        for thread in (first, second):
            thread.join(LIMIT_S)
            assert not thread.is_alive()
        assert [len(one.failures) for one in ranks] == [1, 0, 0, 0]


def test_first_rank_that_leaves_goes_on_serving_the_others() -> None:
    with watching(3) as ranks:
        ranks[0].watch.leave()
        ranks[0].watch.close()
        until(lambda: ranks[1].watch.left() == {0})
        failure = ranks[2].watch.fail("ValueError")
        assert ranks[1].watch.failure(LIMIT_S) == failure == RankFailure(2, "ValueError")
        assert ranks[0].failures == []
        assert len(watch_threads()) == 3


def test_first_rank_that_has_left_and_gone_is_no_failure() -> None:
    with watching(2) as ranks:
        ranks[0].watch.leave()
        ranks[0].end_process()
        assert ranks[1].watch.failure(LONG_S) is None
        assert ranks[1].watch.left() == {0}
        assert ranks[1].watch.fail("ValueError", LONG_S) == RankFailure(1, "ValueError")


def test_failure_of_the_first_rank_is_told_even_if_it_closes_at_once() -> None:
    with watching(2, settling_s=LONG_S) as ranks:
        telling = ranks[0].begin_to_fail(ranks[0], "ValueError", LONG_S)
        ranks[0].watch.close()
        assert ranks[1].watch.failure(LIMIT_S) == RankFailure(0, "ValueError")
        telling.join(LIMIT_S)
        assert not telling.is_alive()


def test_first_rank_that_closes_without_a_word_has_died_even_if_another_has_told_an_error() -> None:
    with watching(3, settling_s=LONG_S) as ranks:
        telling = ranks[1].begin_to_fail(ranks[0], "ConnectionError")
        ranks[0].watch.close()
        assert failures_of(ranks[1:]) == [RankFailure(0, DEATH)] * 2
        telling.join(LIMIT_S)
        assert not telling.is_alive()


def test_error_while_a_failure_is_told_is_logged_and_the_watch_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def react() -> None:
        raise SystemExit("of the user")

    with watching(3) as ranks:
        ranks[0].react = react
        ranks[1].watch.fail("ValueError")
        until(lambda: caplog.records)
        assert "goes on after this error" in caplog.text and "of the user" in caplog.text
        ranks[2].watch.leave()
        until(lambda: 2 in ranks[0].watch.left())


def test_text_of_any_kind_arrives_and_is_cut_where_it_is_long() -> None:
    text = 'Ünïcode \udc80 \n"{}"\x00 😀'
    with watching(2) as ranks:
        assert ranks[1].watch.fail(text).text == text
        assert ranks[0].watch.failure(LIMIT_S) == RankFailure(1, text)
    with watching(2) as ranks:
        ranks[1].watch.fail("😀" * 50_000)
        assert ranks[0].watch.failure(LIMIT_S) == RankFailure(1, "😀" * TEXT_LIMIT)


def test_all_ranks_hear_what_the_moderator_says() -> None:
    with watching(3) as ranks:
        ranks[2].watch.send({"wish": WISH})
        until(lambda: all(one.messages for one in ranks))
        assert [one.messages for one in ranks] == [[{"where": True}]] * 3
        for done, one in enumerate(ranks):
            one.watch.send({"epoch": 0, "done": done})
        until(lambda: all(len(one.messages) == 2 for one in ranks))
        assert {one.messages[1]["done"] for one in ranks} == {2 + 3}


def test_moderator_does_not_wait_for_a_rank_that_has_left() -> None:
    with watching(3) as ranks:
        ranks[2].watch.leave()
        for one in ranks[:2]:
            one.watch.send({"wish": WISH})
            one.watch.send({"epoch": 0, "done": 1})
        until(lambda: all(len(one.messages) == 2 for one in ranks[:2]))


def test_message_that_is_too_long_is_refused_by_who_sends_it() -> None:
    with watching(2) as ranks:
        with pytest.raises(CommunicatorError, match=r"a message of \d+ bytes, expected 65536 at most"):
            ranks[1].watch.send({"wish": "x" * 65536})
        assert ranks[0].watch.failure() is None


def test_decision_that_holds_what_many_ranks_said_may_be_long() -> None:
    with watching(2) as ranks:
        for number in range(MOST_WISHES):
            ranks[1].watch.send({"wish": {**WISH, "reason": f"{number}{'x' * 60_000}"}})
        for one in ranks:
            one.watch.send({"epoch": 0, "done": 1})
        until(lambda: all(len(one.messages) == 2 for one in ranks))
        assert len(ranks[1].messages[1]["wishes"]) == MOST_WISHES
        assert [one.watch.failure() for one in ranks] == [None, None]


def test_message_of_an_unknown_kind_is_passed_over() -> None:
    with watching(2) as ranks:
        ranks[0].watch._tell(lambda end: end._tell_all(b'{"of":"another version"}\n'))  # type: ignore[union-attr]
        ranks[1].watch._tell(lambda end: end._link.send(b'{"of":"another version"}\n'))  # type: ignore[union-attr]
        assert ranks[1].watch.fail("ValueError") == RankFailure(1, "ValueError")
        assert ranks[0].watch.failure(LIMIT_S) == RankFailure(1, "ValueError")


def test_closed_watch_does_nothing_more() -> None:
    with watching(2) as ranks:
        for one in reversed(ranks):
            one.watch.leave()
            one.watch.close()
            if one is not ranks[0]:  # which may serve others still
                assert len(watch_threads()) == 1
            one.watch.close()
            one.watch.leave()
            assert one.watch.fail("late", LONG_S).text == "late"


def test_who_is_told_may_use_the_watch_and_close_it() -> None:
    with watching(2) as ranks:
        closed = threading.Event()

        def react() -> None:
            assert ranks[0].watch.fail("as the other", LONG_S) == RankFailure(1, DEATH)
            ranks[0].watch.close()
            closed.set()

        ranks[0].react = react
        ranks[1].watch.close()
        assert closed.wait(LIMIT_S)


def test_clock_is_the_one_that_was_given() -> None:
    def clock() -> float:
        return 5.0

    options: dict[str, Any] = {"on_message": lambda message: None, "is_one_host": True}
    assert Watch(0, 2, lambda failure: None, clock=clock, **options).clock() == 5.0
