"""The broker between a run and its listener is killed, or the listener, or both: nothing is lost."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby, pairwise
from pathlib import Path

import pytest

from tests.support.relay_trials import Ordeal, Target, Told, undergo
from tests.support.relayed_processes import SIGNALS

RUNS = 4
"""Of each kind."""

FAULTS = 5
"""In each run: 60 in all."""

AT_ONCE = 2
SEED = 20261122

EPOCHS_AT_ONCE = 2
"""So many may end while the broker is away even if the run waits for it; some hundred do as it does not."""


@pytest.mark.crash
def test_listener_hears_everything_whatever_is_killed_and_the_run_never_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # so that importing starts no thread before the forks
    targets: tuple[Target, ...] = ("broker", "listener", "both")
    ordeals = [
        Ordeal(tmp_path / f"{target}{number}", target, FAULTS, number % 2 == 0, f"{SEED} {target} {number}")
        for target in targets
        for number in range(RUNS)
    ]
    with ProcessPoolExecutor(AT_ONCE, mp_context=multiprocessing.get_context("spawn")) as prepared:
        for ordeal, told in zip(ordeals, prepared.map(undergo, ordeals), strict=True):
            check_heard(ordeal, told)
            assert told.epochs_while_away > EPOCHS_AT_ONCE, ordeal


def check_heard(ordeal: Ordeal, told: Told) -> None:
    """Assert that nothing was lost, and nothing came twice or out of order within one process."""
    assert {line.split()[0] for line in told.published} == set(SIGNALS), ordeal
    what_of = {one.number: one.what for one in told.heard}
    assert [what_of[number] for number in sorted(what_of)] == told.published, ordeal
    place_of = {number: place for place, number in enumerate(sorted(what_of))}
    places = [(one.process, place_of[one.number]) for one in told.heard if what_of[one.number] == one.what]
    assert len(places) == len(told.heard), ordeal
    spans = [[place for _, place in group] for _, group in groupby(places, key=lambda one: one[0])]
    for span in spans:  # of one process each
        assert span == list(range(span[0], span[0] + len(span))), ordeal
    if ordeal.target == "listener":  # the one amid which it was killed may come again
        for before, after in pairwise(spans):
            assert after[0] in (before[-1], before[-1] + 1), ordeal
