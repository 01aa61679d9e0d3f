"""What every callback promises of a run that is cut short and resumed: as if it had never been cut."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.callback_kinds import KINDS, container_for, made, run, series_in
from trainsignal import (
    Callback,
    Callbacks,
    CSVCallback,
    LossCallback,
    SerializeModelCallback,
    StopWhenNotImprovingCallback,
    TrainCostCallback,
    keys,
)
from trainsignal.checkpoint import load_state
from trainsignal.errors import CheckpointError, ConfigurationError, RunStateError

EPOCHS = 4
CUTS = [(1, 1), (2, 0)]
"""(epoch, minibatch) before which the run is cut; the checkpoint is that of the minibatch before."""

OF_THE_MACHINE = ("time/", "system/", keys.CHECKPOINTS)
"""Series that no two runs share."""


class EpochEnds(Callback):
    """Counts the ends of epochs in a dataset of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_dataset("ends", (epochs,))

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.count += 1
        callback_data["ends"][epoch] = self.count


class CutError(Exception):
    """What cuts a run short here."""


def prepared(kind: type[Callback], folder: Path, *, resume: bool = False) -> Callbacks:
    folder.mkdir(exist_ok=True)
    model = folder / "model.h5"
    callbacks = container_for(
        made(kind, folder), output_file=folder / "run.h5", resume=model if resume else False
    )
    if kind is not SerializeModelCallback:
        callbacks.add_callback(SerializeModelCallback(model, every=1))
    return callbacks


def cut(callbacks: Callbacks, epoch: int, minibatch: int) -> None:
    def stop() -> None:
        raise CutError

    callbacks.bus.subscribe("minibatch_begin", stop, at=minibatch, when=lambda epoch: epoch == at_epoch)
    at_epoch = epoch
    with pytest.raises(CutError):
        run(callbacks, EPOCHS)


def of_the_run(callbacks: Callbacks) -> dict[str, Any]:
    return {
        name: values
        for name, values in series_in(callbacks.callback_data).items()
        if not name.startswith(OF_THE_MACHINE)
    }


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("moment", CUTS, ids=str)
def test_resumed_run_equals_one_that_was_never_cut(
    kind: type[Callback], moment: tuple[int, int], tmp_path: Path
) -> None:
    whole = prepared(kind, tmp_path / "whole")
    run(whole, EPOCHS)
    cut(prepared(kind, tmp_path / "cut"), *moment)

    resumed = prepared(kind, tmp_path / "cut", resume=True)
    run(resumed, EPOCHS)

    assert resumed.run.is_resumed
    expected, found = of_the_run(whole), of_the_run(resumed)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    layers = zip(whole.model().layers.layers, resumed.model().layers.layers, strict=True)
    for one, other in layers:
        for name, values in one.params.items():
            np.testing.assert_array_equal(other.params[name], values, err_msg=f"{one.name} {name}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_resumed_run_may_be_resumed_again(kind: type[Callback], tmp_path: Path) -> None:
    whole = prepared(kind, tmp_path / "whole")
    run(whole, EPOCHS)
    cut(prepared(kind, tmp_path / "cut"), 1, 1)
    cut(prepared(kind, tmp_path / "cut", resume=True), 3, 0)

    resumed = prepared(kind, tmp_path / "cut", resume=True)
    run(resumed, EPOCHS)

    for name, values in of_the_run(whole).items():
        np.testing.assert_array_equal(of_the_run(resumed)[name], values, err_msg=name)


@pytest.mark.parametrize("moment", [(0, 0), (1, 0), (1, 1), (3, 1)], ids=str)
@pytest.mark.parametrize("is_known", [True, False], ids=["length known", "length unknown"])
@pytest.mark.parametrize("by_hand", [True, False], ids=["hand-written loop", "fit"])
def test_run_that_was_stopped_within_an_epoch_goes_on_there(
    moment: tuple[int, int], is_known: bool, by_hand: bool, tmp_path: Path
) -> None:
    """As a time limit does it: the vote is not to be the end, only of this process."""

    def train(folder: Path, *, stop: bool = False, resume: bool = False) -> Callbacks:
        callbacks = prepared(TrainCostCallback, folder, resume=resume)
        callbacks.add_callback(EpochEnds())
        if stop:
            at_epoch, at_minibatch = moment
            callbacks.bus.subscribe(
                "minibatch_end",
                lambda run: run.request_stop("the time is over"),
                at=at_minibatch,
                when=lambda epoch: epoch == at_epoch,
            )
        if not by_hand:
            run(callbacks, EPOCHS)
            return callbacks
        with callbacks.training(EPOCHS) as it:
            for epoch in it.epochs():
                batches = range(3) if is_known else (one for one in range(3))
                for batch in it.minibatches(batches):
                    it.cost = 10.0 * epoch + batch
        return callbacks

    whole = train(tmp_path / "whole")
    stopped = train(tmp_path / "cut", stop=True)
    assert stopped.run.exit_reason == "stopped"

    resumed = train(tmp_path / "cut", resume=True)

    assert resumed.run.exit_reason == "completed"
    assert resumed.run.epochs_complete == whole.run.epochs_complete == EPOCHS
    assert resumed.run.minibatches_complete == whole.run.minibatches_complete
    for name, values in of_the_run(whole).items():
        np.testing.assert_array_equal(of_the_run(resumed)[name], values, err_msg=name)


class Odd(Callback):
    """Keeps state as callbacks in use do: a flag that goes up and down, a number of the run, a window."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.is_first = False
        self.window: deque[int] = deque(maxlen=width)
        self.hits: list[tuple[int, int]] = []

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.total = epochs

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.is_first = True

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.window.append(minibatch)
        if self.is_first:
            self.hits.append((epoch, minibatch))
            self.is_first = False


def odd_run(folder: Path, odd: Odd, epochs: int, *, resume: bool = False) -> Callbacks:
    callbacks = prepared(TrainCostCallback, folder, resume=resume)
    callbacks.add_callback(odd)
    run(callbacks, epochs)
    return callbacks


def test_flag_that_is_down_again_stays_down_though_its_epoch_begins_once_more(tmp_path: Path) -> None:
    callbacks = prepared(TrainCostCallback, tmp_path)
    callbacks.add_callback(Odd())
    cut(callbacks, 1, 1)
    odd = Odd()
    odd_run(tmp_path, odd, EPOCHS, resume=True)
    assert odd.hits == [(epoch, 0) for epoch in range(EPOCHS)]


def test_what_is_made_otherwise_the_second_time_counts(tmp_path: Path) -> None:
    odd_run(tmp_path, Odd(), 2)
    wider = Odd(width=9)
    odd_run(tmp_path, wider, 3, resume=True)
    assert wider.total == 3
    assert wider.window.maxlen == 9
    assert len(wider.window) == 4


def test_run_that_lost_its_patience_goes_on_with_more(tmp_path: Path) -> None:
    def patient(patience: int, *, resume: bool = False) -> Callbacks:
        callbacks = prepared(LossCallback, tmp_path, resume=resume)
        callbacks.add_callback(StopWhenNotImprovingCallback(patience=patience, min_delta=100.0))
        run(callbacks, 6)
        return callbacks

    assert patient(1).run.epochs_complete == 2
    assert patient(3, resume=True).run.epochs_complete == 4
    assert patient(3, resume=True).run.epochs_complete == 4, "the vote of before holds"


def test_loop_that_begins_with_another_epoch_is_refused(tmp_path: Path) -> None:
    prepared(TrainCostCallback, tmp_path)
    cut(prepared(TrainCostCallback, tmp_path), 2, 1)
    callbacks = prepared(TrainCostCallback, tmp_path, resume=True)
    callbacks.on_train_begin(EPOCHS)
    with pytest.raises(RunStateError, match="resumed in epoch 2, and the loop begins with epoch 0"):
        callbacks.on_epoch_begin(0)
    assert callbacks.run.exit_reason == "failed"


@pytest.mark.parametrize("policy", ["log", "disable"])
def test_state_that_cannot_be_had_follows_the_policy_of_its_callback(policy: Any, tmp_path: Path) -> None:
    class Stateless(Callback):
        def on_epoch_end(self, *arguments: Any) -> None: ...

        def state_dict(self) -> dict[str, Any]:
            raise KeyError("nothing")

    callbacks = prepared(TrainCostCallback, tmp_path)
    callbacks.add_callback(Stateless(), on_error=policy)
    run(callbacks, 2)
    assert callbacks.run.exit_reason == "completed"
    assert "Stateless failed" in callbacks.summary()


def test_error_of_a_state_names_its_callback(tmp_path: Path) -> None:
    class Stateless(Callback):
        def on_epoch_end(self, *arguments: Any) -> None: ...

        def state_dict(self) -> dict[str, Any]:
            return {"thing": object()}

    callbacks = prepared(TrainCostCallback, tmp_path)
    callbacks.add_callback(Stateless())
    with pytest.raises(CheckpointError, match=r"Stateless.state_dict\(\) returned what no"):
        run(callbacks, 2)
    assert callbacks.callback_data["config"].attrs["exit_author"] == "Stateless"


def test_state_at_a_cut_is_not_changed_by_what_follows(tmp_path: Path) -> None:
    class Doubling(Callback):
        writes = (keys.MODEL,)

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            model.weights *= 2

    class Live:
        def __init__(self) -> None:
            self.weights = np.ones(2)

        def serialize(self, keep_states: bool = True) -> dict[str, Any]:
            return {"weights": self.weights}

        def deserialize(self, state: Any, load_states: bool = True) -> None:
            self.weights[:] = state["weights"]

    callbacks = Callbacks(Live(), progress_bar=False, save_path=tmp_path / "m.h5")
    callbacks.add_callback(Doubling())
    with callbacks.training(3) as it:
        for _ in it.epochs():
            for _ in it.minibatches(range(3)):
                it.cost = 1.0
                callbacks.stop("enough")
    np.testing.assert_array_equal(load_state(tmp_path / "m.h5")["weights"], 1)


def test_two_writers_of_one_file_are_refused_whatever_their_class(tmp_path: Path) -> None:
    callbacks = prepared(TrainCostCallback, tmp_path)
    for _ in range(2):
        callbacks.add_callback(CSVCallback(tmp_path / "run.csv"))
    with pytest.raises(ConfigurationError, match="would both write"):
        run(callbacks, 1)


def test_what_an_epochs_begin_makes_anew_is_there_in_an_epoch_that_is_gone_on_with(tmp_path: Path) -> None:
    class Holding(Callback):
        def __init__(self) -> None:
            super().__init__()
            self.handle: Any = None
            self.seen = 0

        def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
            self.handle = object()

        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            assert self.handle is not None
            self.seen += 1

    callbacks = prepared(TrainCostCallback, tmp_path)
    callbacks.add_callback(Holding())
    cut(callbacks, 1, 1)
    holding = Holding()
    resumed = prepared(TrainCostCallback, tmp_path, resume=True)
    resumed.add_callback(holding)
    run(resumed, EPOCHS)
    assert holding.seen == 2 * EPOCHS
