"""Ranks of a run meet their fates at random moments: all end in time, agree on why, and lose nothing."""

from __future__ import annotations

import multiprocessing
import random
import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.forked_rank import EXIT_STATUS, MINIBATCHES, Act, Deed, Orders, Place
from tests.support.linear_problem import FEATURES, batches, descend
from tests.support.rank_leftovers import Files, found
from tests.support.rank_trials import Blow, Outcome, conduct
from trainsignal.interrupt import PREEMPTED_STATUS

TRIALS = 40
AT_ONCE = 2
SEED = 20261122

EPOCHS = 100_000
"""More than any trial trains."""

GRACE_S = 2.0
LIMIT_S = GRACE_S + 9 + 10
"""From the fate to the end of the last rank: what is promised, and ten seconds for a slow machine."""

RESUMED_LIMIT_S = 60.0
LATEST_EPOCH = 6
LONGEST_S = 0.5
"""From the first epoch of all ranks to a blow from outside."""

ACTS: Sequence[Act] = ("kill", "halt", "exit", "raise", "terminate", "vote")
PLACES: Sequence[Place] = (
    "epoch_begin", "minibatch_begin", "before_sum", "after_sum", "minibatch_end", "epoch_end",
)  # fmt: skip
FROM_OUTSIDE = {
    "kill": [signal.SIGKILL],
    "halt": [signal.SIGSTOP, signal.SIGKILL],
    "terminate": [signal.SIGTERM],
    "terminate all": [signal.SIGTERM],
    "kill all": [signal.SIGKILL],
}
KINDS = (*ACTS, "terminate all", "kill all")
STATUSES = {"kill": -signal.SIGKILL, "halt": -signal.SIGKILL, "exit": EXIT_STATUS, "raise": 1}
"""Exit statuses of ranks that fail."""


@dataclass(frozen=True)
class Trial:
    """One training and its fate.

    Attributes:
        number: 0-based.
        kind: of `KINDS`.
        orders: for the ranks.
        blow: from outside, or None.
        serve_store: whether the first rank serves the store.
        size_after: with so many ranks it goes on afterwards; 0: it is not resumed.
    """

    number: int
    kind: str
    orders: Orders
    blow: Blow | None
    serve_store: bool
    size_after: int


@dataclass(frozen=True)
class Suffered:
    """What became of a trial.

    Attributes:
        outcome: of its training.
        files: that it left.
        resumed: outcome of going on with them; None: that was not tried.
    """

    outcome: Outcome
    files: Files
    resumed: Outcome | None


def drawn(number: int, folder: Path) -> Trial:
    """Return a trial by its number."""
    chance = random.Random(f"{SEED} {number}")
    size, kind = chance.choice([2, 3, 4]), KINDS[number % len(KINDS)]
    victim = chance.randrange(size)
    orders = Orders(folder, size, EPOCHS, GRACE_S, victim=victim)
    act, blow = next((act for act in ACTS if act == kind), None), None
    if act is None or (kind in FROM_OUTSIDE and chance.random() < 0.5):
        whom = range(size) if kind.endswith("all") else [victim]
        blow = Blow(FROM_OUTSIDE[kind], whom, chance.uniform(0, LONGEST_S), chance.uniform(0, 0.5))
    else:
        places = PLACES if victim else (*PLACES, "checkpoint_saved")
        epoch, minibatch = chance.randrange(LATEST_EPOCH), chance.randrange(MINIBATCHES)
        orders = replace(orders, deed=Deed(act, chance.choice(places), epoch, minibatch))
    others = [other for other in (1, 2, 3, 4) if other != size]
    size_after = (chance.choice(others), size, 0)[number % 3]
    return Trial(number, kind, orders, blow, chance.random() < 0.5, size_after)


@pytest.mark.crash
def test_ranks_end_together_whatever_becomes_of_one_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # so that importing starts no thread before the forks
    trials = [drawn(number, tmp_path / str(number)) for number in range(TRIALS)]
    blocked = within_epochs = 0
    with ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as prepared:
        for trial, suffered in zip(trials, prepared.map(suffer, trials), strict=True):
            where = f"{trial}: {suffered.outcome}"
            check_files(suffered, where)
            check_end(trial, suffered, where)
            if suffered.resumed is not None:
                where = f"{where}\nresumed: {suffered.resumed}"
                check_resumed(trial, suffered.files, suffered.resumed, where)
            blocked += sum("has come to no boundary" in left.log for left in suffered.outcome.ranks)
            within_epochs += suffered.files.is_saved_within_epoch

    assert blocked and within_epochs  # such ends are among them


def suffer(trial: Trial) -> Suffered:
    """Let a training meet its fate, and go on; for a prepared process."""
    orders = trial.orders
    orders.folder.mkdir()
    outcome = conduct(orders, LIMIT_S, serve_store=trial.serve_store, blow=trial.blow)
    files = found(orders.folder)
    if not trial.size_after:
        return Suffered(outcome, files, None)
    epochs = files.epochs_saved + 2
    after = replace(orders, size=trial.size_after, epochs=epochs, is_resumed=True, deed=None)
    return Suffered(outcome, files, conduct(after, RESUMED_LIMIT_S, serve_store=trial.serve_store))


def check_files(suffered: Suffered, where: str) -> None:
    """Assert that neither checkpoint nor archive is behind what was announced."""
    files = suffered.files
    assert files.minibatches_saved >= files.announced[0], where
    check_archive(files, *files.announced, where)


def check_archive(files: Files, minibatches: int, epochs: int, where: str) -> None:
    """Assert that so many minibatches, and so many whole epochs, are in the archive."""
    assert files.epochs_archived >= epochs, where
    whole = range(MINIBATCHES, (epochs + 1) * MINIBATCHES, MINIBATCHES)  # but for the last, if a vote cut it
    assert files.epoch_ends[:epochs] == [min(end, minibatches) for end in whole], where
    costs = files.costs[:minibatches]
    assert len(costs) == minibatches and np.isfinite(costs).all(), where


def check_end(trial: Trial, suffered: Suffered, where: str) -> None:
    """Assert that all ranks ended in time, and that they agree on how."""
    statuses = [left.status for left in suffered.outcome.ranks]
    assert None not in statuses, f"ranks hang: {where}"
    if trial.kind == "kill all":
        assert (set(statuses), suffered.files.reason) == ({-signal.SIGKILL}, None), where
    elif trial.kind in ("vote", "terminate", "terminate all"):
        check_agreed(trial, suffered, where)
    else:
        check_failed(trial, suffered, where)


def check_agreed(trial: Trial, suffered: Suffered, where: str) -> None:
    """Assert that all ranks stopped at one minibatch, which is the one that was saved."""
    reason, status = ("stopped", 0) if trial.kind == "vote" else ("preempted", PREEMPTED_STATUS)
    told = [left.told or {} for left in suffered.outcome.ranks]
    assert [left.status for left in suffered.outcome.ranks] == [status] * len(told), where
    assert {one.get("reason") for one in told} == {reason}, where
    assert {one.get("done") for one in told} == {suffered.files.minibatches_saved}, where
    assert len({str(one.get("weights")) for one in told}) == 1, where
    assert suffered.files.reason == reason, where


def check_failed(trial: Trial, suffered: Suffered, where: str) -> None:
    """Assert that every rank that lived on named the one that did not, and so does the archive."""
    victim, ranks, files = trial.orders.victim, suffered.outcome.ranks, suffered.files
    words = "ValueError: bad batch" if trial.kind == "raise" else "the process ended without a word"
    failure = f"rank {victim}: {words}"
    assert ranks[victim].status == STATUSES[trial.kind], where
    for left in ranks[:victim] + ranks[victim + 1 :]:
        assert left.status == 1, where
        if left.told is None:  # it was blocked, and has ended by itself
            assert f"{failure}; this rank waits for that one" in left.log, where
        else:
            assert (left.told["reason"], left.told["failure"]) == ("failed", failure), where
    if victim or trial.kind == "raise":
        assert (files.reason, files.detail) == ("failed", failure), where


def check_resumed(trial: Trial, before: Files, resumed: Outcome, where: str) -> None:
    """Assert that the training was completed, by whatever number of ranks, with nothing missing."""
    files, epochs = found(trial.orders.folder), before.epochs_saved + 2
    told = [left.told or {} for left in resumed.ranks]
    assert [left.status for left in resumed.ranks] == [0] * trial.size_after, where
    assert {(one["reason"], one["epochs"]) for one in told} == {("completed", epochs)}, where
    assert files.minibatches_saved == epochs * MINIBATCHES, where
    check_archive(files, files.minibatches_saved, epochs, where)
    is_done_twice = before.is_saved_within_epoch and trial.size_after != trial.orders.size
    for one in told:
        if not is_done_twice:  # what was done of the epoch
            np.testing.assert_allclose(one["weights"], trained(epochs), rtol=1e-4, err_msg=where)
        assert one["weights"] == told[0]["weights"], where


def trained(epochs: int) -> npt.NDArray[np.float64]:
    """Return the weights after so many epochs that nothing cut short, (3, 1)."""
    weights = np.zeros((FEATURES, 1))
    for _ in range(epochs):
        for x, y in batches(MINIBATCHES):
            weights, _ = descend(weights, x.astype(np.float64), y.astype(np.float64))
    return weights
