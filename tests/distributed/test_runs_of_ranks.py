"""Runs of several ranks, which are threads here: who runs where, what is one value, how all stop and fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.ranks import ThreadCommunicator, run_ranks
from trainsignal import Callback, Callbacks, TrainCostCallback, TrainingRun
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.watch import Watch
from trainsignal.errors import ConfigurationError, RankFailedError, WiringError

EPOCHS, MINIBATCHES = 4, 200


class Silent:
    """A model that nobody asks anything of."""

    finished = False


class InStep:
    """Minibatches of which no rank does one before all ranks have done the one before, as under DDP."""

    def __init__(self, ranks: int, minibatches: int = MINIBATCHES) -> None:
        self.minibatches = minibatches
        self.barrier = threading.Barrier(ranks, timeout=30)

    def __len__(self) -> int:
        return self.minibatches

    def __iter__(self) -> Iterator[int]:
        for minibatch in range(self.minibatches):
            self.barrier.wait()
            yield minibatch


def train(
    callbacks: Callbacks,
    minibatches: Any,
    rank: int,
    do: Callable[[TrainingRun, int, int], object] | None = None,
) -> TrainingRun:
    """Train, with the minibatch's index plus the rank as cost; `do` is called within each minibatch."""
    with callbacks.training(EPOCHS) as run:
        for epoch in run.epochs():
            for minibatch in run.minibatches(minibatches):
                run.cost = float(minibatch + rank)
                if do is not None:
                    do(run, epoch, minibatch)
    return run


def quiet(communicator: ThreadCommunicator, **options: Any) -> Callbacks:
    return Callbacks(Silent(), progress_bar=False, communicator=communicator, grace_s=20, **options)


def where(run: TrainingRun) -> tuple[int, int, int]:
    return run.epochs_complete, run.epoch, run.minibatches_done


def test_the_train_cost_is_the_mean_over_the_ranks() -> None:
    def rank(communicator: ThreadCommunicator) -> tuple[list[float], list[float | None]]:
        callbacks, means = quiet(communicator), []
        callbacks.bus.subscribe("epoch_end", lambda run: means.append(run.epoch_cost))
        train(callbacks, range(3 + communicator.rank), communicator.rank)
        return callbacks.callback_data["cost/train"][:3].tolist(), means

    # rank 0 has the costs 0, 1, 2 and rank 1 has 1, 2, 3, 4
    for rows, means in run_ranks(2, rank, timeout_s=60):
        assert rows == pytest.approx([0.5, 1.0, 1.5])  # means of the means so far
        assert means == [pytest.approx(13 / 7)] * EPOCHS


def test_one_run_has_one_name() -> None:
    def rank(communicator: ThreadCommunicator) -> tuple[int, str]:
        run = train(quiet(communicator), range(2), 0)
        return run.rank, run.run_id

    told = run_ranks(3, rank, timeout_s=60)
    assert [number for number, _ in told] == [0, 1, 2]
    assert len({name for _, name in told}) == 1


def test_files_are_written_by_the_first_rank_alone(tmp_path: Path) -> None:
    def rank(communicator: ThreadCommunicator) -> None:
        train(quiet(communicator, output_file=tmp_path / "run.h5"), range(2), communicator.rank)

    run_ranks(2, rank, timeout_s=60)
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".h5"] == ["run.h5"]
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert archive["config"].attrs["exit_reason"] == "completed"
        assert archive["cost/train"][:2].tolist() == pytest.approx([0.5, 1.0])


class OnlyFirst(Callback):
    only_first = True

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.epochs = epoch + 1


class Everywhere(Callback):
    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.epochs = epoch + 1


@pytest.mark.parametrize(
    "kind, chosen, expected",
    [
        (OnlyFirst, None, [True, False]),
        (Everywhere, None, [True, True]),
        (OnlyFirst, False, [True, True]),
        (Everywhere, True, [True, False]),
    ],
)
def test_callback_runs_where_its_class_says_and_its_user_chooses(
    kind: type[Callback], chosen: bool | None, expected: list[bool]
) -> None:
    def rank(communicator: ThreadCommunicator) -> bool:
        callbacks, one = quiet(communicator), kind()
        callbacks.add_callback(one, only_first=chosen)
        train(callbacks, range(2), 0)
        return hasattr(one, "epochs")

    assert run_ranks(2, rank, timeout_s=60) == expected


def test_what_the_first_rank_alone_runs_need_not_be_there_on_the_others() -> None:
    def rank(communicator: ThreadCommunicator) -> str:
        callbacks = quiet(communicator)
        if communicator.rank == 0:
            callbacks.add_callback(OnlyFirst())
        return str(train(callbacks, range(2), 0).exit_reason)

    assert run_ranks(2, rank, timeout_s=60) == ["completed"] * 2


def test_all_ranks_stop_at_the_same_minibatch_when_one_wants_to() -> None:
    steps = InStep(3)

    def rank(communicator: ThreadCommunicator) -> Any:
        def do(run: TrainingRun, epoch: int, minibatch: int) -> None:
            if (communicator.rank, epoch, minibatch) == (2, 1, 20):
                run.request_stop("too hot", "thermometer")

        run = train(quiet(communicator), steps, communicator.rank, do)
        return where(run), run.exit_reason, [(vote.reason, vote.author) for vote in run.votes]

    first, *others = run_ranks(3, rank, timeout_s=60)
    assert [first, first] == others
    (_, epoch, done), reason, votes = first
    assert (epoch, reason, votes) == (1, "stopped", [("too hot", "thermometer on rank 2")])
    assert MINIBATCHES + 21 < done < 2 * MINIBATCHES, "before the end of the epoch"


def test_ranks_that_do_not_compute_in_step_stop_together_too() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        def do(run: TrainingRun, epoch: int, minibatch: int) -> None:
            if (communicator.rank, epoch, minibatch) == (1, 1, 0):
                run.request_stop("enough", "user")

        run = train(quiet(communicator), range(5 + 700 * communicator.rank), communicator.rank, do)
        return run.epochs_complete, run.exit_reason

    assert run_ranks(3, rank, timeout_s=60) == [(2, "stopped")] * 3


@pytest.mark.parametrize("way", ["vote", "finished"])
def test_all_ranks_end_after_the_same_epoch(way: str) -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator)

        class Ending(Callback):
            def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
                if (communicator.rank, epoch) != (1, 2):
                    return
                if way == "vote":
                    self.request_stop("no progress", at="epoch")
                else:
                    model.finished = True

        callbacks.add_callback(Ending())
        run = train(callbacks, range(5), 0)
        return run.epochs_complete, run.exit_reason, run.votes[0].reason, run.model.finished

    reason = "no progress" if way == "vote" else "model.finished was set at the end of the epoch"
    assert run_ranks(2, rank, timeout_s=60) == [(3, "stopped", reason, True)] * 2


def test_the_same_wish_of_all_ranks_is_one_vote() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator)
        callbacks.add_early_stop_callback(lambda state, loss: (state, True))
        callbacks.add_callback(LossWriter(), 0)
        run = train(callbacks, range(5), 0)
        return [(vote.author, vote.at) for vote in run.votes]

    assert run_ranks(2, rank, timeout_s=60) == [[("EarlyStopCallback", "epoch")]] * 2


class LossWriter(Callback):
    """Writes "cost/loss" without evaluating."""

    writes = ("cost/loss",)

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_series("cost/loss", epochs)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data["cost/loss"][epoch] = 1.0


@pytest.mark.parametrize("failing", [0, 2])
def test_a_rank_that_raises_ends_the_others_with_its_reason(failing: int, tmp_path: Path) -> None:
    steps = InStep(3)

    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator, output_file=tmp_path / "run.h5")

        def do(run: TrainingRun, epoch: int, minibatch: int) -> None:
            if (communicator.rank, epoch, minibatch) == (failing, 1, 3):
                callbacks.bus.subscribe("run_closed", lambda: steps.barrier.abort())  # its process is to end
                raise ValueError("bad batch")

        with pytest.raises((ValueError, RankFailedError, threading.BrokenBarrierError)) as caught:
            train(callbacks, steps, 0, do)
        return callbacks.run.exit_reason, str(callbacks.run.rank_failure), caught.value

    told = run_ranks(3, rank, timeout_s=90)
    assert [(reason, failure) for reason, failure, _ in told] == [
        ("failed", f"rank {failing}: ValueError: bad batch")
    ] * 3
    assert isinstance(told[failing][2], ValueError)
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert archive["config"].attrs["exit_detail"] == f"rank {failing}: ValueError: bad batch"
        assert archive["config"].attrs["exit_author"] == f"rank {failing}"


def test_a_failure_reaches_ranks_that_wait_at_the_end_of_an_epoch() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        def do(run: TrainingRun, epoch: int, minibatch: int) -> None:
            if communicator.rank == 1 and epoch == 1:
                raise ValueError("bad batch")

        with pytest.raises((ValueError, RankFailedError)) as caught:
            train(quiet(communicator), range(4), 0, do)
        return str(caught.value)

    assert run_ranks(2, rank, timeout_s=60) == ["rank 1: ValueError: bad batch", "bad batch"]


def test_a_rank_that_leaves_the_loop_alone_is_named() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator)
        with callbacks.training(EPOCHS) as run:
            for epoch in run.epochs():
                if communicator.rank == 1 and epoch == 2:
                    break
                for _ in run.minibatches(range(3)):
                    run.cost = 1.0

    with pytest.raises(RankFailedError, match="rank 1: left the loop, while other ranks went on"):
        run_ranks(2, rank, timeout_s=60)


def test_ranks_with_different_callbacks_do_not_begin(tmp_path: Path) -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator, output_file=tmp_path / "run.h5")
        if communicator.rank == 1:
            callbacks.add_callback(Everywhere())
        with pytest.raises(WiringError, match=r"rank 1 \(\+\)(?s:.)*\+ Everywhere") as caught:
            train(callbacks, range(2), 0)
        assert not callbacks.run.has_begun
        return str(caught.value)

    assert len(set(run_ranks(3, rank, timeout_s=60))) == 1
    assert [file.suffix for file in tmp_path.iterdir() if file.suffix == ".h5"] == []


def test_a_rank_that_cannot_begin_is_named_on_the_others() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator, **({"model_file": "nowhere.h5"} if communicator.rank else {}))
        with pytest.raises(Exception) as caught:  # which, is what is tested
            train(callbacks, range(2), 0)
        return type(caught.value).__name__, str(caught.value)

    (first, text), (second, _) = run_ranks(2, rank, timeout_s=60)
    assert (first, second) == ("RankFailedError", "MissingAbilityError")
    assert text.startswith("rank 1 could not begin: MissingAbilityError: model_file='nowhere.h5'")


def test_a_run_that_could_not_begin_can_begin_when_the_cause_is_mended() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        callbacks = quiet(communicator)
        if communicator.rank == 1:
            callbacks.add_callback(Everywhere())
        with pytest.raises(WiringError):
            train(callbacks, range(2), 0)
        if communicator.rank == 0:
            callbacks.add_callback(Everywhere())
        return train(callbacks, range(2), 0).exit_reason

    assert run_ranks(2, rank, timeout_s=60) == ["completed"] * 2


def test_no_reader_runs_where_its_writer_does_not() -> None:
    class Reader(Callback):
        reads = ("mine",)

    class Writer(Callback):
        writes = ("mine",)
        only_first = True

        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_series("mine", epochs)

    def rank(communicator: ThreadCommunicator) -> None:
        callbacks = quiet(communicator)
        callbacks.add_callback(Writer())
        callbacks.add_callback(Reader())
        with pytest.raises(WiringError, match="no callback writes"):
            train(callbacks, range(2), 0)

    run_ranks(2, rank, timeout_s=60)


def test_what_is_no_communicator_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        train(Callbacks(Silent(), progress_bar=False, communicator="gloo"), range(2), 0)  # type: ignore[arg-type]


def test_two_collectives_an_epoch_once_the_length_of_an_epoch_is_known() -> None:
    def rank(communicator: ThreadCommunicator) -> list[int]:
        callbacks, started = quiet(communicator), []
        callbacks.bus.subscribe("epoch_begin", lambda: started.append(communicator.started))
        train(callbacks, range(4), 0)
        return np.diff(started).tolist()

    first, second = run_ranks(2, rank, timeout_s=60)
    assert first == second
    assert first[1:] == [2] * (EPOCHS - 2)


def test_ctrl_c_while_a_failure_is_told_closes_the_run_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail = Watch.fail

    def interrupted(self: Watch, text: str, patience_s: float = 0.0) -> RankFailure:
        fail(self, text, patience_s)
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "fail", interrupted)
    path, closed = tmp_path / "run.h5", []

    def rank(communicator: ThreadCommunicator) -> None:
        def do(run: TrainingRun, epoch: int, minibatch: int) -> None:
            raise ValueError("bad batch")

        callbacks = quiet(communicator, output_file=str(path))
        callbacks.bus.subscribe("run_closed", lambda: closed.append(communicator.rank))
        with pytest.raises(KeyboardInterrupt):
            train(callbacks, range(3), communicator.rank, do)
        assert not communicator.is_open

    run_ranks(2, rank, timeout_s=60)
    assert sorted(closed) == [0, 1]
    with h5py.File(str(path)) as archive:
        assert archive["config"].attrs["exit_reason"] == "failed"


@pytest.mark.parametrize("policy", ["log", "disable"])
def test_failure_of_another_rank_passes_whatever_the_policy_of_who_meets_it(policy: Any) -> None:
    class Asking(Callback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            raise RankFailedError("rank 1: ValueError: bad batch")

    def rank(communicator: ThreadCommunicator) -> str | None:
        callbacks = quiet(communicator)
        callbacks.add_callback(Asking(), on_error=policy)
        with pytest.raises(RankFailedError, match="bad batch"):
            train(callbacks, range(3), communicator.rank)
        return callbacks.run.exit_reason

    assert run_ranks(2, rank, timeout_s=60) == ["failed"] * 2


def test_ranks_that_have_different_series_of_costs_go_along() -> None:
    def rank(communicator: ThreadCommunicator) -> list[float]:
        callbacks = quiet(communicator)
        callbacks.callbacks = [one for one in callbacks.callbacks if not isinstance(one, TrainCostCallback)]
        callbacks.add_callback(TrainCostCallback(), only_first=True)
        train(callbacks, range(3), communicator.rank)
        data = callbacks.callback_data
        return data["cost/train"][:3].tolist() if "cost/train" in data else []

    assert run_ranks(2, rank, timeout_s=60) == [[0.0, 0.5, 1.0], []]
