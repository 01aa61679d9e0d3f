from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.support.given_series import break_off, go_on
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import Callback, Callbacks, EarlyStopCallback, LossCallback
from trainsignal.errors import ConfigurationError, WiringError


class Losses(Callback):
    """Writes given losses, one an epoch, as a user does who evaluates in a way of their own."""

    writes = ("cost/loss",)

    def __init__(self, *losses: float) -> None:
        super().__init__()
        self.losses = losses

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_series("cost/loss", epochs)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data["cost/loss"][epoch] = self.losses[epoch]


def run_with(stop_func: Any, *losses: float) -> Callbacks:
    callbacks = quiet()
    callbacks.callbacks = [EarlyStopCallback(stop_func), Losses(*losses)]
    with callbacks.training(len(losses)) as run:
        for _ in run.epochs():
            list(run.minibatches("ab"))
    return callbacks


def test_function_is_given_its_own_state_and_the_float32_loss() -> None:
    calls: list[tuple[Any, Any]] = []

    def note(state: Any, loss: Any) -> tuple[Any, bool]:
        calls.append((state, loss))
        assert loss.dtype == np.float32
        return len(calls), False

    run_with(note, 3.0, 2.0, 1.0)
    assert calls == [(None, 3.0), (1, 2.0), (2, 1.0)]


def stop_when_worse(state: float | None, loss: float) -> tuple[float, bool]:
    return loss, state is not None and loss > state


def test_run_stops_at_the_end_of_the_epoch_with_a_reason() -> None:
    callbacks = run_with(stop_when_worse, 3.0, 2.0, 2.5, 1.0)
    assert callbacks.run.epochs_complete == 3
    assert callbacks.run.exit_reason == "stopped"
    vote = callbacks.run.votes[0]
    assert (vote.author, vote.at) == ("EarlyStopCallback", "epoch")
    assert vote.reason == "stop_when_worse stopped at loss 2.5 of epoch 2"


@pytest.mark.parametrize("stop_func", [partial(stop_when_worse), lambda state, loss: (None, np.bool_(True))])
def test_any_callable_and_any_truth_will_do(stop_func: Any) -> None:
    assert run_with(stop_func, 1.0, 2.0, 3.0).run.exit_reason == "stopped"


def test_function_is_asked_only_at_epochs_at_which_the_loss_was_evaluated() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    asked: list[Any] = []

    def note(state: Any, loss: Any) -> tuple[Any, bool]:
        asked.append(loss)
        return None, False

    callbacks.add_callback(EarlyStopCallback(note))
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=[0, 3]))
    fit(model, callbacks, 5)
    assert asked == callbacks.callback_data["cost/loss"][:].tolist()


def test_second_run_begins_with_no_state() -> None:
    states: list[Any] = []

    def note(state: Any, loss: Any) -> tuple[Any, bool]:
        states.append(state)
        return "used", False

    stopping = EarlyStopCallback(note)
    for _ in range(2):
        callbacks = quiet()
        callbacks.callbacks = [Losses(1.0, 2.0), stopping]
        with callbacks.training(2) as run:
            list(run.epochs())
    assert states == [None, "used", None, "used"]


def test_resumed_run_goes_on_with_the_state_that_the_function_kept() -> None:
    states: list[Any] = []

    def note(state: Any, loss: Any) -> tuple[Any, bool]:
        states.append(state)
        return {"losses": [*(state or {"losses": []})["losses"], float(loss)]}, False

    stopping, writer = EarlyStopCallback(note), Losses(3.0, 2.0, 1.0)
    state = break_off(writer, stopping, saved=stopping, after_epoch=1, until_epoch=1, epochs=3)
    states.clear()
    go_on(
        writer, fresh := EarlyStopCallback(note), restored=fresh, state=state, from_epoch=2, epochs=3
    )  # fmt: skip
    assert states == [{"losses": [3.0, 2.0]}]


def test_vote_is_repeated_where_the_run_is_resumed_after_it() -> None:
    stopping, writer = EarlyStopCallback(stop_when_worse), Losses(1.0, 2.0, 0.0)
    state = break_off(writer, stopping, saved=stopping, after_epoch=1, until_epoch=1, epochs=3)
    fresh = EarlyStopCallback(stop_when_worse)
    run = go_on(writer, fresh, restored=fresh, state=state, from_epoch=2, epochs=3).run
    assert (run.exit_reason, run.epochs_complete) == ("stopped", 2)
    assert run.votes[0].reason == "stop_when_worse stopped at loss 2 of epoch 1"


def test_state_that_cannot_be_saved_is_left_out_and_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    stopping = EarlyStopCallback(lambda state, loss: (object(), False))
    callbacks = quiet()
    callbacks.callbacks = [Losses(1.0, 2.0), stopping]
    states: list[Any] = []
    callbacks.bus.subscribe("epoch_end", lambda: states.append(stopping.state_dict()))
    with callbacks.training(2) as run:
        list(run.epochs())
    assert ["stop_state" in state for state in states] == [False, False]
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "the state that stop_func keeps (object) is not made of plain values and cannot be saved: "
        "a resumed run begins with None"
    ]


def test_without_a_loss_the_run_does_not_start() -> None:
    callbacks = quiet()
    callbacks.add_early_stop_callback(stop_when_worse)
    with pytest.raises(WiringError, match=r"EarlyStopCallback reads 'cost/loss', which no callback writes"):
        callbacks.on_train_begin(1)


@pytest.mark.parametrize("answer", [None, True, (1, 2, 3)], ids=repr)
def test_answer_that_is_no_pair_is_refused(answer: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"stop_func returned .*: expected a pair \(state, stop\)"):
        run_with(lambda state, loss: answer, 1.0)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="stop_func=3: expected a function"):
        EarlyStopCallback(3)  # type: ignore[arg-type]
