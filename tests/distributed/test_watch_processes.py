"""Watches of real processes, which are killed, stopped and ended."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

import pytest

from tests.support.watches import RankProcess, rank_processes
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch_link import DEATH

LONG_S = 600.0
"""Longer than any test."""


def kill(one: RankProcess) -> None:
    one.signal(signal.SIGKILL)


def terminate(one: RankProcess) -> None:
    one.signal(signal.SIGTERM)


def exit_well(one: RankProcess) -> None:
    one.begin("exit")


def close(one: RankProcess) -> None:
    one.begin("close")


def leave(one: RankProcess) -> None:
    one.begin("leave")


def crash(one: RankProcess) -> None:
    one.signal(signal.SIGSEGV)


WAYS: list[Callable[[RankProcess], None]] = [kill, terminate, exit_well, close, crash]


@pytest.mark.parametrize("culprit", [0, 1])
@pytest.mark.parametrize("way", WAYS)
def test_process_that_ends_without_a_word_is_named_by_all_others(
    way: Callable[[RankProcess], None], culprit: int
) -> None:
    with rank_processes(3) as ranks:
        way(ranks[culprit])
        others = [one for one in ranks if one.rank != culprit]
        assert [one.heard() for one in others] == [RankFailure(culprit, DEATH)] * 2


@pytest.mark.parametrize("culprit", [0, 1])
def test_process_that_fails_and_exits_at_once_is_named_with_its_words(culprit: int) -> None:
    with rank_processes(3) as ranks:
        failure = RankFailure(culprit, "ValueError: bad batch")
        assert ranks[culprit].ask("fail", failure.text) == failure
        ranks[culprit].begin("exit")
        others = [one for one in ranks if one.rank != culprit]
        assert [one.heard() for one in others] == [failure] * 2
        for one in others:
            one.ask("leave")
        assert [one.ask("failure") for one in others] == [failure] * 2


@pytest.mark.parametrize("first_leaves", [0, 1])
def test_processes_that_leave_and_exit_at_once_are_no_failure(first_leaves: int) -> None:
    with rank_processes(3) as ranks:
        order = [ranks[first_leaves], *(one for one in ranks if one.rank != first_leaves)]
        for one in order:
            one.ask("leave")
            one.begin("exit")
            one.process.join(20)
        assert all(one.has_heard_nothing() for one in ranks)


def test_stopped_process_is_not_dead_and_its_death_is_noticed_while_it_is_stopped() -> None:
    with rank_processes(3) as ranks:
        ranks[1].signal(signal.SIGSTOP)
        assert ranks[2].ask("failure", 1.0) is None
        assert ranks[0].has_heard_nothing()
        kill(ranks[1])
        assert [ranks[rank].heard() for rank in (0, 2)] == [RankFailure(1, DEATH)] * 2


def test_stopped_first_process_holds_the_news_up_until_it_goes_on() -> None:
    with rank_processes(3) as ranks:
        ranks[0].signal(signal.SIGSTOP)
        kill(ranks[1])
        assert ranks[2].ask("failure", 0.5) is None
        ranks[0].signal(signal.SIGCONT)
        assert ranks[2].heard() == RankFailure(1, DEATH)


def test_child_that_lives_on_does_not_hide_the_death_of_its_parent() -> None:
    with rank_processes(3) as ranks:
        children = [one.ask("fork") for one in ranks[:2]]
        try:
            kill(ranks[1])
            assert ranks[2].heard() == RankFailure(1, DEATH)
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)


def test_child_that_uses_the_watch_disturbs_nobody() -> None:
    with rank_processes(2) as ranks:
        assert [one.ask("use in a child") for one in ranks] == [0, 0]
        assert ranks[1].ask("fail", "ValueError") == RankFailure(1, "ValueError")
        assert ranks[0].heard() == RankFailure(1, "ValueError")


def one_trial(fate: random.Random) -> None:
    """Have one rank fail in some way, while others err because of it, have left before, or notice nothing."""
    size = fate.randint(2, 5)
    culprit = fate.randrange(size)
    # An order to exit takes its time on a busy machine, and errors because of it shall come before it.
    with rank_processes(size, is_one_host=fate.random() < 0.5, settling_s=5.0) as ranks:
        others = [one for one in ranks if one.rank != culprit]
        gone = [one for one in others[1:] if fate.random() < 0.2]  # one stays to notice
        for one in gone:
            one.ask("leave")
            if fate.random() < 0.5:
                exit_well(one)
        survivors = [one for one in others if one not in gone]
        erring = [one for one in survivors if fate.random() < 0.5]
        way = fate.choice(WAYS)
        errs_first = fate.random() < 0.5
        if errs_first:
            err(erring)
        way(ranks[culprit])
        if not errs_first:
            err(erring)
        expected = RankFailure(culprit, DEATH)
        for one in survivors:
            if one not in erring:
                assert one.heard() == expected
                fate.choice([*WAYS, leave])(one)
        assert [one.answer() for one in erring] == [expected] * len(erring)
        assert [one.ask("failure") for one in erring] == [expected] * len(erring)


def err(ranks: list[RankProcess]) -> None:
    for one in ranks:
        one.begin("fail", "ConnectionError: closed by peer", LONG_S)


@pytest.mark.crash
def test_all_survivors_name_the_same_rank_whatever_happens() -> None:
    for seed in range(30):
        one_trial(random.Random(seed))
