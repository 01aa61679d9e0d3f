from __future__ import annotations

import math
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.given_series import Given, break_off, go_on, run_epochs
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from tests.support.tensorboard_events import shown
from trainsignal import Callback, Callbacks, TensorBoardCallback, TrainCostCallback, keys
from trainsignal.errors import ConfigurationError


def test_points_stand_at_the_number_of_minibatches_done(tmp_path: Path) -> None:
    run_epochs(
        TrainCostCallback(1), Given("cost/loss", [3.0, 2.0]), TensorBoardCallback(tmp_path, minibatch_freq=1),
        epochs=2,
    )  # fmt: skip
    assert shown(tmp_path) == {
        "cost/loss": [(2, 3.0), (4, 2.0)],
        "cost/train": [(1, 1.0), (2, 2.0), (3, 1.0), (4, 2.0)],
    }


def test_frequency_thins_out_the_series_of_minibatches_alone(tmp_path: Path) -> None:
    board = TensorBoardCallback(tmp_path, minibatch_freq=2)
    run_epochs(TrainCostCallback(1), Given("cost/loss", [3.0]), board, epochs=1, costs=(1.0, 2.0, 3.0))
    assert shown(tmp_path) == {"cost/loss": [(3, 3.0)], "cost/train": [(2, 2.0)]}


def test_epochs_without_a_value_have_no_point(tmp_path: Path) -> None:
    run_epochs(
        Given("cost/loss", [math.nan, 1.0, 2.0]), Given("metrics/x", [5.0], 2), TensorBoardCallback(tmp_path),
        epochs=3,
    )  # fmt: skip
    assert shown(tmp_path) == {"cost/loss": [(4, 1.0), (6, 2.0)], "metrics/x": [(4, 5.0)]}


def test_minibatch_without_a_cost_has_no_point(tmp_path: Path) -> None:
    callbacks = quiet()
    callbacks.callbacks = [TrainCostCallback(1), TensorBoardCallback(tmp_path, minibatch_freq=1)]
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for index in run.minibatches(range(3)):
                if index != 1:
                    run.cost = index
    assert shown(tmp_path) == {"cost/train": [(1, 0.0), (3, 2.0)]}


def test_series_that_turns_up_later_is_written_from_then_on(tmp_path: Path) -> None:
    run_epochs(Given("metrics/late", [9, 8, 7], from_epoch=1), TensorBoardCallback(tmp_path), epochs=3)
    assert shown(tmp_path) == {"metrics/late": [(4, 8.0), (6, 7.0)]}


def test_callback_runs_after_those_that_are_added_after_it(tmp_path: Path) -> None:
    run_epochs(TensorBoardCallback(tmp_path), Given("cost/loss", [3.0]), epochs=1)
    assert shown(tmp_path) == {"cost/loss": [(2, 3.0)]}


def test_new_run_moves_the_events_of_the_one_before_aside(tmp_path: Path) -> None:
    board = TensorBoardCallback(tmp_path / "board")
    for loss in (1.0, 2.0):
        run_epochs(Given("cost/loss", [loss]), board, epochs=1)
    assert shown(tmp_path / "board" / "earlier_1") == {"cost/loss": [(2, 1.0)]}
    assert list((tmp_path / "board").glob("events*")) != []


def test_folder_is_made_at_train_begin(tmp_path: Path) -> None:
    board = TensorBoardCallback(tmp_path / "a" / "board")
    assert list(tmp_path.iterdir()) == []
    run_epochs(board, epochs=1)
    assert (tmp_path / "a" / "board").is_dir()


def test_two_boards_on_one_folder_are_refused(tmp_path: Path) -> None:
    class Other(TensorBoardCallback):
        pass

    with pytest.raises(ConfigurationError, match="would both write"):
        run_epochs(TensorBoardCallback(tmp_path), Other(tmp_path), epochs=1)


def boarded(folder: Path) -> list[Callback]:
    return [
        TrainCostCallback(1),
        Given("cost/loss", [4.0, 3.0, 2.0, 1.0]),
        TensorBoardCallback(folder, minibatch_freq=1),
    ]


WHOLE = {
    "cost/loss": [(2, 4.0), (4, 3.0), (6, 2.0), (8, 1.0)],
    "cost/train": [(1, 1.0), (2, 2.0), (3, 1.0), (4, 2.0), (5, 1.0), (6, 2.0), (7, 1.0), (8, 2.0)],
}


def test_resumed_run_leaves_no_gap_and_shows_no_point_twice(tmp_path: Path) -> None:
    first = boarded(tmp_path)
    state = break_off(*first, saved=first[-1], after_epoch=1, until_epoch=2, epochs=4)
    assert shown(tmp_path)["cost/loss"][-1] == (6, 2.0)

    second = boarded(tmp_path)
    go_on(*second, restored=second[-1], state=state, from_epoch=2, epochs=4)

    assert shown(tmp_path) == WHOLE


def test_points_that_the_step_of_the_checkpoint_got_afterwards_are_not_shown_twice(tmp_path: Path) -> None:
    class Saving(Callback):
        """Saves after the last minibatch of epoch 1, before the loss is evaluated."""

        optional_reads = (keys.RUN_STATE,)

        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            if (epoch, minibatch) == (1, 1):
                state.update(first[-1].state_dict())

    state: dict[str, Any] = {}
    first = boarded(tmp_path)
    run_epochs(*first, Saving(), epochs=3)
    assert (state["step"], state["points"]) == (4, {"cost/train": 2.0})

    second = boarded(tmp_path)
    callbacks = quiet()
    callbacks.callbacks = list(second)
    callbacks.run.resumed_from = Path("model.h5").absolute()
    callbacks.on_train_begin(4)
    callbacks.run.minibatches_complete = 2
    second[-1].load_state_dict(state)
    callbacks.on_epoch_begin(1)
    callbacks.run.minibatch_end.latest = 1  # the minibatches of epoch 1 are done
    callbacks.on_epoch_end(1)
    callbacks.on_train_end()

    assert shown(tmp_path) == {"cost/loss": WHOLE["cost/loss"][:2], "cost/train": WHOLE["cost/train"][:4]}


class LazyWriter:
    """Has points in the folder only once it is told to wait for them."""

    def __init__(self, *arguments: object) -> None:
        self.waiting: list[int] = []
        self.written: list[int] = []

    def write(self, step: int, points: object) -> None:
        self.waiting.append(step)

    def flush(self) -> None:
        self.written += self.waiting
        self.waiting.clear()

    settle = close = flush


def test_all_points_are_in_the_folder_when_the_state_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers: list[LazyWriter] = []

    def make(*arguments: object) -> LazyWriter:
        writers.append(LazyWriter())
        return writers[-1]

    monkeypatch.setattr("trainsignal.callbacks.tensorboard.ScalarWriter", make)
    board = TensorBoardCallback(tmp_path, minibatch_freq=1)
    callbacks = quiet()
    callbacks.callbacks = [TrainCostCallback(1), board]
    saved: list[tuple[int, list[int]]] = []
    callbacks.bus.subscribe(
        "minibatch_end", lambda: saved.append((board.state_dict()["step"], list(writers[0].written)))
    )
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for cost in run.minibatches((1.0, 2.0)):
                run.cost = cost
    assert saved == [(1, [1]), (2, [1, 2])]
    assert board.state_dict()["step"] == 2  # after the run, too


def broken_at_epoch_1(folder: Path, on_error: Any) -> Callbacks:
    """Run three epochs; the folder goes after the first."""
    callbacks = quiet(on_error=on_error)
    callbacks.callbacks = [Given("cost/loss", [3.0, 2.0, 1.0]), TensorBoardCallback(folder)]

    def remove(epoch: int) -> None:
        if epoch == 0:
            shutil.rmtree(folder)

    callbacks.bus.subscribe("epoch_end", remove)
    with callbacks.training(3) as run:
        list(run.epochs())
    return callbacks


# TensorBoard's thread raises what went wrong there too, after it has noted it for us.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_of_the_writers_thread_is_raised_at_the_next_hook(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        broken_at_epoch_1(tmp_path / "board", "raise")
    assert any("TensorBoardCallback" in note and "epoch 1" in note for note in caught.value.__notes__)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_of_the_writers_thread_ends_the_callback_alone_where_the_user_chose_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = broken_at_epoch_1(tmp_path / "board", "disable")
    assert callbacks.run.exit_reason == "completed"
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_state_of_a_callback_that_failed_is_what_was_known(tmp_path: Path) -> None:
    board = broken_at_epoch_1(tmp_path / "board", "disable").callbacks[1]
    assert board.state_dict() == {"step": 0, "points": {"cost/loss": 2.0}}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("policy", ["log", "disable"])
def test_checkpoints_are_saved_although_the_folder_is_gone(policy: Any, tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = quiet(model, save_path=tmp_path / "m.h5", checkpoint_every=1)
    callbacks.add_callback(TensorBoardCallback(tmp_path / "board", minibatch_freq=1), on_error=policy)
    callbacks.bus.subscribe("epoch_end", lambda: shutil.rmtree(tmp_path / "board"), at=0)
    fit(model, callbacks, 3)
    assert callbacks.run.exit_reason == "completed"
    assert (callbacks.run.checkpoints[-1].epoch, "failed" in callbacks.summary()) == (2, True)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_error_that_only_saving_the_state_met_is_raised_when_the_run_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "board"
    board = TensorBoardCallback(folder)
    callbacks = quiet()
    callbacks.callbacks = [Given("cost/loss", [3.0]), board]

    def save() -> None:
        shutil.rmtree(folder)
        board._write(9, {"cost/loss": 1.0})
        board.state_dict()

    callbacks.bus.subscribe("train_end", save)
    with pytest.raises(FileNotFoundError) as caught, callbacks.training(1) as run:
        list(run.epochs())
    assert any("run_closed" in note for note in caught.value.__notes__)


def test_file_in_place_of_the_folder_is_refused_before_the_first_epoch(tmp_path: Path) -> None:
    (tmp_path / "board").write_text("mine")
    with pytest.raises(
        ConfigurationError, match=r"cannot write to log_dir=.*board'.* Name a folder, not a file"
    ):
        run_epochs(TensorBoardCallback(tmp_path / "board"), epochs=1)
    assert (tmp_path / "board").read_text() == "mine"


def test_what_is_no_path_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="None is no path"):
        TensorBoardCallback(None)  # type: ignore[arg-type]  # a mistake of the user


def test_missing_package_is_told_of_when_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)
    with pytest.raises(ConfigurationError, match=r"trainsignal\[tensorboard\]"):
        TensorBoardCallback(tmp_path)


def test_reference_networks_board_shows_what_its_archive_holds(tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = quiet(model, eval_set=tiny_set(), eval_freq=1)
    callbacks.add_callback(TensorBoardCallback(tmp_path, minibatch_freq=1))
    fit(model, callbacks, 3)
    data, points = callbacks.callback_data, shown(tmp_path)
    assert [value for _, value in points["cost/loss"]] == data["cost/loss"][:].tolist()
    assert [value for _, value in points["cost/train"]] == data["cost/train"][:].tolist()
