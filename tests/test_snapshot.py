from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.resuming import (
    LOADERS,
    Loaders,
    Total,
    assert_same,
    fixed,
    generators,
    outcome,
    run_loop,
    uninterrupted,
)
from tests.support.runs import fit, hand_loop, quiet, six_calls, tiny_model
from trainsignal import Callback, Callbacks
from trainsignal.checkpoint import load_state
from trainsignal.errors import CheckpointError
from trainsignal.run_link import Boundary, run_of


def saved(folder: Path) -> dict[str, Any]:
    """Return what the newest checkpoint says of the run."""
    entry: dict[str, Any] = load_state(folder / "model.h5")["trainsignal"]
    return entry


def position(entry: dict[str, Any]) -> tuple[int, int, bool, int, int]:
    return (
        entry["epoch"], entry["epochs_complete"], entry["is_within_epoch"], entry["minibatch"],
        entry["minibatches_done"],
    )  # fmt: skip


def test_position_between_two_epochs_is_the_begin_of_the_next(tmp_path: Path) -> None:
    run_loop(tmp_path, epochs=2)
    assert position(saved(tmp_path)) == (2, 2, False, 0, 8)


def test_position_within_an_epoch_counts_its_minibatches(tmp_path: Path) -> None:
    run_loop(tmp_path / "run", kill=47, checkpoint_every=1)
    assert position(saved(tmp_path / "run")) == (1, 1, True, 2, 6)


def test_checkpoint_holds_the_models_own_state_beside_that_of_the_run(tmp_path: Path) -> None:
    callbacks = run_loop(tmp_path, epochs=1)
    state = load_state(tmp_path / "model.h5")
    assert state.keys() == {"total", "trainsignal"}
    assert state["total"] == callbacks.model().total
    assert set(state["trainsignal"]["callbacks"]) == {
        "TrainCostCallback", "SerializeModelCallback", "TrainLoggerCallback", "RunTimerCallback", "Memory",
    }  # fmt: skip
    np.testing.assert_array_equal(state["trainsignal"]["loose"]["mine"], callbacks.callback_data["mine"][:])


def stop_at(minibatch: int, at: Boundary = "minibatch") -> Any:
    """Return what has the user stop the run in its second epoch."""

    def prepare(callbacks: Callbacks) -> None:
        def stop(epoch: int) -> None:
            if epoch == 1:
                callbacks.run.request_stop("enough", at=at)

        callbacks.bus.subscribe("minibatch_end", stop, at=minibatch)

    return prepare


@pytest.mark.parametrize("loaders", [fixed, generators], ids=["known length", "unknown length"])
@pytest.mark.parametrize("minibatch, at, expected", [
    (1, "minibatch", (1, 1, True, 2)), (0, "minibatch", (1, 1, True, 1)), (1, "epoch", (2, 2, False, 0)),
])  # fmt: skip
def test_epoch_that_a_vote_cut_short_is_to_be_done_to_its_end(
    loaders: Loaders, minibatch: int, at: Boundary, expected: tuple[Any, ...], tmp_path: Path
) -> None:
    run_loop(tmp_path, loaders, prepare=stop_at(minibatch, at))
    assert position(saved(tmp_path))[:4] == expected
    resumed = run_loop(tmp_path, loaders, resume=True)
    assert_same(outcome(resumed), uninterrupted(loaders))


@pytest.mark.parametrize("loaders", LOADERS, ids=lambda loaders: loaders.__name__)
@pytest.mark.parametrize("minibatch", range(5))
def test_run_that_a_vote_stopped_anywhere_goes_on_as_if_it_had_not(
    loaders: Loaders, minibatch: int, tmp_path: Path
) -> None:
    run_loop(tmp_path, loaders, prepare=stop_at(minibatch))
    resumed = run_loop(tmp_path, loaders, resume=True)
    assert_same(outcome(resumed), uninterrupted(loaders))


@pytest.mark.parametrize("moment", ["epoch_begin", "epoch_end"])
def test_run_that_a_vote_stopped_between_minibatches_goes_on_as_if_it_had_not(
    moment: str, tmp_path: Path
) -> None:
    def prepare(callbacks: Callbacks) -> None:
        callbacks.bus.subscribe(moment, lambda run: run.request_stop("enough"), at=1)

    run_loop(tmp_path, prepare=prepare)
    resumed = run_loop(tmp_path, resume=True)
    assert_same(outcome(resumed), uninterrupted())


@pytest.mark.parametrize("minibatch, expected", [(0, (1, 1, True, 1, 3)), (1, (2, 2, False, 0, 4))])
def test_loop_that_knows_the_length_of_its_epoch_is_cut_short_before_its_last_minibatch(
    minibatch: int, expected: tuple[Any, ...], tmp_path: Path
) -> None:
    model = tiny_model()
    callbacks = quiet(model, save_path=tmp_path / "model.h5")
    stop_at(minibatch)(callbacks)
    fit(model, callbacks, 3)
    assert position(saved(tmp_path)) == expected
    assert load_state(tmp_path / "model.h5")["epoch_index"] == expected[0]


class SaidLength(Total):
    """A model that says how long an epoch is."""

    nbatches, ndata = 2, 4


@pytest.mark.parametrize("minibatch, is_within", [(0, True), (1, False), (2, False)])
def test_model_that_says_how_long_an_epoch_is_says_when_it_is_whole(
    minibatch: int, is_within: bool, tmp_path: Path
) -> None:
    callbacks = quiet(SaidLength(), save_path=tmp_path / "model.h5")
    stop_at(minibatch)(callbacks)
    with callbacks.training(2) as run:
        for _ in run.epochs():
            for _ in run.minibatches(iter(range(4))):
                run.cost = 1.0
    assert saved(tmp_path)["is_within_epoch"] is is_within


def test_loop_that_serves_itself_is_not_put_back_within_an_epoch(tmp_path: Path) -> None:
    callbacks = quiet(Total(), save_path=tmp_path / "model.h5")
    stop_at(1)(callbacks)
    six_calls(callbacks, epochs=2)
    assert position(saved(tmp_path)) == (2, 2, False, 0, 6)


def test_callbacks_hear_of_the_end_of_an_epoch_that_was_cut_short_once(tmp_path: Path) -> None:
    class Counting(Callback):
        def __init__(self) -> None:
            super().__init__()
            self.epochs: list[int] = []

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            self.epochs.append(epoch)

    def prepare(callbacks: Callbacks) -> None:
        callbacks.add_callback(counting)
        stop_at(1)(callbacks)

    counting = Counting()
    run_loop(tmp_path, prepare=prepare)
    counting = Counting()
    run_loop(tmp_path, resume=True, prepare=lambda callbacks: callbacks.add_callback(counting))
    assert counting.epochs == [0, 1, 2]


def test_nothing_is_taken_of_a_run_that_nobody_saves() -> None:
    class Unsaved(Total):
        def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
            raise AssertionError

    callbacks = quiet(Unsaved())
    stop_at(1)(callbacks)
    hand_loop(callbacks)
    assert callbacks.run.exit_reason == "stopped"


def test_callback_may_take_a_snapshot_itself(tmp_path: Path) -> None:
    class Saving(Callback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            self.taken = run_of(self).snapshot(minibatch + 1)

    callback = Saving()
    run_loop(tmp_path, epochs=1, prepare=lambda callbacks: callbacks.add_callback(callback))
    assert position(callback.taken["trainsignal"]) == (0, 0, True, 4, 4)


@pytest.mark.parametrize("state", [{"file": object()}, {"a": [{1: lambda: 0}]}], ids=["object", "nested"])
def test_state_that_no_checkpoint_can_hold_is_refused_with_the_callbacks_name(
    state: dict[str, Any], tmp_path: Path
) -> None:
    class Wrong(Callback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None: ...

        def state_dict(self) -> dict[str, Any]:
            return state

    with pytest.raises(CheckpointError, match=r"Wrong\.state_dict\(\) returned what no checkpoint can hold"):
        run_loop(tmp_path, prepare=lambda callbacks: callbacks.add_callback(Wrong()))


class Losing(Callback):
    """Sets attributes during the run, of which no checkpoint can hold some."""

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.made_at_begin = object()

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.plain = epoch
        self.lost = object()
        self._private = object()


def test_user_is_told_once_of_what_no_checkpoint_can_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_loop(tmp_path, prepare=lambda callbacks: callbacks.add_callback(Losing()))
    assert [one for one in caplog.messages if "in no checkpoint" in one] == [
        "Losing.lost (object) is in no checkpoint: a resumed run has what on_train_begin makes. Keep plain "
        "values in it, or override state_dict and load_state_dict."
    ]


def test_user_is_told_nothing_of_a_callback_that_says_itself_what_its_state_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Own(Losing):
        def state_dict(self) -> dict[str, Any]:
            return {}

    run_loop(tmp_path, prepare=lambda callbacks: callbacks.add_callback(Own()))
    assert caplog.messages == []


def test_callback_whose_state_fails_is_treated_as_its_user_chose(tmp_path: Path) -> None:
    class Failing(Losing):
        def state_dict(self) -> dict[str, Any]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        run_loop(tmp_path / "raise", prepare=lambda callbacks: callbacks.add_callback(Failing()))
    assert caught.value.__notes__[0] == "while Failing handled state_dict"

    run_loop(
        tmp_path / "disable",
        prepare=lambda callbacks: callbacks.add_callback(Failing(), on_error="disable"),
    )
    assert "Failing" not in saved(tmp_path / "disable")["callbacks"]
