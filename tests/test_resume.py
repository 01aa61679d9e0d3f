from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.resuming import (
    Killed,
    Memory,
    Total,
    assert_same,
    by_python,
    fixed,
    kill_at,
    outcome,
    run_loop,
    uninterrupted,
)
from tests.support.runs import Bare, Sentence, fit, quiet, six_calls, tiny_model, tiny_set
from trainsignal import Callback, Callbacks, MetricCallback
from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import (
    ArchiveError,
    CheckpointError,
    MissingAbilityError,
    RunStateError,
    UntrustedPickleError,
)
from trainsignal.models.numpy_net import ArrayIterator, Misclassification
from trainsignal.resume import Resumption, load_file

_h5py: Any = h5py  # h5py-stubs do not know all of it

AMID = 30
"""An event amid the second epoch of `run_loop`, whose checkpoint is that of the first one."""

WITHIN = 47
"""An event after a checkpoint within the second epoch, where there is one after each minibatch."""


def killed(folder: Path, number: int = AMID, **options: Any) -> Path:
    """Leave behind the files of a run that was killed, and return their folder."""
    callbacks = run_loop(folder / "killed", kill=number, **options)
    assert callbacks.run.exit_reason == "failed"
    return folder / "killed"


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of all files; the lock's file excepted."""
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.suffix != ".lock"}


def attributes(folder: Path, group: str = "config") -> dict[str, Any]:
    with h5py.File(str(folder / "run.h5")) as archive:
        return dict(archive[group].attrs)


# -- what to go on from -------------------------------------------------------------------------------


def test_run_without_a_checkpoint_yet_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="trainsignal.resume")
    callbacks = run_loop(tmp_path / "run", resume=True)
    assert_same(outcome(callbacks), uninterrupted())
    assert not callbacks.run.is_resumed
    assert (
        f"there is no checkpoint {tmp_path / 'run' / 'model.h5'} yet: the run begins anew" in caplog.messages
    )
    assert "resumed_at_minibatches" not in attributes(tmp_path / "run")


def test_archive_of_a_run_that_left_no_checkpoint_is_kept(tmp_path: Path) -> None:
    folder = killed(tmp_path, number=5)
    left = files(folder)["run.h5"]
    run_loop(folder, resume=True)
    assert files(folder)["run.1.h5"] == left


def test_resumed_run_has_the_archive_of_the_whole_run(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    resumed = run_loop(folder, resume=True)
    assert_same(outcome(resumed), uninterrupted())
    assert sorted(files(folder)) == ["model.h5", "run.h5"]
    with h5py.File(str(folder / "run.h5")) as archive:
        np.testing.assert_array_equal(archive["cost/train"][:], resumed.callback_data["cost/train"][:])
    assert attributes(folder, "time_markers") == {"epochs_complete": 3, "minibatches_complete": 12}


def test_each_resumption_is_noted_and_the_run_keeps_its_name(tmp_path: Path) -> None:
    folder = killed(tmp_path)  # the checkpoint is that of the first epoch
    run_id = attributes(folder)["run_id"]
    run_loop(folder, resume=True, epochs=2)
    run_loop(folder, resume=True, epochs=3)
    assert attributes(folder)["resumed_at_minibatches"].tolist() == [4, 8]
    assert attributes(folder)["run_id"] == run_id
    assert attributes(folder)["total_epochs"] == 3


def test_each_process_notes_when_it_began(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    first = attributes(folder)["started_at"].tolist()
    run_loop(folder, resume=True, epochs=2)
    run_loop(folder, resume=True, epochs=3)
    began = attributes(folder)["started_at"].tolist()
    assert began[:1] == first
    assert len(began) == 3
    assert began == sorted(began)


def test_resumed_run_keeps_when_epochs_ended_and_which_checkpoints_were_saved(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_loop(folder, epochs=2)
    with h5py.File(str(folder / "run.h5")) as archive:
        ends, saved = archive["time/epoch_end"][:], archive["checkpoints"][:].tolist()
    resumed = run_loop(folder, resume=True, epochs=3).callback_data
    np.testing.assert_array_equal(resumed["time/epoch_end"][:2], ends)
    assert resumed["time/epoch_end"][2] >= ends[1]
    assert resumed["checkpoints"][:2].tolist() == saved
    assert [row[1:3] for row in resumed["checkpoints"][:].tolist()] == [(0, 3), (1, 3), (2, 3)]


def test_archive_of_before_runs_described_themselves_is_continued(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    with h5py.File(str(folder / "run.h5"), "a") as archive:
        for name in ("model", "callbacks", "host", "version", "started_at"):
            del archive["config"].attrs[name]
        del archive["time/epoch_end"]
    resumed = run_loop(folder, resume=True)
    assert_same(outcome(resumed), uninterrupted())
    data = resumed.callback_data
    assert len(data["config"].attrs["started_at"]) == 1
    assert np.isnan(data["time/epoch_end"][:]).tolist() == [True, False, False]


def test_two_runs_have_two_names(tmp_path: Path) -> None:
    assert len({run_loop(tmp_path / name).run.run_id for name in "ab"}) == 2


def test_archive_that_is_gone_is_begun_anew_with_missing_rows(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    (folder / "run.h5").unlink()
    callbacks = run_loop(folder, resume=True)
    whole = run_loop(tmp_path / "whole")
    assert callbacks.model().total == whole.model().total
    costs, expected = (one.callback_data["cost/train"][:] for one in (callbacks, whole))
    assert np.isnan(costs[:4]).all()
    np.testing.assert_array_equal(costs[4:], expected[4:])
    np.testing.assert_array_equal(callbacks.callback_data["mine"][:], whole.callback_data["mine"][:])


def test_archive_that_is_behind_the_checkpoint_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = killed(tmp_path)
    archive = (folder / "run.h5").read_bytes()
    run_loop(folder, resume=True)
    (folder / "run.h5").write_bytes(archive)
    run_loop(folder, resume=True)
    path = folder / "run.h5"
    message = f"the archive {path} is behind the checkpoint, as after a full disk: rows stay missing"
    assert message in caplog.messages


def test_loop_that_does_not_begin_where_the_run_was_is_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"save_path": tmp_path / "model.h5"}
    six_calls(quiet(Total(), **options))
    callbacks = quiet(Total(), resume=True, **options)
    callbacks.on_train_begin(4)
    with pytest.raises(RunStateError, match="is resumed in epoch 2, and the loop begins with epoch 0"):
        callbacks.on_epoch_begin(0)


def test_run_without_an_archive_goes_on(tmp_path: Path) -> None:
    folder = killed(tmp_path, output_file=None)
    callbacks = run_loop(folder, resume=True, output_file=None)
    assert callbacks.model().total == uninterrupted()["total"]


@pytest.mark.parametrize("as_text", [False, True], ids=["path", "text"])
def test_any_checkpoint_may_be_gone_on_from(as_text: bool, tmp_path: Path) -> None:
    run_loop(tmp_path / "run", by_python, history=3)
    checkpoint = tmp_path / "run" / "model_0.h5"
    callbacks = run_loop(
        tmp_path / "run", by_python, history=3, resume=str(checkpoint) if as_text else checkpoint
    )
    assert_same(outcome(callbacks), uninterrupted(by_python))
    assert {"model_0.h5", "model_1.h5", "model_2.h5"} < files(tmp_path / "run").keys()
    assert load_state(tmp_path / "run" / "model_2.1.h5")["trainsignal"]["epoch"] == 3  # made before, and kept
    assert attributes(tmp_path / "run")["resumed_at_minibatches"].tolist() == [4]


@pytest.mark.parametrize("name", ["model.npz", "model.pkl", "model.h5"])
def test_checkpoint_of_any_format_may_be_gone_on_from(name: str, tmp_path: Path) -> None:
    def run(folder: Path, **options: Any) -> Callbacks:
        path = folder / name
        return run_loop(folder, by_python, save_path=path, checkpoint_every=1, trust_pickle=True, **options)

    run(tmp_path / "killed", kill=AMID)
    assert_same(outcome(run(tmp_path / "killed", resume=True)), uninterrupted(by_python))


def test_pickle_is_not_gone_on_from_unless_it_is_trusted(tmp_path: Path) -> None:
    run_loop(tmp_path, save_path=tmp_path / "model.pkl", epochs=1)
    before = files(tmp_path)
    with pytest.raises(UntrustedPickleError):
        run_loop(tmp_path, save_path=tmp_path / "model.pkl", resume=True)
    assert files(tmp_path) == before


# -- what is refused ----------------------------------------------------------------------------------


def _of_another_run(folder: Path) -> None:
    (folder / "run.h5").unlink()
    run_loop(folder / "other")
    (folder / "other" / "run.h5").rename(folder / "run.h5")


def _no_archive(folder: Path) -> None:
    (folder / "run.h5").write_text("of another program")


def _model_alone(folder: Path) -> None:
    save_state({"total": 1.0}, folder / "model.h5")


def _no_mapping(folder: Path) -> None:
    save_state([1.0], folder / "model.h5")


def _newer(folder: Path) -> None:
    state = load_state(folder / "model.h5")
    state["trainsignal"]["format"] = 2
    save_state(state, folder / "model.h5")


def _incomplete(folder: Path) -> None:
    state = load_state(folder / "model.h5")
    del state["trainsignal"]["random"]
    save_state(state, folder / "model.h5")


def _damaged(folder: Path) -> None:
    (folder / "model.h5").write_bytes((folder / "model.h5").read_bytes()[:1000])


@pytest.mark.parametrize(
    "spoil, error, message",
    [
        (_of_another_run, ArchiveError, "are of different runs. Move the archive away"),
        (_no_archive, ArchiveError, "cannot continue the archive .* move it away to resume"),
        (
            _model_alone,
            CheckpointError,
            "it holds a model and no run. To start anew from its parameters pass",
        ),
        (_no_mapping, CheckpointError, "it holds a model and no run"),
        (_newer, CheckpointError, "was written by a newer trainsignal"),
        (_incomplete, CheckpointError, "its run has no entry 'random'"),
        (_damaged, CheckpointError, "model.h5"),
    ],
    ids=lambda one: one.__name__.strip("_") if callable(one) else "",
)
def test_what_cannot_be_gone_on_from_is_refused_and_nothing_is_lost(
    spoil: Callable[[Path], None], error: type[Exception], message: str, tmp_path: Path
) -> None:
    folder = killed(tmp_path)
    spoil(folder)
    before = files_below(folder)
    sentences: list[Sentence] = []

    with pytest.raises(error, match=message):
        run_loop(folder, resume=True, prepare=lambda one: sentences.append(Sentence(one)))

    assert sentences[0].text == ""
    assert files_below(folder) == before


def files_below(folder: Path) -> dict[Path, bytes]:
    return {one: one.read_bytes() for one in folder.rglob("*") if one.is_file() and one.suffix != ".lock"}


def test_after_a_refusal_the_cause_may_be_mended_and_the_run_begun(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    archive = (folder / "run.h5").read_bytes()
    (folder / "run.h5").write_text("of another program")
    model = Total()
    callbacks = quiet(model, output_file=folder / "run.h5", save_path=folder / "model.h5", resume=True)
    callbacks.add_callback(Memory())
    with pytest.raises(ArchiveError):
        callbacks.on_train_begin(3)
    (folder / "run.h5").write_bytes(archive)
    callbacks.on_train_begin(3)
    assert callbacks.run.is_resumed
    callbacks.on_train_end()


class SavedAlone:
    """A model that can be saved and not loaded."""

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        return {"total": 1.0}


def test_model_that_cannot_be_loaded_cannot_be_gone_on_with(tmp_path: Path) -> None:
    options = {"save_path": tmp_path / "model.h5", "output_file": tmp_path / "run.h5"}
    six_calls(quiet(SavedAlone(), **options))
    before = files(tmp_path)
    with pytest.raises(MissingAbilityError, match=r"SavedAlone has no deserialize\(state\) to load it with"):
        six_calls(quiet(SavedAlone(), resume=True, **options))
    assert files(tmp_path) == before


def test_checkpoint_of_another_model_is_refused_by_name(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    model = tiny_model()
    with pytest.raises(CheckpointError) as caught:
        fit(model, quiet(model, save_path=folder / "model.h5", resume=True))
    assert caught.value.__notes__ == [
        f"while loading the checkpoint {str(folder / 'model.h5')!r} to resume from"
    ]


def test_model_to_begin_with_is_not_loaded_over_the_checkpoint(tmp_path: Path) -> None:
    save_state({"total": 99.0}, tmp_path / "pretrained.h5")
    begun: dict[str, Any] = {"model_file": tmp_path / "pretrained.h5"}
    callbacks = run_loop(killed(tmp_path, **begun), resume=True, **begun)
    assert_same(outcome(callbacks), outcome(run_loop(tmp_path / "whole", **begun)))


def test_model_file_is_loaded_into_the_model(tmp_path: Path) -> None:
    saved, loaded = tiny_model(), tiny_model()
    saved.layers.layers[0].params["W"][...] = 7
    save_state(saved.serialize(), tmp_path / "model.h5")
    load_file(loaded, tmp_path / "model.h5", trust_pickle=False)
    np.testing.assert_array_equal(loaded.layers.layers[0].params["W"], 7)


def test_model_that_cannot_load_a_file_is_told_so_before_it_is_read() -> None:
    with pytest.raises(MissingAbilityError, match=r"Bare has no deserialize\(state\)"):
        load_file(Bare(), "missing.h5", trust_pickle=False)


def test_file_that_does_not_fit_is_refused_with_its_name(tmp_path: Path) -> None:
    save_state({"weights": np.zeros(2)}, tmp_path / "foreign.h5")
    with pytest.raises(CheckpointError) as caught:
        load_file(tiny_model(), tmp_path / "foreign.h5", trust_pickle=False)
    assert caught.value.__notes__ == [f"while loading model_file={str(tmp_path / 'foreign.h5')!r}"]


def test_model_is_given_back_what_it_gave_and_no_more(tmp_path: Path) -> None:
    class Watching(Total):
        given: Any = None

        def deserialize(self, state: Any, *, load_states: bool = True) -> None:
            self.given = state

    folder = killed(tmp_path)
    model = Watching()
    callbacks = quiet(model, resume=folder / "model.h5")
    callbacks.on_train_begin(3)
    assert model.given.keys() == {"total"}


def test_mean_cost_of_an_epoch_that_was_cut_is_that_of_all_its_minibatches(tmp_path: Path) -> None:
    costs: dict[int, float] = {}

    def note(callbacks: Callbacks) -> None:
        callbacks.bus.subscribe("epoch_end", lambda epoch, run: costs.update({epoch: run.epoch_cost}))

    run_loop(tmp_path / "whole", prepare=note)
    expected, costs = costs, {}
    run_loop(killed(tmp_path, WITHIN, checkpoint_every=1), resume=True, prepare=note)
    assert costs == {epoch: expected[epoch] for epoch in (1, 2)}


def test_checkpoint_of_a_run_may_begin_another_one(tmp_path: Path) -> None:
    run_loop(tmp_path / "first", epochs=1)
    callbacks = run_loop(tmp_path / "second", model_file=tmp_path / "first" / "model.h5")
    assert not callbacks.run.is_resumed
    assert callbacks.run.epochs_complete == 3


# -- how the earlier process ended --------------------------------------------------------------------


def stopping(callbacks: Callbacks) -> None:
    """Have the user stop the run amid its second epoch."""

    def stop(epoch: int) -> None:
        if epoch == 1:
            callbacks.stop("enough")

    callbacks.bus.subscribe("minibatch_end", stop, at=1)


def interrupting(callbacks: Callbacks) -> None:
    def interrupt(epoch: int) -> None:
        if epoch == 1:
            raise KeyboardInterrupt

    callbacks.bus.subscribe("minibatch_begin", interrupt, at=2)


def failing(callbacks: Callbacks) -> None:
    def fail(epoch: int) -> None:
        if epoch == 1:
            raise ZeroDivisionError

    callbacks.bus.subscribe("epoch_end", fail)


@pytest.mark.parametrize("end, reason", [
    (stopping, "stopped"), (interrupting, "interrupted"), (failing, "failed"),
], ids=["stopped", "interrupted", "failed"])  # fmt: skip
def test_run_goes_on_however_it_ended_and_as_if_it_had_not(end: Any, reason: str, tmp_path: Path) -> None:
    def during() -> None:
        assert "exit_reason" not in attributes(tmp_path / "run")

    with contextlib.suppress(KeyboardInterrupt, ZeroDivisionError):
        run_loop(tmp_path / "run", by_python, prepare=end, checkpoint_every=1)
    assert attributes(tmp_path / "run")["exit_reason"] == reason

    resumed = run_loop(
        tmp_path / "run",
        by_python,
        resume=True,
        checkpoint_every=1,
        prepare=lambda callbacks: callbacks.bus.subscribe("checkpoint_saved", during),
    )

    assert_same(outcome(resumed), uninterrupted(by_python))
    assert attributes(tmp_path / "run")["exit_reason"] == "completed"
    assert not {"exit_detail", "exit_author"} & attributes(tmp_path / "run").keys()


# -- callbacks ----------------------------------------------------------------------------------------


class Counting(Callback):
    """Counts minibatches from a number on that its user chose."""

    def __init__(self, patience: int = 3) -> None:
        super().__init__()
        self.patience = patience
        self.begun = 0

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.begun += 1
        self.count = 0

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.count += 1


def with_callback(callback: Callback) -> Callable[[Callbacks], None]:
    return lambda callbacks: callbacks.add_callback(callback)


def test_attributes_go_on_and_what_the_constructor_was_told_anew_counts(tmp_path: Path) -> None:
    folder = killed(tmp_path, prepare=with_callback(Counting(patience=3)))
    again = Counting(patience=9)
    run_loop(folder, resume=True, prepare=with_callback(again))
    assert (again.count, again.patience, again.begun) == (12, 9, 1)


def test_callback_that_is_new_or_gone_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = killed(tmp_path, prepare=with_callback(Counting()))

    def others(callbacks: Callbacks) -> None:
        callbacks.add_callback(new, name="New")

    new = Counting()
    run_loop(folder, resume=True, prepare=others)

    assert new.count == 8
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert warnings == [
        "the checkpoint holds a state of Counting, which this run has not",
        "the checkpoint holds no state of New, which begins anew",
    ]


def test_state_of_a_callbacks_own_making_is_given_back(tmp_path: Path) -> None:
    class Own(Callback):
        given: Any = None

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            self.epoch = epoch

        def state_dict(self) -> dict[str, Any]:
            return {"epochs": {self.epoch}, "where": (1, [np.arange(2)])}

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.given = state

    folder = killed(tmp_path, prepare=with_callback(Own()))
    again = Own()
    run_loop(folder, resume=True, prepare=with_callback(again))
    assert again.given["epochs"] == {0}
    assert again.given["where"][0] == 1
    np.testing.assert_array_equal(again.given["where"][1][0], [0, 1])


class Fragile(Callback):
    """Fails when it is to go on."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.flush()
        if self.hook == "on_train_begin":
            raise ZeroDivisionError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.hook == "load_state_dict":
            raise ZeroDivisionError


def test_flush_before_the_run_is_as_it_was_harms_nothing(tmp_path: Path) -> None:
    folder = killed(tmp_path, prepare=with_callback(Fragile("")))
    resumed = run_loop(folder, resume=True, prepare=with_callback(Fragile("")))
    assert_same(outcome(resumed), uninterrupted())


def test_error_at_the_begin_of_a_resumed_run_leaves_archive_and_checkpoint_alone(tmp_path: Path) -> None:
    folder = killed(tmp_path, prepare=with_callback(Fragile("")))
    before = files(folder)
    with pytest.raises(ZeroDivisionError):
        run_loop(folder, resume=True, prepare=with_callback(Fragile("on_train_begin")))
    assert files(folder) == before
    resumed = run_loop(folder, resume=True, prepare=with_callback(Fragile("")))
    assert_same(outcome(resumed), uninterrupted())


def test_error_of_a_callback_that_is_put_back_leaves_the_checkpoint_and_what_belongs_to_it(
    tmp_path: Path,
) -> None:
    folder = killed(tmp_path, prepare=with_callback(Fragile("")))
    checkpoint = files(folder)["model.h5"]
    with pytest.raises(ZeroDivisionError) as caught:
        run_loop(folder, resume=True, prepare=with_callback(Fragile("load_state_dict")))
    assert caught.value.__notes__ == [
        f"while Fragile was put back to its state in {str(folder / 'model.h5')!r}"
    ]
    assert files(folder)["model.h5"] == checkpoint
    resumed = run_loop(folder, resume=True, prepare=with_callback(Fragile("")))
    assert_same(outcome(resumed), uninterrupted())


def test_error_within_an_epoch_before_the_run_is_as_it_was_leaves_all_that_is_needed(tmp_path: Path) -> None:
    folder = killed(tmp_path, WITHIN, checkpoint_every=1, prepare=with_callback(Fragile("")))
    checkpoint = (folder / "model.h5").read_bytes()
    with pytest.raises(ZeroDivisionError):
        run_loop(folder, resume=True, checkpoint_every=1, prepare=with_callback(Fragile("load_state_dict")))
    assert (folder / "model.h5").read_bytes() == checkpoint

    resumed = run_loop(folder, resume=True, checkpoint_every=1, prepare=with_callback(Fragile("")))
    assert_same(outcome(resumed), uninterrupted())


class Pretraining(Callback):
    """Changes the model where training and epochs begin."""

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        model.total = 50.0

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        model.total += 1


@pytest.mark.parametrize("number", range(3, 80, 6))
def test_what_callbacks_do_to_the_model_at_the_begin_is_not_done_twice(number: int, tmp_path: Path) -> None:
    folder = killed(tmp_path, number, prepare=with_callback(Pretraining()), checkpoint_every=2)
    resumed = run_loop(folder, resume=True, prepare=with_callback(Pretraining()), checkpoint_every=2)
    whole = run_loop(tmp_path / "whole", prepare=with_callback(Pretraining()))
    assert_same(outcome(resumed), outcome(whole))


@pytest.mark.parametrize("hook", ["train_begin", "epoch_begin"])
def test_run_that_is_interrupted_before_it_is_as_it_was_goes_on_all_the_same(
    hook: str, tmp_path: Path
) -> None:
    folder = killed(tmp_path, WITHIN, checkpoint_every=1)
    before = files(folder)["model.h5"]

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_loop(
            folder,
            resume=True,
            checkpoint_every=1,
            prepare=lambda callbacks: callbacks.bus.subscribe(hook, interrupt),
        )
    assert files(folder)["model.h5"] == before
    resumed = run_loop(folder, resume=True, checkpoint_every=1)
    assert_same(outcome(resumed), uninterrupted())


# -- datasets of users --------------------------------------------------------------------------------


class Writing(Callback):
    """Makes datasets of all kinds, some of which know no time."""

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        data = callback_data
        self.sum = data.create_dataset("own/sum", (1,), "f8")
        self.large = data.create_dataset("own/large", (2**14,), "f8")  # 128 KiB
        self.table = data.create_dataset("hist/Linear_0_W", (64, epochs), "i4")
        data["hist"].attrs["time_markers"] = "epoch"
        self.listed = data.create_series(
            "metrics/listed", 2, attributes={"time_markers": "epoch_freq", "epochs": [0, 2]}
        )
        self.steps = data.create_series("own/steps", None, attributes={"time_markers": "minibatch"})
        self.done = 0

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.sum[0] += 1
        self.large[self.done] = epoch
        self.steps[self.done] = model.total
        self.done += 1

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.table[:, epoch] = self.done
        if epoch in (0, 2):
            self.listed[epoch // 2] = model.total


@pytest.mark.parametrize("number", range(2, 80, 9))
def test_datasets_of_all_kinds_are_those_of_the_whole_run(number: int, tmp_path: Path) -> None:
    folder = killed(tmp_path, number, prepare=with_callback(Writing()), checkpoint_every=3)
    resumed = run_loop(folder, resume=True, prepare=with_callback(Writing()), checkpoint_every=3)
    whole = run_loop(tmp_path / "whole", prepare=with_callback(Writing()))
    assert_same(outcome(resumed), outcome(whole))


def test_small_dataset_without_an_axis_is_that_of_the_checkpoint_and_a_large_one_that_of_the_archive(
    tmp_path: Path,
) -> None:
    class Flushing(Writing):
        def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
            super().on_minibatch_end(callback_data, model, epoch, minibatch)
            self.large[-1] += 1
            callback_data.flush()  # so that the archive is ahead of the checkpoint

    folder = killed(tmp_path, 32, prepare=with_callback(Flushing()))
    with h5py.File(str(folder / "run.h5")) as archive:
        ahead = archive["own/large"][-1]
    assert ahead > 4
    seen: list[tuple[float, float]] = []

    def look(callbacks: Callbacks) -> None:
        callbacks.add_callback(Flushing())
        callbacks.bus.subscribe(
            "epoch_begin",
            lambda callback_data: seen.append((callback_data["own/sum"][0], callback_data["own/large"][-1])),
        )

    run_loop(folder, resume=True, prepare=look)
    assert seen[0] == (4, ahead)


def test_links_of_a_hostile_archive_are_not_followed(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    with h5py.File(str(tmp_path / "secret.h5"), "w") as file:
        file.create_dataset("secret", data=np.arange(3))
    with h5py.File(str(folder / "run.h5"), "a") as archive:
        archive["stolen"] = _h5py.ExternalLink(str(tmp_path / "secret.h5"), "/secret")
        archive["alias"] = _h5py.SoftLink("/cost/train")
    callbacks = run_loop(folder, resume=True)
    assert not {"stolen", "alias"} & set(callbacks.callback_data)


def test_series_of_a_callback_that_is_gone_stays_in_the_archive_up_to_there(tmp_path: Path) -> None:
    folder = killed(tmp_path, prepare=with_callback(Writing()))
    callbacks = run_loop(folder, resume=True)
    steps = callbacks.callback_data["own/steps"][:]
    assert not np.isnan(steps[:4]).any()
    assert np.isnan(steps[4:]).all()


# -- the reference network ----------------------------------------------------------------------------


def five_samples() -> ArrayIterator:
    """Return a set whose epochs begin with another sample each: 3, 2, 3, 2, ... minibatches."""
    X = [[0.0, 1.0], [1.0, 0.0], [0.5, 1.0], [1.0, 0.5], [0.2, 0.3]]
    return ArrayIterator(X, [0, 1, 0, 1, 1], nclass=2, batch_size=2, name="five")


def fitted(folder: Path, *, resume: bool = False, kill: int | None = None, **options: Any) -> Callbacks:
    folder.mkdir(exist_ok=True)
    model, valid = tiny_model(), tiny_set()
    callbacks = quiet(
        model, eval_set=valid, eval_freq=1, output_file=folder / "run.h5", save_path=folder / "model.h5",
        resume=resume, **options,
    )  # fmt: skip
    callbacks.add_callback(MetricCallback(valid, Misclassification(), epoch_freq=2))
    callbacks.add_save_best_state_callback(folder / "best.h5")
    put_back = None if kill is None else kill_at(callbacks, kill, folder)
    with contextlib.suppress(Killed):
        fit(model, callbacks, 4, dataset=five_samples())
    if put_back is not None:
        put_back()
    return callbacks


def weights_and_series(callbacks: Callbacks) -> dict[str, Any]:
    model = callbacks.model()
    found = {
        f"{layer.name}.{name}": np.array(values)
        for layer in model.layers.layers
        for name, values in layer.params.items()
    }
    series: list[str] = []
    callbacks.callback_data.visit(series.append)
    return (
        found
        | {
            path: np.array(callbacks.callback_data[path])
            for path in series
            if isinstance(callbacks.callback_data[path], h5py.Dataset)
            and not path.startswith(("time/", "checkpoints"))  # they differ by time and folder
        }
        | {"cost": np.array(model.total_cost), "epoch": model.epoch_index}
    )


@pytest.mark.parametrize("number", range(3, 100, 7))
def test_fit_that_is_killed_ends_as_one_that_was_not_though_epochs_wrap_around(
    number: int, tmp_path: Path
) -> None:
    callbacks = fitted(tmp_path / "killed", kill=number, checkpoint_every=1)
    assert callbacks.run.exit_reason == "failed"
    resumed = fitted(tmp_path / "killed", resume=True, checkpoint_every=1)
    assert_same(weights_and_series(resumed), weights_and_series(fitted(tmp_path / "whole")))


def test_description_of_a_resumption_tells_where_it_is(tmp_path: Path) -> None:
    folder = killed(tmp_path, WITHIN, checkpoint_every=1)
    resumption = Resumption.read(folder / "model.h5", may_be_absent=False, trust_pickle=False)
    assert resumption is not None
    assert resumption.is_within_epoch
    assert (resumption.moment.epochs, resumption.moment.minibatches) == (1, 6)


def test_run_says_that_it_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = killed(tmp_path)
    with caplog.at_level(logging.INFO, logger="trainsignal"):
        run_loop(folder, fixed, resume=True)
    assert f"the run goes on from {folder / 'model.h5'}: epoch 1, minibatch 0" in caplog.messages
