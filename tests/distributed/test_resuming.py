"""Runs that go on with as many ranks as before, or with others."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any, NoReturn, cast

import numpy as np
import pytest

from tests.support.ranks import run_ranks
from tests.support.watches import until
from trainsignal import Callbacks, SerializeModelCallback, TrainingRun
from trainsignal.distributed.communicator import Communicator, wait
from trainsignal.distributed.ranks import Ranks
from trainsignal.distributed.single import SingleProcess

EPOCHS, MINIBATCHES = 3, 4

Moment = tuple[int, int]


class Cut(Exception):
    """Ends a run where a test wants it to end."""


def cut_together(communicator: Communicator) -> NoReturn:
    """Raise once all ranks are here: else one of them would hear of another's failure before."""
    wait(communicator.start_sum(np.ones(1)), lambda: None)
    raise Cut


class Trace:
    """A model whose parameters are the minibatches that it was trained on."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        return {"seen": list(self.seen)}

    def deserialize(self, state: Any, *, load_states: bool = True) -> None:
        self.seen = list(state["seen"])


def train(
    folder: Path, communicator: Communicator, cut: Moment | None = None, *, resume: bool = False
) -> tuple[list[float], list[float], list[float]]:
    """Train on minibatches 0, 1, 2, ..., numbered over all epochs, with a checkpoint after each.

    Args:
        folder: of the archive and the checkpoint.
        communicator: an open one.
        cut: amid this minibatch of this epoch all ranks fail.
        resume: go on from what is there.

    Returns:
        What the model was trained on, what this process has trained it on, and the smoothed costs.
    """
    model, done = Trace(), list[float]()
    checkpoint = folder / "model.h5"
    callbacks = Callbacks(
        model, progress_bar=False, communicator=communicator, output_file=str(folder / "run.h5"),
        resume=checkpoint if resume else False,
    )  # fmt: skip
    callbacks.add_callback(SerializeModelCallback(checkpoint, every=1))
    with contextlib.suppress(Cut), callbacks.training(EPOCHS) as run:
        for epoch in run.epochs():
            for batch in run.minibatches([float(epoch * MINIBATCHES + one) for one in range(MINIBATCHES)]):
                if (epoch, run.open_minibatch) == cut:
                    cut_together(communicator)
                model.seen.append(batch)
                done.append(batch)
                run.cost = batch
    return model.seen, done, callbacks.callback_data["cost/train"][:].tolist()


@pytest.mark.parametrize("moment", ["train_begin", "epoch_begin"])
def test_a_stop_before_the_rest_of_an_epoch_is_agreed_within_it(moment: str, tmp_path: Path) -> None:
    minibatches = 60

    def train_long(communicator: Communicator, *, resume: bool = False) -> int:
        model, done = Trace(), 0
        callbacks = Callbacks(
            model,
            progress_bar=False,
            communicator=communicator,
            resume=tmp_path / "model.h5" if resume else False,
        )
        callbacks.add_callback(SerializeModelCallback(tmp_path / "model.h5", every=1))

        def stop(run: TrainingRun) -> None:
            if resume:
                if run.rank:
                    run.request_stop("enough")
                stops = cast("Ranks", run.ranks).stops
                until(lambda: stops._decision is not None)  # who is asked by then has not begun

        callbacks.bus.subscribe(moment, stop)
        with contextlib.suppress(Cut), callbacks.training(1) as run:
            for _ in run.epochs():
                for _ in run.minibatches([0.0] * minibatches):
                    run.cost = 0.0
                    if not resume and run.open_minibatch == 10:
                        cut_together(communicator)
                    done += 1
        return done

    assert run_ranks(2, train_long) == [10, 10]
    first, second = run_ranks(2, lambda communicator: train_long(communicator, resume=True))
    assert first == second < 10


def train_by(size: int, folder: Path, cut: Moment | None = None, *, resume: bool = False) -> list[Any]:
    if size == 1:
        return [train(folder, SingleProcess(), cut, resume=resume)]
    return run_ranks(size, lambda communicator: train(folder, communicator, cut, resume=resume))


ALL = [float(one) for one in range(EPOCHS * MINIBATCHES)]


@pytest.mark.parametrize("cut", [(1, 2), (1, 0)], ids=["within an epoch", "between epochs"])
def test_as_many_ranks_go_on_where_they_were(cut: Moment, tmp_path: Path) -> None:
    whole = train_by(2, tmp_path)
    (tmp_path / "cut").mkdir()
    train_by(2, tmp_path / "cut", cut)
    epoch, minibatch = cut
    for (seen, done, costs), uncut in zip(train_by(2, tmp_path / "cut", resume=True), whole, strict=True):
        assert seen == ALL
        assert done == ALL[epoch * MINIBATCHES + minibatch :]
        assert costs == uncut[2]


@pytest.mark.parametrize("before, now", [(1, 2), (2, 1), (2, 3)])
def test_another_number_of_ranks_trains_an_epoch_that_was_cut_again(
    before: int, now: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_by(before, tmp_path, (1, 2))
    assert not caplog.records
    for seen, done, _ in train_by(now, tmp_path, resume=True):
        assert done == ALL[MINIBATCHES:]
        assert seen == [*ALL[: MINIBATCHES + 2], *done], "the model is as it was"
    warnings = [record.message for record in caplog.records if "trained again" in record.message]
    assert (
        warnings
        == [
            "epoch 1 is trained again from its begin, with the model as it was after 2 minibatches: "
            f"the run had {before} ranks, and has {now} now"
        ]
        * now
    )


@pytest.mark.parametrize("before, now", [(1, 2), (2, 1)])
def test_another_number_of_ranks_goes_on_between_epochs(
    before: int, now: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train_by(before, tmp_path, (1, 0))
    for seen, done, _ in train_by(now, tmp_path, resume=True):
        assert seen == ALL and done == ALL[MINIBATCHES:]
    assert not [record for record in caplog.records if "trained again" in record.message]
