"""Hand-written loops that are killed at any of their events: the next process goes on as if never killed."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import Any

import h5py
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.resuming import (
    LOADERS,
    ByNumPy,
    ByPython,
    Loaders,
    assert_same,
    by_numpy,
    by_python,
    fixed,
    generators,
    outcome,
    run_loop,
    two_an_epoch,
    uninterrupted,
)
from tests.support.runs import Sentence
from trainsignal import Callbacks

EVERY = (None, 1, 2, 3)
"""Checkpoints at each epoch's end alone, or within epochs as well."""


@settings(max_examples=40, deadline=None)
@given(
    loaders=st.sampled_from(LOADERS), kills=st.lists(st.integers(0, 90), min_size=1, max_size=3),
    every=st.sampled_from(EVERY), history=st.sampled_from([1, 3]), leave_after=st.sampled_from([2, 3, 100]),
)  # fmt: skip
def test_run_killed_at_any_event_ends_as_one_that_was_not(
    loaders: Loaders, kills: list[int], every: int | None, history: int, leave_after: int
) -> None:
    options: dict[str, Any] = {"checkpoint_every": every, "history": history, "leave_after": leave_after}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        for number, kill in enumerate(kills):
            run_loop(folder, loaders, resume=number > 0, kill=kill, **options)

        resumed = run_loop(folder, loaders, resume=True, **options)

        assert_same(outcome(resumed), uninterrupted(loaders, 3, leave_after))
        assert resumed.run.exit_reason == "completed"


@pytest.mark.parametrize("kill", [40, 47, 60])
def test_run_of_unknown_length_goes_on_until_somebody_stops_it(kill: int, tmp_path: Path) -> None:
    run_loop(tmp_path / "run", epochs=None, kill=kill, checkpoint_every=1)
    resumed = run_loop(tmp_path / "run", epochs=None, resume=True, checkpoint_every=1)
    assert_same(outcome(resumed), uninterrupted(fixed, None, 100))
    assert resumed.run.exit_reason == "stopped"


def cut(folder: Path, loaders: Loaders, epoch: int, minibatch: int, **options: Any) -> None:
    """Run until Ctrl-C is pressed at one minibatch."""

    def interrupt_there(callbacks: Callbacks) -> None:
        def interrupt(epoch: int) -> None:
            if epoch == at_epoch:
                signal.raise_signal(signal.SIGINT)

        callbacks.bus.subscribe("minibatch_end", interrupt, at=minibatch)

    at_epoch = epoch
    with pytest.raises(KeyboardInterrupt):
        run_loop(folder, loaders, prepare=interrupt_there, **options)


@pytest.mark.parametrize("loaders", LOADERS, ids=lambda loaders: loaders.__name__)
@pytest.mark.parametrize("minibatch", [0, 1, 2])
def test_interrupted_run_goes_on_after_its_last_minibatch(
    loaders: Loaders, minibatch: int, tmp_path: Path
) -> None:
    cut(tmp_path, loaders, 1, minibatch)
    cut(tmp_path, loaders, 2, minibatch, resume=True)
    assert_same(outcome(run_loop(tmp_path, loaders, resume=True)), uninterrupted(loaders, 3, 100))
    if loaders is fixed:
        assert minibatches_at_resumption(tmp_path) == [4 + minibatch + 1, 8 + minibatch + 1]


def minibatches_at_resumption(folder: Path) -> list[int]:
    with h5py.File(str(folder / "run.h5")) as archive:
        return [int(number) for number in archive["config"].attrs["resumed_at_minibatches"]]


@pytest.mark.parametrize("loaders", [fixed, by_python, by_numpy, two_an_epoch], ids=lambda one: one.__name__)
def test_run_that_was_cut_after_an_epochs_last_minibatch_ends_that_epoch(
    loaders: Loaders, tmp_path: Path
) -> None:
    last = 4 if loaders is two_an_epoch else 3
    cut(tmp_path, loaders, 1, last)
    sentences: list[Sentence] = []
    resumed = run_loop(tmp_path, loaders, resume=True, prepare=lambda one: sentences.append(Sentence(one)))
    assert sentences[0].text == f"TEeE{'Bb' * (last + 1)}etC"
    assert sentences[0].calls[1] == ("epoch_begin", 1)
    assert_same(outcome(resumed), uninterrupted(loaders, 3, 100))


def test_epoch_that_was_cut_begins_again_with_the_next_minibatch(tmp_path: Path) -> None:
    cut(tmp_path, fixed, 1, 1)
    sentences: list[Sentence] = []
    run_loop(tmp_path, fixed, resume=True, prepare=lambda one: sentences.append(Sentence(one)))
    assert sentences[0].text == "TEBbBbeEBbBbBbBbetC"
    assert sentences[0].calls[:3] == [
        ("train_begin", 3), ("epoch_begin", 1), ("minibatch_begin", 1, 2),
    ]  # fmt: skip


def test_length_of_the_epoch_is_that_of_the_whole_one(tmp_path: Path) -> None:
    cut(tmp_path, fixed, 1, 1)
    sizes: list[int | None] = []

    def watch(callbacks: Callbacks) -> None:
        callbacks.bus.subscribe("minibatch_begin", lambda run: sizes.append(run.minibatches_per_epoch))

    run_loop(tmp_path, fixed, resume=True, prepare=watch)
    assert sizes == [4] * 6


@pytest.mark.parametrize("loaders", [fixed, generators, by_python], ids=lambda one: one.__name__)
@pytest.mark.parametrize("moment", [(0, 1), (2, 2)], ids=str)
def test_run_asked_for_more_epochs_goes_on_as_if_they_had_been_asked_for_at_first(
    loaders: Loaders, moment: tuple[int, int], tmp_path: Path
) -> None:
    cut(tmp_path, loaders, *moment)
    resumed = run_loop(tmp_path, loaders, resume=True, epochs=5)
    assert_same(outcome(resumed), uninterrupted(loaders, 5, 100))


def test_complete_run_asked_for_more_epochs_goes_on(tmp_path: Path) -> None:
    run_loop(tmp_path, by_python)
    resumed = run_loop(tmp_path, by_python, resume=True, epochs=5)
    assert_same(outcome(resumed), uninterrupted(by_python, 5, 100))


@pytest.mark.parametrize("epochs, sentence", [(3, "TtC"), (2, "TtC"), (0, "TtC")])
def test_complete_run_asked_for_no_more_epochs_ends_at_once(
    epochs: int, sentence: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_loop(tmp_path, fixed)
    assert "nothing is left" not in caplog.text
    sentences: list[Sentence] = []
    resumed = run_loop(
        tmp_path, fixed, resume=True, epochs=epochs, prepare=lambda one: sentences.append(Sentence(one))
    )
    assert sentences[0].text == sentence
    assert resumed.run.exit_reason == "completed"
    assert resumed.model().total == uninterrupted(fixed, 3, 100)["total"]
    assert f"has 3 epochs, and the run is to have {epochs}" in caplog.text
    assert f"epochs       3{' of 3' if epochs == 3 else ''}, " in resumed.summary()


def test_run_cut_within_an_epoch_that_is_no_longer_asked_for_ends_at_once(tmp_path: Path) -> None:
    cut(tmp_path, fixed, 1, 1)
    resumed = run_loop(tmp_path, fixed, resume=True, epochs=1)
    assert resumed.run.exit_reason == "completed"
    assert resumed.run.epochs_complete == 1


@pytest.mark.parametrize("kind", [ByPython, ByNumPy])
def test_each_minibatch_of_a_shuffled_epoch_is_served_once_over_both_processes(
    kind: type[ByPython], tmp_path: Path
) -> None:
    seen: list[float] = []

    def loaders() -> Any:
        class Noting(kind):  # type: ignore[misc, valid-type]  # a parameter of the test
            def __iter__(self) -> Any:
                for batch in super().__iter__():
                    seen.append(batch)
                    yield batch

        loader = Noting(6)
        return lambda epoch: [loader]

    cut(tmp_path, loaders, 0, 2, epochs=1)
    first = [int(batch) for batch in seen]
    seen.clear()
    run_loop(tmp_path, loaders, resume=True, epochs=1)
    assert [int(batch) for batch in seen][:3] == first  # taken again to find the place, but not trained on
    assert sorted(int(batch) for batch in seen) == list(range(6))
