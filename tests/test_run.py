from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from tests.support.runs import (
    Bare,
    Costly,
    Finishable,
    Sentence,
    fit,
    hand_loop,
    quiet,
    six_calls,
    tiny_model,
)
from trainsignal import Callback
from trainsignal.errors import ArchiveError, ConfigurationError, CostError, RunStateError


class Tensor:
    """A (1, 1) tensor with neon's `get()`."""

    def __init__(self, value: float) -> None:
        self._value = value

    def get(self) -> Any:
        return np.array([[self._value]])


# -- the cost of a minibatch ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cost",
    [0.5, np.float32(0.5), np.float64(0.5), np.array(0.5), np.array([[0.5]]), Tensor(0.5)],
    ids=["float", "float32", "float64", "0-d array", "(1, 1) array", "tensor"],
)
@pytest.mark.parametrize("place", ["run.cost", "model.cost.cost"])
def test_cost_may_come_in_any_form_of_one_number(cost: object, place: str) -> None:
    callbacks = quiet(Bare() if place == "run.cost" else Costly(cost))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches("a"):
                if place == "run.cost":
                    run.cost = cost
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], [0.5])


def test_cost_that_the_loop_set_goes_before_that_of_the_model() -> None:
    callbacks = quiet(Costly(7.0))
    hand_loop(callbacks, 1, 1, cost=2.0)
    assert callbacks.callback_data["cost/train"][0] == 2


@pytest.mark.parametrize("cost", [None, "0.5", [1.0, 2.0], np.zeros(2), True, {}, np.array(1j)], ids=repr)
def test_cost_that_is_not_one_number_is_refused_where_it_is_set(cost: object) -> None:
    callbacks = quiet()
    with pytest.raises(CostError, match=r"run\.cost was set to something that is not one number"):
        hand_loop(callbacks, cost=cost)
    assert callbacks.run.exit_reason == "failed"


@pytest.mark.parametrize("cost", [None, "0.5", np.zeros(2)], ids=repr)
def test_cost_of_the_model_that_is_not_one_number_is_refused(cost: object) -> None:
    with pytest.raises(CostError, match=r"model\.cost\.cost is not one number"):
        six_calls_without_cost(Costly(cost))


@pytest.mark.parametrize("model", [Bare(), None], ids=["no cost", "no model"])
def test_cost_that_nobody_set_is_refused_with_what_to_do(model: object) -> None:
    with pytest.raises(CostError, match=r"set run\.cost = loss") as caught:
        six_calls_without_cost(model)
    assert caught.value.__notes__ == ["while TrainCostCallback handled minibatch_end, epoch 0, minibatch 0"]


def six_calls_without_cost(model: object) -> None:
    callbacks = quiet(model or Bare())
    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)
    callbacks.on_minibatch_begin(0, 0)
    callbacks.on_minibatch_end(0, 0)


def test_cost_of_an_epoch_is_the_mean_of_what_the_loop_set_in_it() -> None:
    callbacks = quiet()
    means = []
    callbacks.bus.subscribe("epoch_end", lambda run: means.append(run.epoch_cost))
    with callbacks.training(2) as run:
        assert run.epoch_cost is None
        for epoch in run.epochs():
            for batch in run.minibatches([1.0, 2.0]):
                run.cost = batch + 10 * epoch
    assert means == [1.5, 11.5]


# -- stop votes ----------------------------------------------------------------------------------------


def test_vote_notes_reason_author_boundary_and_position() -> None:
    class Voter(Callback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            if (epoch, minibatch) == (1, 2):
                self.request_stop("diverged", at="epoch")

    callbacks = quiet()
    callbacks.add_callback(Voter())
    hand_loop(callbacks, epochs=5, minibatches=4)
    vote = callbacks.run.votes[0]
    assert (vote.reason, vote.author, vote.at) == ("diverged", "Voter", "epoch")
    assert (vote.epoch, vote.minibatch) == (1, 2)
    assert callbacks.run.epochs_complete == 2


def test_vote_at_an_epochs_end_stands_at_its_last_minibatch() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"))
    hand_loop(callbacks, epochs=5, minibatches=4)
    assert (callbacks.run.votes[0].epoch, callbacks.run.votes[0].minibatch) == (0, 3)


def test_vote_is_published_and_finishes_a_model_that_can() -> None:
    model = Finishable()
    callbacks = quiet(model)
    heard: list[tuple[str, str, bool]] = []
    callbacks.bus.subscribe(
        "stop_requested", lambda reason, author, model: heard.append((reason, author, model.finished))
    )
    callbacks.bus.subscribe("epoch_begin", lambda: callbacks.stop("enough"))
    hand_loop(callbacks)
    assert heard == [("enough", "user", True)]


def test_vote_that_finishes_the_model_is_one_vote() -> None:
    callbacks = quiet(Finishable())
    callbacks.bus.subscribe("epoch_begin", lambda: callbacks.stop("enough"))
    hand_loop(callbacks)
    assert [vote.author for vote in callbacks.run.votes] == ["user"]


def test_reason_and_author_of_the_first_vote_stand_in_the_archive() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_begin", lambda run: run.request_stop("first", "me"))
    callbacks.bus.subscribe("epoch_begin", lambda run: run.request_stop("second", "you"))
    hand_loop(callbacks)
    config = callbacks.callback_data["config"].attrs
    assert (config["exit_reason"], config["exit_detail"], config["exit_author"]) == ("stopped", "first", "me")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_vote_outside_a_run_is_refused(moment: str) -> None:
    callbacks = quiet()
    if moment == "after":
        hand_loop(callbacks)
    with pytest.raises(RunStateError, match="no run is in progress"):
        callbacks.stop("enough")


def test_vote_for_no_boundary_is_refused() -> None:
    with (
        quiet().training(1) as run,
        pytest.raises(ConfigurationError, match="expected one of minibatch, epoch"),
    ):
        run.request_stop("enough", at="batch")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "signal, when", [("minibatch_end", "before"), ("epoch_end", "at")], ids=["before", "at"]
)
def test_model_that_is_finished_stops_the_run_at_the_epochs_end(signal: str, when: str) -> None:
    model = Finishable()
    callbacks = quiet(model)
    sentence = Sentence(callbacks)

    def finish() -> None:
        model.finished = True

    callbacks.bus.subscribe(signal, finish)
    hand_loop(callbacks, epochs=3, minibatches=2)
    assert sentence.text == "TEBbBbetC"
    assert callbacks.run.exit_reason == "stopped"
    assert callbacks.callback_data["config"].attrs["exit_author"] == "model"
    assert callbacks.run.votes[0].reason == f"model.finished was set {when} the end of the epoch"


def test_model_that_an_earlier_run_finished_is_trained_again() -> None:
    model = Finishable()
    for _ in range(2):
        callbacks = quiet(model)
        callbacks.bus.subscribe("epoch_end", lambda run: run.request_stop("enough"), at=1)
        hand_loop(callbacks, epochs=5)
        assert callbacks.run.epochs_complete == 2


def test_stop_by_vote_ends_the_reference_networks_fit_amid_an_epoch() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    sentence = Sentence(callbacks)
    callbacks.bus.subscribe("minibatch_end", lambda: callbacks.stop("enough"), at=0)
    fit(model, callbacks, 5)
    assert sentence.text == "TEBbetC"


# -- the life of a run ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method, arguments", [
    ("on_epoch_begin", (0,)), ("on_epoch_end", (0,)), ("on_minibatch_begin", (0, 0)),
    ("on_minibatch_end", (0, 0)), ("on_train_end", ()),
])  # fmt: skip
@pytest.mark.parametrize("moment", ["before", "after"])
def test_call_outside_the_run_is_refused(method: str, arguments: tuple[int, ...], moment: str) -> None:
    callbacks = quiet()
    if moment == "after":
        six_calls(callbacks)
    with pytest.raises(RunStateError, match=r"before on_train_begin|after the run was closed|outside a run"):
        getattr(callbacks, method)(*arguments)
    assert callbacks.run.exit_reason == ("completed" if moment == "after" else None)


def test_second_run_of_one_container_is_refused() -> None:
    callbacks = quiet()
    six_calls(callbacks)
    with pytest.raises(RunStateError, match="has served a run already"):
        callbacks.on_train_begin(1)


def test_second_begin_of_a_run_in_progress_is_refused_and_leaves_it_open() -> None:
    callbacks = quiet()
    callbacks.on_train_begin(1)
    with pytest.raises(RunStateError, match="has served a run already"):
        callbacks.on_train_begin(1)
    assert callbacks.run.is_open


@pytest.mark.parametrize("epochs", [-1, 1.5, "3", True], ids=repr)
def test_number_of_epochs_that_is_none_is_refused(epochs: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"epochs=.*expected a count of 0 or more, or None"):
        quiet().on_train_begin(epochs)


@pytest.mark.parametrize("epochs", [np.int64(2), np.uint8(2)], ids=repr)
def test_numpy_integer_is_a_number_of_epochs(epochs: Any) -> None:
    callbacks = quiet()
    hand_loop(callbacks, epochs=epochs)
    assert callbacks.callback_data["config"].attrs["total_epochs"] == 2


def test_no_epoch_at_all_is_a_complete_run() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    hand_loop(callbacks, epochs=0)
    assert sentence.text == "TtC"
    assert callbacks.run.exit_reason == "completed"
    assert callbacks.callback_data["cost/train"].shape == (0,)


def test_unknown_number_of_epochs_goes_on_until_a_vote() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=6)
    hand_loop(callbacks, epochs=None, minibatches=2)
    data = callbacks.callback_data
    assert callbacks.run.epochs_complete == 7
    np.testing.assert_array_equal(data["time_markers/minibatch"][:], [2, 4, 6, 8, 10, 12, 14])
    np.testing.assert_array_equal(data["cost/train"][:], np.ones(14))
    assert "total_epochs" not in data["config"].attrs


def test_position_is_the_current_minibatch_and_at_an_epochs_end_the_last() -> None:
    callbacks = quiet()
    positions = []
    for name in ("train_begin", "epoch_begin", "minibatch_begin", "minibatch_end", "epoch_end", "train_end"):
        callbacks.bus.subscribe(name, lambda run: positions.append(tuple(run.position())))
    hand_loop(callbacks, epochs=1, minibatches=2)
    assert positions == [(0, 0), (0, 0), (0, 0), (0, 0), (0, 1), (0, 1), (0, 1), (0, 1)]


@pytest.mark.parametrize("error, reason", [
    (ValueError, "failed"), (KeyboardInterrupt, "interrupted"), (SystemExit, "failed"),
])  # fmt: skip
def test_error_in_a_callback_closes_a_run_of_bare_calls(error: type[BaseException], reason: str) -> None:
    callbacks = quiet()

    def fail() -> None:
        raise error("broken")

    callbacks.bus.subscribe("epoch_end", fail)
    with pytest.raises(error, match="broken"):
        six_calls(callbacks)
    assert callbacks.run.exit_reason == reason
    assert callbacks.callback_data["config"].attrs["exit_detail"] == f"{error.__name__}: broken"


def test_closing_twice_does_nothing() -> None:
    callbacks = quiet()
    sentence = Sentence(callbacks)
    six_calls(callbacks)
    callbacks._life.close("failed", ValueError())
    assert callbacks.run.exit_reason == "completed"
    assert sentence.text.count("C") == 1


def test_interrupt_amid_run_closed_leaves_neither_lock_nor_callbacks(tmp_path: Any) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")

    def interrupt() -> None:
        raise KeyboardInterrupt

    callbacks.bus.subscribe("run_closed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        six_calls(callbacks)
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]
    with pytest.raises(RunStateError):
        callbacks.callbacks[0].request_stop("too late")


def test_problem_is_logged_at_once_and_at_the_end_however_often_it_occurs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = quiet()
    with callbacks.training(1) as run:
        run.report("disk full")
        assert caplog.messages == ["disk full"]
        for _ in range(100):
            run.report("disk full")
    assert caplog.messages == ["disk full", "reported during this run: disk full"]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}


def test_run_whose_archive_cannot_be_written_at_the_begin_does_not_start(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")

    def full() -> None:
        raise ArchiveError(28, "no space left")

    monkeypatch.setattr(callbacks.callback_data, "publish", full)
    sentence = Sentence(callbacks)
    with pytest.raises(ArchiveError, match="no space left"):
        hand_loop(callbacks)
    assert sentence.text == "TC"
    assert list(tmp_path.iterdir()) == []


# -- how many minibatches there will be ----------------------------------------------------------------


def announced(*loaders: Any, epochs: int | None = 3, last_epoch: int = 2) -> Any:
    """Return what the archive says of the length of a run whose epochs take these loaders."""
    callbacks = quiet()
    with callbacks.training(epochs) as run:
        for epoch in run.epochs():
            for loader in loaders:
                for _ in run.minibatches(loader() if callable(loader) else loader):
                    run.cost = 1.0
            if epoch == last_epoch:
                break
    return callbacks.callback_data["config"].attrs.get("total_minibatches")


def test_length_of_the_first_epochs_loader_tells_that_of_the_run() -> None:
    assert announced([1, 2]) == 6


def test_loaders_that_an_epoch_takes_one_after_the_other_count_together() -> None:
    assert announced([1, 2], [3]) == 9


def test_loader_that_changes_its_length_later_changes_nothing() -> None:
    lengths = iter([2, 5, 5])
    assert announced(lambda: range(next(lengths))) == 6


def test_length_of_the_run_is_unknown_where_that_of_the_loader_or_of_the_epochs_is() -> None:
    assert announced(lambda: iter([1, 2])) is None
    assert announced([1, 2], epochs=None) is None


def test_length_that_is_known_from_the_second_epoch_on_is_announced_then() -> None:
    loaders = iter([iter([1, 2]), [1, 2], [1, 2]])
    assert announced(lambda: next(loaders)) == 6
