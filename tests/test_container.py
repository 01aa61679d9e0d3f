from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
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
    tiny_set,
)
from trainsignal import (
    Callback,
    Callbacks,
    DeconvCallback,
    HistCallback,
    LossCallback,
    PreemptedExit,
    TrainCostCallback,
    WatchTickerCallback,
)
from trainsignal.checkpoint import save_state
from trainsignal.errors import (
    ArchiveLockedError,
    CheckpointError,
    ConfigurationError,
    DataError,
    MissingAbilityError,
    RunStateError,
    UntrustedPickleError,
    WiringError,
)
from trainsignal.models.numpy_net import Accuracy
from trainsignal.run_link import run_of


class Noting(Callback):
    """Notes when it is called at which hook; may do something then."""

    def __init__(self, notes: list[str], name: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.notes = notes
        self.name = name

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.notes.append(f"{self.name}E{epoch}")

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.notes.append(f"{self.name}b{minibatch}")


class Failing(Callback):
    """Raises at each epoch's end."""

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        raise ZeroDivisionError


# -- adding callbacks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("insert_pos, position", [(None, 3), (0, 0), (1, 1), (-1, 2), (99, 3)])
def test_callback_is_inserted_at_its_position(insert_pos: int | None, position: int) -> None:
    callbacks = quiet()
    added = Callback()
    assert len(callbacks.callbacks) == 3
    callbacks.add_callback(added, insert_pos)
    assert callbacks.callbacks.index(added) == position


@pytest.mark.parametrize("thing, message", [(Callback, "is a class; add an instance"), (3, "is no Callback")])
def test_what_is_no_callback_is_refused(thing: Any, message: str) -> None:
    callbacks = quiet()
    with pytest.raises(WiringError, match=message):
        callbacks.add_callback(thing)
    assert len(callbacks.callbacks) == 3


def test_name_stands_in_notes_wiring_and_summary() -> None:
    callbacks = quiet()
    callbacks.add_callback(Failing(), name="my check")
    assert "my check" in str(callbacks)
    with pytest.raises(ZeroDivisionError) as caught:
        hand_loop(callbacks)
    assert caught.value.__notes__ == ["while my check handled epoch_end, epoch 0"]
    assert "my check" in callbacks.summary()


def test_two_callbacks_of_one_class_have_numbered_names() -> None:
    callbacks = quiet()
    callbacks.add_callback(Noting([]))
    callbacks.add_callback(Noting([]))
    assert "Noting (2)" in str(callbacks)


@pytest.mark.parametrize("policy, failures", [("log", 2), ("disable", 1)])
@pytest.mark.parametrize("place", ["callback", "container"])
def test_error_policy_is_that_of_the_callback_or_of_the_container(
    policy: Any, failures: int, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = quiet(on_error=policy if place == "container" else "raise")
    callbacks.add_callback(Failing(), on_error=policy if place == "callback" else None)
    hand_loop(callbacks, epochs=2)
    assert len([one for one in caplog.messages if one.startswith("Failing failed at epoch_end")]) == failures
    assert callbacks.run.exit_reason == "completed"


@pytest.mark.parametrize("place", ["callback", "container"])
def test_policy_that_is_none_is_refused_at_once(place: str) -> None:
    policy: Any = "ignore"
    with pytest.raises(ConfigurationError, match="on_error='ignore': expected one of raise, log, disable"):
        if place == "container":
            quiet(on_error=policy)
        else:
            quiet().add_callback(Callback(), on_error=policy)


def test_name_and_policy_of_a_callback_that_is_gone_pass_to_no_other() -> None:
    callbacks = quiet()
    gone = Failing()
    callbacks.add_callback(gone, name="gone", on_error="log")
    callbacks.callbacks = [TrainCostCallback()]
    del gone
    for _ in range(50):  # one of them would get the id that `gone` had
        callbacks.callbacks.append(Failing())
    assert "gone" not in str(callbacks)
    with pytest.raises(ZeroDivisionError):
        hand_loop(callbacks)


def test_neons_methods_add_their_callbacks(tmp_path: Path) -> None:
    callbacks = quiet()
    callbacks.add_save_best_state_callback(tmp_path / "best.h5")
    callbacks.add_early_stop_callback(lambda state, loss: (state, False))
    names = [type(one).__name__ for one in callbacks.callbacks[-2:]]
    assert names == ["SaveBestStateCallback", "EarlyStopCallback"]


# -- the list before and during the run ----------------------------------------------------------------


def test_list_may_be_edited_in_place_and_replaced_before_the_run() -> None:
    notes: list[str] = []
    callbacks = quiet()
    callbacks.callbacks = [Noting(notes, "a")]
    callbacks.callbacks.append(Noting(notes, "c"))
    callbacks.callbacks.insert(1, Noting(notes, "b"))
    hand_loop(callbacks, epochs=1, minibatches=0)
    assert notes == ["aE0", "bE0", "cE0"]


def test_list_that_is_replaced_during_the_run_holds_from_the_next_signal_on() -> None:
    notes: list[str] = []
    callbacks = quiet()
    first, second, third = (Noting(notes, name) for name in "123")
    callbacks.callbacks = [first, second]
    callbacks.bus.subscribe(
        "minibatch_end", lambda: setattr(callbacks, "callbacks", [third, second]), at=1, first=True
    )
    hand_loop(callbacks, epochs=1, minibatches=3)
    assert notes == ["1E0", "2E0", "1b0", "2b0", "2b1", "3b2", "2b2"]


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_minibatch_end"])
def test_callback_that_adds_another_amid_a_signal_cuts_off_nobody(hook: str) -> None:
    notes: list[str] = []
    callbacks = quiet()

    class Adding(Callback):
        has_added = False

        def add(self, *arguments: Any) -> None:
            if not self.has_added:
                self.has_added = True
                callbacks.add_callback(Noting(notes, "new "))

    adding = Adding()
    setattr(adding, hook, adding.add)
    callbacks.callbacks = [adding, Noting(notes, "old ")]
    hand_loop(callbacks, epochs=2, minibatches=1)
    assert [one for one in notes if one.startswith("old")] == ["old E0", "old b0", "old E1", "old b0"]
    assert "new E1" in notes


def test_callback_that_was_taken_out_takes_part_in_no_run_any_more() -> None:
    callbacks = quiet()
    taken = Noting([])
    callbacks.add_callback(taken)
    with callbacks.training(1):
        assert run_of(taken) is callbacks.run
        callbacks.callbacks = [one for one in callbacks.callbacks if one is not taken]
        with pytest.raises(RunStateError, match="takes part in no run"):
            run_of(taken)


@pytest.mark.parametrize("way", ["add", "replace"])
def test_change_during_the_run_that_cannot_work_is_refused_and_changes_nothing(way: str) -> None:
    class Reader(Callback):
        reads = ("cost/loss",)

    callbacks = quiet()
    with callbacks.training(2) as run:
        for _ in run.epochs():
            before = list(callbacks.callbacks)
            with pytest.raises(WiringError, match="which no callback writes"):
                if way == "add":
                    callbacks.add_callback(Reader())
                else:
                    callbacks.callbacks = [*before, Reader()]
            assert callbacks.callbacks == before
            for _ in run.minibatches("ab"):
                run.cost = 1.0
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], np.ones(4))


def test_time_of_a_callback_is_counted_on_over_a_change_of_the_list() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_begin", lambda: callbacks.add_callback(Callback()))
    hand_loop(callbacks)
    assert callbacks.summary().count("TrainCostCallback") == 1


# -- subclasses and replaced methods -------------------------------------------------------------------


def test_subclass_may_override_neons_methods() -> None:
    calls: list[str] = []

    class Mine(Callbacks):
        def on_train_begin(self, epochs: int | None) -> None:
            calls.append("begin")
            super().on_train_begin(epochs)

        def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
            super().on_minibatch_end(epoch, minibatch)
            calls.append(f"b{minibatch}")

        def on_train_end(self) -> None:
            super().on_train_end()
            calls.append("end")

    hand_loop(Mine(Bare(), progress_bar=False), epochs=1, minibatches=2)
    assert calls == ["begin", "b0", "b1", "end"]


@pytest.mark.parametrize("name", [
    "on_train_begin", "on_epoch_begin", "on_minibatch_begin", "on_minibatch_end", "on_epoch_end",
    "on_train_end",
])  # fmt: skip
def test_method_that_is_replaced_on_the_instance_is_used_by_training(name: str) -> None:
    callbacks = quiet()
    original = getattr(callbacks, name)
    calls: list[tuple[Any, ...]] = []

    def replaced(*arguments: Any) -> None:
        calls.append(arguments)
        original(*arguments)

    setattr(callbacks, name, replaced)
    sentence = Sentence(callbacks)
    hand_loop(callbacks, epochs=1, minibatches=1)
    assert len(calls) == 1
    assert sentence.text == "TEBbetC"


# -- before the first epoch ----------------------------------------------------------------------------


class Reads(Callback):
    reads = ("x",)
    writes = ("y",)


class Writes(Callback):
    reads = ("y",)
    writes = ("x",)


def missing_writer(callbacks: Callbacks) -> None:
    callbacks.add_callback(Reads())


def circle(callbacks: Callbacks) -> None:
    callbacks.add_callback(Reads())
    callbacks.add_callback(Writes())


def missing_ability(callbacks: Callbacks) -> None:
    callbacks.add_callback(LossCallback(tiny_set()))


def missing_checkpoint(callbacks: Callbacks) -> None:
    callbacks.model_file = "there is none.h5"


@pytest.mark.parametrize("spoil, error", [
    (missing_writer, WiringError), (circle, WiringError), (missing_ability, MissingAbilityError),
    (missing_checkpoint, MissingAbilityError),
])  # fmt: skip
def test_failing_check_leaves_the_container_usable(spoil: Any, error: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    callbacks = quiet(output_file=path)
    sentence = Sentence(callbacks)
    defaults = list(callbacks.callbacks)
    spoil(callbacks)
    with pytest.raises(error):
        hand_loop(callbacks)
    assert (sentence.text, list(tmp_path.iterdir())) == ("", [])
    callbacks.callbacks, callbacks.model_file = defaults, None
    hand_loop(callbacks, epochs=1, minibatches=1)
    assert sentence.text == "TEBbetC"
    assert [file.name for file in tmp_path.iterdir()] == ["run.h5"]


def test_container_makes_no_file_before_the_run(tmp_path: Path) -> None:
    quiet(tiny_model(), output_file=tmp_path / "run.h5", save_path=tmp_path / "model.h5")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options, message", [
    ({"eval_freq": 1}, "eval_freq=1 without eval_set"),
    ({"eval_freq": 0, "eval_set": tiny_set()}, "expected an int of at least 1"),
    ({"eval_freq": 1, "eval_set": tiny_set(), "metric": Accuracy}, r"that is a class; pass Accuracy\(\)"),
    ({"resume": True}, "resume=True without save_path"),
    ({"checkpoint_every": 5}, "checkpoint_every=5 without save_path"),
    ({"checkpoint_every": 0, "save_path": "model.h5"}, "expected a number of minibatches, at least 1"),
    ({"checkpoint_every": "soon", "save_path": "model.h5"}, "is no interval of time"),
    ({"save_path": "model.txt"}, "model.txt"),
])  # fmt: skip
def test_arguments_that_cannot_work_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quiet(**options)


def test_evaluation_set_that_does_not_tell_its_size_is_refused_at_once() -> None:
    with pytest.raises(DataError, match="does not tell its size"):
        quiet(eval_set=[], eval_freq=1)


def test_empty_evaluation_set_is_refused_before_the_first_epoch() -> None:
    class Empty:
        ndata = 0

        def __iter__(self) -> Any:
            return iter(())

    callbacks = quiet(tiny_model(), eval_set=Empty(), eval_freq=1)
    with pytest.raises(DataError, match="eval_set: Empty is empty"):
        callbacks.on_train_begin(1)


# -- checkpoint to begin with --------------------------------------------------------------------------


def test_model_file_is_loaded_before_the_callbacks_begin(tmp_path: Path) -> None:
    trained = tiny_model()
    fit(trained, quiet(trained), 3)
    save_state(trained.serialize(), tmp_path / "model.h5")
    model = tiny_model()
    epochs: list[int] = []
    callbacks = quiet(model, model_file=tmp_path / "model.h5")
    callbacks.bus.subscribe("train_begin", lambda model: epochs.append(model.epoch_index))
    fit(model, callbacks, 3)
    assert epochs == [3]
    np.testing.assert_array_equal(model.layers.layers[0].W, trained.layers.layers[0].W)  # type: ignore[attr-defined]


@pytest.mark.parametrize("content, error", [
    ("missing", CheckpointError), ("truncated", CheckpointError), ("foreign", CheckpointError),
    ("no checkpoint", CheckpointError), ("pickle", UntrustedPickleError),
])  # fmt: skip
def test_model_file_that_cannot_be_loaded_stops_the_run_before_it_begins(
    content: str, error: type[Exception], tmp_path: Path
) -> None:
    path = tmp_path / ("model.prm" if content == "pickle" else "model.h5")
    state = tiny_model().serialize()
    if content == "truncated":
        save_state(state, path)
        path.write_bytes(path.read_bytes()[:1000])
    elif content == "foreign":
        save_state({"weights": np.zeros(3)}, path)
    elif content == "no checkpoint":
        path.write_text("hello")
    elif content == "pickle":
        path.write_bytes(pickle.dumps(state))
    model = tiny_model()
    callbacks = quiet(model, model_file=path, output_file=tmp_path / "run.h5")
    with pytest.raises(error) as caught:
        fit(model, callbacks)
    assert path.name in "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
    assert not callbacks.run.has_begun
    assert not (tmp_path / "run.h5").exists()


def test_pickle_is_loaded_where_it_is_trusted(tmp_path: Path) -> None:
    trained = tiny_model()
    fit(trained, quiet(trained), 1)
    (tmp_path / "model.prm").write_bytes(pickle.dumps(trained.serialize()))
    model = tiny_model()
    fit(model, quiet(model, model_file=tmp_path / "model.prm", trust_pickle=True), 1)
    assert model.epoch_index == 1


# -- the archive ---------------------------------------------------------------------------------------


def test_archive_that_exists_is_kept_under_a_numbered_name(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    for epochs in (1, 2, 3):
        hand_loop(quiet(output_file=path), epochs=epochs)
    found = {}
    for file in tmp_path.iterdir():
        with h5py.File(str(file)) as archive:
            found[file.name] = int(archive["config"].attrs["total_epochs"])
    assert found == {"run.1.h5": 1, "run.2.h5": 2, "run.h5": 3}


def test_second_run_on_one_path_in_this_process_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    second = quiet(output_file=path)
    with (
        quiet(output_file=path).training(1),
        pytest.raises(ArchiveLockedError, match="another run in this process"),
    ):
        second.on_train_begin(1)
    six_calls(second)
    assert second.run.exit_reason == "completed"


LOCKED_OUT = """
import sys
from trainsignal import Callbacks
from trainsignal.errors import ArchiveLockedError
try:
    Callbacks(object(), output_file=sys.argv[1], progress_bar=False).on_train_begin(1)
except ArchiveLockedError as error:
    sys.exit(f"refused: {error}")
"""


def test_second_run_on_one_path_in_another_process_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with quiet(output_file=path).training(1):
        other = subprocess.run(
            [sys.executable, "-c", LOCKED_OUT, str(path)], capture_output=True, text=True, check=False
        )
    assert other.returncode == 1
    assert f"refused: the archive {str(path)!r} is being written by process {os.getpid()}" in other.stderr


def test_missing_folder_of_the_archive_is_refused_before_the_run(tmp_path: Path) -> None:
    callbacks = quiet(output_file=tmp_path / "missing" / "run.h5")
    with pytest.raises(ConfigurationError, match="does not exist"):
        hand_loop(callbacks)
    (tmp_path / "missing").mkdir()
    hand_loop(callbacks)
    assert (tmp_path / "missing" / "run.h5").exists()


def test_data_stays_readable_after_the_run() -> None:
    callbacks = quiet()
    hand_loop(callbacks, epochs=1, minibatches=2, cost=3.0)
    assert isinstance(callbacks.callback_data, h5py.File)
    np.testing.assert_array_equal(callbacks.callback_data["cost/train"][:], [3, 3])


def run_in_child(body: Any) -> int:
    """Run `body` in a forked child, which then goes without cleaning up; return its exit status."""
    child = os.fork()
    if child == 0:  # pragma: no cover - coverage does not follow a child that goes by os._exit
        try:
            body()
        except BaseException:  # noqa: BLE001  # whatever it is, the parent's tests must not go on here
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("way", ["exit", "leave", "raise"])
def test_forked_child_that_leaves_the_block_writes_nothing(way: str, tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = quiet(model, output_file=tmp_path / "run.h5", save_path=tmp_path / "model.h5")
    calls: list[str] = []
    callbacks.bus.subscribe("epoch_end", lambda: calls.append("e"))
    callbacks.on_train_begin(2)
    callbacks.on_epoch_begin(0)
    before = {file.name: file.stat() for file in tmp_path.iterdir()}

    def child() -> None:
        error = {"exit": SystemExit(0), "raise": ValueError(), "leave": None}[way]
        with contextlib.suppress(SystemExit, ValueError), callbacks:
            if error is not None:
                raise error
        assert calls == []
        assert callbacks.run.exit_reason is None

    assert run_in_child(child) == 0
    assert {file.name: file.stat() for file in tmp_path.iterdir()} == before
    callbacks.on_epoch_end(0)
    callbacks.on_train_end()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.h5", "run.h5"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_epoch_that_a_forked_child_ends_is_refused() -> None:
    callbacks = quiet()
    callbacks.on_train_begin(1)

    def child() -> None:
        with pytest.raises(RunStateError, match="in a forked child of the run"):
            callbacks.on_epoch_begin(0)

    assert run_in_child(child) == 0


# -- costs and sizes -----------------------------------------------------------------------------------


def test_cost_of_nan_is_recorded() -> None:
    callbacks = quiet(Costly(float("nan")))
    with callbacks.training(1) as run:
        for _ in run.epochs():
            for _ in run.minibatches(range(2)):
                run.cost = float("nan")
            for _ in run.minibatches(range(12)):
                run.cost = 1.0
    cost = callbacks.callback_data["cost/train"][:]
    assert np.isnan(cost[:11]).all()  # until both have left the window of 10
    np.testing.assert_array_equal(cost[11:], [1, 1, 1])


def test_hundred_million_epochs_with_an_early_stop_allocate_little() -> None:
    model = tiny_model()
    callbacks = quiet(model, eval_set=tiny_set(), eval_freq=1)
    callbacks.add_early_stop_callback(lambda state, loss: (state, True))
    tracemalloc.start()
    try:
        fit(model, callbacks, 100_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert callbacks.run.epochs_complete == 1
    assert callbacks.callback_data["config"].attrs["total_epochs"] == 100_000_000
    assert callbacks.callback_data["cost/loss"].shape == (1,)
    assert peak < 2**22


def test_size_that_the_model_announces_is_in_the_archive_and_0_means_unknown() -> None:
    class Sized(Bare):
        ndata = 64

        def __init__(self, nbatches: int) -> None:
            self.nbatches = nbatches

    known, unknown = quiet(Sized(2)), quiet(Sized(0))
    for callbacks in (known, unknown):
        six_calls(callbacks, epochs=3, minibatches=2)
    assert known.callback_data["config"].attrs["total_minibatches"] == 6
    assert "total_minibatches" not in unknown.callback_data["config"].attrs


def test_counters_are_neons() -> None:
    callbacks = quiet()
    counters = []
    for name in ("minibatch_end", "epoch_end", "epoch_begin"):
        callbacks.bus.subscribe(
            name, lambda: counters.append((callbacks.epoch_marker, callbacks.epoch_minibatches))
        )
    six_calls(callbacks, epochs=2, minibatches=2)
    assert counters == [(0, 0), (0, 0), (0, 1), (0, 2), (2, 0), (2, 0), (2, 1), (2, 2)]
    assert callbacks.epoch_marker == 4


# -- stopping ------------------------------------------------------------------------------------------


def test_stop_from_another_place_ends_the_run_at_the_next_minibatch() -> None:
    callbacks = quiet(Finishable())
    sentence = Sentence(callbacks)
    old = signal.signal(signal.SIGUSR1, lambda number, frame: callbacks.stop("signalled"))
    try:
        with callbacks.training(5) as run:
            for _ in run.epochs():
                for minibatch in run.minibatches(range(5)):
                    run.cost = 1.0
                    if minibatch == 1:
                        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert sentence.text == "TEBbBbetC"
    assert "run          stopped by user: signalled" in callbacks.summary()


def test_loop_of_bare_calls_may_ask_whether_to_stop() -> None:
    callbacks = quiet()
    callbacks.on_train_begin(1)
    assert not callbacks.should_stop()
    callbacks.stop("enough")
    assert callbacks.should_stop()


def test_with_block_may_be_entered_around_a_fit_that_enters_it_too() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    sentence = Sentence(callbacks)
    with callbacks:
        fit(model, callbacks, 1)
    assert sentence.text == "TEBbBbetC"


def test_with_block_without_a_run_does_nothing() -> None:
    with quiet() as callbacks:
        pass
    assert not callbacks.run.has_begun


def test_error_that_the_block_catches_does_not_close_the_run() -> None:
    callbacks = quiet()
    callbacks.add_callback(Failing())
    with callbacks.training(2) as run:
        for _ in range(2):
            epochs = run.epochs()
            with pytest.raises(ZeroDivisionError):
                list(epochs)
    assert callbacks.run.exit_reason == "stopped"
    assert callbacks.run.votes[0].author == "loop"


def test_error_in_the_first_hook_closes_the_run_as_failed_without_noise(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    class FailsAtBegin(Callback):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            raise KeyboardInterrupt

    model = tiny_model()
    callbacks = Callbacks(model, save_path=tmp_path / "model.h5")
    callbacks.add_callback(FailsAtBegin(), 0)
    with pytest.raises(KeyboardInterrupt):
        fit(model, callbacks)
    assert callbacks.run.exit_reason == "interrupted"
    assert caplog.records == []
    assert list(tmp_path.iterdir()) == []


# -- the hot path: who raised, and who goes on ---------------------------------------------------------


def test_error_after_a_change_amid_a_minibatch_is_that_of_who_raised_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = quiet()
    reached: list[int] = []

    class Changing(Callback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            if minibatch == 150:
                callbacks.bus.subscribe("epoch_end", lambda: None)

    class Breaking(Callback):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            if minibatch == 150:
                reached.append(minibatch)
                raise ZeroDivisionError

    callbacks.add_callback(Changing(), on_error="log")
    callbacks.add_callback(Breaking())
    with pytest.raises(ZeroDivisionError) as caught:
        hand_loop(callbacks, 1, 200)
    assert reached == [150]
    assert caught.value.__notes__ == ["while Breaking handled minibatch_end, epoch 0, minibatch 150"]
    assert caplog.records == []


@pytest.mark.parametrize("name", ["minibatch_begin", "minibatch_end"])
def test_every_minibatch_reaches_every_receiver_whoever_changes_the_wiring(name: str) -> None:
    callbacks = quiet()
    callbacks.callbacks = []
    heard: list[tuple[str, int]] = []

    def change(minibatch: int) -> None:
        heard.append(("first", minibatch))
        if minibatch == 150:
            callbacks.bus.subscribe("epoch_end", lambda: None)

    callbacks.bus.subscribe(name, change)
    callbacks.bus.subscribe(name, lambda minibatch: heard.append(("second", minibatch)))
    six_calls(callbacks, 1, 200)
    assert heard == [(who, minibatch) for minibatch in range(200) for who in ("first", "second")]


@pytest.mark.parametrize("name", ["minibatch_begin", "minibatch_end"])
def test_error_at_a_plain_minibatch_closes_the_run_with_a_note(name: str) -> None:
    callbacks = quiet()

    class FailsLate(Callback):
        def fail(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            if minibatch == 150:
                raise ZeroDivisionError

    failing = FailsLate()
    setattr(failing, f"on_{name}", failing.fail)
    callbacks.add_callback(failing)
    with pytest.raises(ZeroDivisionError) as caught:
        six_calls(callbacks, 1, 200)
    assert caught.value.__notes__ == [f"while FailsLate handled {name}, epoch 0, minibatch 150"]
    assert callbacks.run.exit_reason == "failed"


# -- words ---------------------------------------------------------------------------------------------


def test_printing_shows_signals_receivers_and_series() -> None:
    callbacks = quiet(tiny_model(), eval_set=tiny_set(), eval_freq=2)
    callbacks.bus.subscribe("epoch_end", lambda epoch: None, at=[3])
    text = str(callbacks)
    assert "signals of Model, receivers in running order:" in text
    assert "LossCallback" in text
    assert "every 2" in text
    assert "at [3]" in text
    assert "cost/loss                written by LossCallback, read by TrainLoggerCallback (if there)" in text


def test_description_names_each_callback_and_may_be_asked_by_either_name(tmp_path: Path) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")
    described = callbacks.get_description()
    assert described == callbacks.serialize()
    assert described["epoch_marker"] == 0
    assert described["output_file"] == str(tmp_path / "run.h5")
    assert [one["type"].rpartition(".")[2] for one in described["callbacks"]] == [
        "TrainCostCallback", "TrainLoggerCallback", "RunTimerCallback",
    ]  # fmt: skip
    assert quiet().get_description()["output_file"] is None


def test_model_is_the_very_object_and_kept_alive() -> None:
    model = Bare()
    callbacks = quiet(model)
    assert callbacks.model() is model


def test_leftovers_of_neon_are_told_of(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.warns(DeprecationWarning, match="train_set has no effect"):
        quiet(train_set=tiny_set())
    with caplog.at_level(logging.WARNING):
        quiet(log_token="token")
    assert "log_token has no effect" in caplog.text


def test_archive_and_checkpoint_on_one_path_are_refused_and_leave_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    path.write_text("precious")
    model = tiny_model()
    callbacks = Callbacks(model, output_file=path, save_path=str(path), progress_bar=False)

    with pytest.raises(
        ConfigurationError, match=r"the archive and SerializeModelCallback\(save_path\) would both"
    ):
        fit(model, callbacks)

    assert path.read_text() == "precious"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.h5"]


def test_two_checkpoints_on_one_path_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = Callbacks(
        model, save_path=tmp_path / "m.h5", eval_set=tiny_set(), eval_freq=1, progress_bar=False
    )
    callbacks.add_save_best_state_callback(tmp_path / "m.h5")

    with pytest.raises(ConfigurationError, match="give one of them another path"):
        fit(model, callbacks)


def test_archive_is_never_behind_a_checkpoint(tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = Callbacks(
        model, output_file=tmp_path / "run.h5", save_path=tmp_path / "m.h5", progress_bar=False
    )
    found: list[tuple[int, list[int]]] = []

    def look() -> None:
        with h5py.File(str(tmp_path / "run.h5")) as archive:
            markers = archive["time_markers"]
            found.append((int(markers.attrs["epochs_complete"]), markers["minibatch"][:].tolist()))

    callbacks.bus.subscribe("checkpoint_saved", look)
    fit(model, callbacks, 3)

    assert found == [(1, [2, 0, 0]), (2, [2, 4, 0]), (3, [2, 4, 6])]


def test_callback_that_is_added_during_a_run_begins_then() -> None:
    model = tiny_model()
    callbacks = quiet(model)
    late = LossCallback(tiny_set())
    callbacks.bus.subscribe("epoch_begin", lambda: callbacks.add_callback(late), at=1)

    fit(model, callbacks, 3)

    assert np.isnan(callbacks.callback_data["cost/loss"][:]).tolist() == [True, False, False]


def test_failure_between_the_claim_and_the_begin_gives_the_archive_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")
    callbacks.add_callback(Callback())

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as amid:
        amid.setattr("trainsignal.container.bind", fail)
        with pytest.raises(KeyboardInterrupt):
            callbacks.on_train_begin(1)
    hand_loop(callbacks)

    assert callbacks.run.exit_reason == "completed"


def test_data_that_is_closed_during_a_run_ends_it_without_more_noise(tmp_path: Path) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")
    with callbacks.training(1) as run:
        for _ in run.epochs():
            callbacks.callback_data.close()
            break
        callbacks._life.close("failed", ValueError("closed"))

    assert not callbacks.callback_data
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        assert archive["config"].attrs["total_epochs"] == 1


def test_wiring_that_is_wrong_is_still_shown() -> None:
    class Other(Callback):
        reads, writes = ("y",), ("x",)

    class Another(Callback):
        reads, writes = ("x",), ("y",)

    callbacks = quiet()
    callbacks.callbacks = [Other(), Another()]

    assert "wrong: " in str(callbacks)
    assert "Other" in str(callbacks)


def test_hook_that_a_callback_replaces_in_on_train_begin_is_the_one_that_is_called() -> None:
    class Late(Callback):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[str] = []

        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            self.on_epoch_end = self._real  # type: ignore[method-assign]  # as people do
            self.on_minibatch_end = self._each  # type: ignore[method-assign]  # as people do

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            self.calls.append("old")

        def _real(self, callback_data: Any, model: Any, epoch: int) -> None:
            self.calls.append("new")

        def _each(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            self.calls.append("each")

    callbacks, late = quiet(), Late()
    callbacks.add_callback(late)

    hand_loop(callbacks, epochs=1, minibatches=2)

    assert late.calls == ["each", "each", "new"]


def test_callback_that_will_not_fire_in_so_few_epochs_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    model = tiny_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=10))
    callbacks.add_callback(LossCallback(tiny_set(), epoch_freq=None))  # type: ignore[arg-type]  # on purpose

    fit(model, callbacks, 3)

    assert caplog.messages == ["LossCallback will not fire: its epoch_freq is 10 and the run has 3 epochs"]


def test_convenience_methods_add_the_callbacks_of_neon() -> None:
    callbacks = quiet(tiny_model())
    callbacks.callbacks = []
    callbacks.add_hist_callback()
    callbacks.add_hist_callback(plot_per_mini=True, filter_key=["W", "beta"])
    callbacks.add_deconv_callback(None, tiny_set(), max_fm=3, dataset_pct=50)
    callbacks.add_watch_ticker_callback(tiny_set())
    kinds = [HistCallback, HistCallback, DeconvCallback, WatchTickerCallback]
    assert [type(one) for one in callbacks.callbacks] == kinds
    told = [callback["config"] for callback in callbacks.get_description()["callbacks"]]
    assert (told[0]["plot_per_mini"], told[0]["filter_key"]) == (False, ["W"])
    assert (told[1]["plot_per_mini"], told[1]["filter_key"]) == (True, ["W", "beta"])
    assert (told[2]["max_fm"], told[2]["dataset_pct"]) == (3, 50)


@pytest.mark.parametrize("from_file", [False, True], ids=["dict", "file"])
def test_container_is_made_again_from_its_description(from_file: bool, tmp_path: Path) -> None:
    data = tiny_set()
    described = quiet(tiny_model(), eval_set=data, eval_freq=2, output_file=tmp_path / "run.h5").serialize()
    source: Any = described
    if from_file:
        source = save_state(described, tmp_path / "callbacks.h5")

    callbacks = Callbacks.load_callbacks(source, tiny_model(), data=[data])

    again = callbacks.get_description()
    assert again["output_file"] == described["output_file"]
    assert [one["type"] for one in again["callbacks"]] == [one["type"] for one in described["callbacks"]]
    fit(callbacks.model(), callbacks, 2)
    assert callbacks.run.exit_reason == "completed"
    assert len(callbacks.callback_data["cost/loss"]) == 1


def test_several_costs_are_recorded_instead_of_one_if_asked_for() -> None:
    names = [type(one).__name__ for one in quiet(multicost=True).callbacks]
    assert names[0] == "TrainMulticostCallback"
    assert "TrainCostCallback" not in names


# -- an exception of which a framework tells -----------------------------------------------------------


@pytest.mark.parametrize("error, reason", [
    (ValueError("mine"), "failed"), (KeyboardInterrupt(), "interrupted"), (PreemptedExit(), "preempted"),
], ids=["error", "interrupt", "preemption"])  # fmt: skip
def test_close_ends_the_run_because_of_an_exception(error: BaseException, reason: str) -> None:
    callbacks = quiet()
    heard = Sentence(callbacks)
    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)

    callbacks.close(error)
    callbacks.close(ValueError("another"))

    assert heard.text == "TEC"
    assert (callbacks.run.exit_reason, callbacks.run.error) == (reason, error)


def test_close_does_nothing_before_and_after_a_run() -> None:
    callbacks = quiet()
    callbacks.close(ValueError("early"))
    hand_loop(callbacks)
    callbacks.close(ValueError("late"))
    assert callbacks.run.exit_reason == "completed"


def test_close_within_a_guarded_block_closes_at_once_and_the_block_adds_nothing() -> None:
    callbacks = quiet()
    heard = Sentence(callbacks)
    with callbacks:
        callbacks.on_train_begin(1)
        callbacks.close(ValueError("mine"))
        assert heard.text == "TC"
    assert heard.text == "TC"
    assert callbacks.run.exit_reason == "failed"
