"""What holds for every loop: the same callbacks hear the same, however it ends. Finds all loops by itself."""

from __future__ import annotations

import ast
import contextlib
import os
import pkgutil
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import trainsignal.loops
from tests.support.events import Journalist
from tests.support.linear_problem import batches, expected_costs, expected_losses
from tests.support.loop_subjects import SUBJECTS, LoopError, Plan, Subject, subjects
from tests.support.runs import CUT_SHORT, SENTENCE, Sentence, quiet
from trainsignal import Callback, Callbacks, TrainCostCallback, keys
from trainsignal.checkpoint import load_state
from trainsignal.errors import RunStateError

ALL = subjects()
WITH_MINIBATCHES = [one for one in ALL if one.has_minibatches]


def each(kinds: list[Subject]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("subject", kinds, ids=lambda one: one.name)


def container(subject: Subject, **options: Any) -> Callbacks:
    """Return callbacks for a model of the subject, with the cost of each minibatch by itself."""
    callbacks = quiet(subject.new_model(), **options)
    callbacks.callbacks = [one for one in callbacks.callbacks if not isinstance(one, TrainCostCallback)]
    if subject.has_minibatches:
        callbacks.add_callback(TrainCostCallback(wsz=1), insert_pos=0)
    return callbacks


def train(subject: Subject, callbacks: Callbacks, plan: Plan, *, is_guarded: bool = False) -> None:
    """Train as the adapter's documentation says: in a `with` block where the loop tells nobody of errors."""
    with warnings.catch_warnings():
        for message in subject.warns:
            warnings.filterwarnings("ignore", message)
        with callbacks if subject.needs_guard or is_guarded else contextlib.nullcontext():
            subject.train(callbacks, plan)


def calls(epochs: int, minibatches: int, *, first: int = 0) -> list[tuple[Any, ...]]:
    """Return what epochs from `first` on publish, beside the begin and the end."""
    published: list[tuple[Any, ...]] = []
    for epoch in range(first, epochs):
        published.append(("epoch_begin", epoch))
        for minibatch in range(minibatches):
            published += [("minibatch_begin", epoch, minibatch), ("minibatch_end", epoch, minibatch)]
        published.append(("epoch_end", epoch))
    return published


def per_epoch(subject: Subject, plan: Plan) -> int:
    return plan.minibatches if subject.has_minibatches else 0


def raising(error: Exception) -> Callable[..., None]:
    def handler() -> None:
        raise error

    return handler


# -- the suite itself ----------------------------------------------------------------------------------


def test_every_adapter_has_a_subject() -> None:
    adapters = {found.name for found in pkgutil.iter_modules(trainsignal.loops.__path__)}
    used = {
        (node.module or "").split(".")[2]
        for path in SUBJECTS.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trainsignal.loops.")
    }  # fmt: skip

    assert adapters - used == set()


# -- how a run ends ------------------------------------------------------------------------------------


@each(ALL)
def test_completes(subject: Subject) -> None:
    plan = Plan()
    callbacks = container(subject)
    heard = Sentence(callbacks)

    train(subject, callbacks, plan)

    assert SENTENCE.fullmatch(heard.text)
    assert heard.calls == [
        ("train_begin", 3), *calls(3, per_epoch(subject, plan)), ("train_end",),
        ("run_closed", "completed", None),
    ]  # fmt: skip
    assert callbacks.run.exit_reason == "completed"


@each([one for one in WITH_MINIBATCHES if one.stops_within_epochs])
def test_a_vote_at_a_minibatch_stops_before_the_next(subject: Subject) -> None:
    callbacks = container(subject)
    heard = Sentence(callbacks)

    def stop(epoch: int, minibatch: int) -> None:
        if (epoch, minibatch) == (1, 1):
            callbacks.stop("enough")

    callbacks.bus.subscribe("minibatch_end", stop)

    train(subject, callbacks, Plan())

    assert heard.text == "TE" + "Bb" * 4 + "eE" + "Bb" * 2 + "etC"
    assert callbacks.run.exit_reason == "stopped"
    assert [vote.reason for vote in callbacks.run.votes] == ["enough"]


@each(ALL)
def test_a_vote_at_an_epoch_stops_at_its_end(subject: Subject) -> None:
    plan = Plan()
    callbacks = container(subject)
    heard = Sentence(callbacks)
    callbacks.bus.subscribe("epoch_begin", lambda: callbacks.run.request_stop("enough", at="epoch"), at=[1])

    train(subject, callbacks, plan)

    assert heard.text == "T" + 2 * ("E" + "Bb" * per_epoch(subject, plan) + "e") + "tC"
    assert callbacks.run.exit_reason == "stopped"


@each(ALL)
def test_a_vote_at_the_end_of_an_epoch_stops_there(subject: Subject) -> None:
    callbacks = container(subject)
    heard = Sentence(callbacks)
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[0])

    train(subject, callbacks, Plan())

    assert heard.text == "TE" + "Bb" * per_epoch(subject, Plan()) + "etC"
    assert callbacks.run.exit_reason == "stopped"


@each(ALL)
def test_finished_set_on_the_model_stops_at_the_end_of_the_epoch(subject: Subject) -> None:
    model = subject.new_model()
    if not hasattr(model, "finished"):
        model.finished = False
    callbacks = quiet(model)
    callbacks.callbacks = []
    heard = Sentence(callbacks)
    callbacks.bus.subscribe("epoch_begin", lambda: setattr(model, "finished", True), at=[0])

    train(subject, callbacks, Plan())

    assert heard.text == "TE" + "Bb" * per_epoch(subject, Plan()) + "etC"


@each(ALL)
def test_an_error_in_the_loop_closes_the_run_as_failed(subject: Subject) -> None:
    fail_at = (1, 2) if subject.has_minibatches else (1, 0)
    callbacks = container(subject)
    heard = Sentence(callbacks)

    with pytest.raises(LoopError):
        train(subject, callbacks, Plan(fail_at=fail_at))

    assert CUT_SHORT.fullmatch(heard.text) and heard.text.endswith("C")
    assert callbacks.run.exit_reason == "failed"
    assert isinstance(callbacks.run.error, LoopError)
    assert callbacks.run.epochs_complete == 1


@each(ALL)
@pytest.mark.parametrize("name", ["train_begin", "epoch_begin", "epoch_end", "train_end"])
def test_an_error_in_a_callback_comes_out_and_closes_the_run(subject: Subject, name: str) -> None:
    callbacks = container(subject)
    heard = Sentence(callbacks)
    callbacks.bus.subscribe(name, raising(ValueError("mine")))

    with pytest.raises(ValueError, match="mine"):
        train(subject, callbacks, Plan())

    assert CUT_SHORT.fullmatch(heard.text)
    assert callbacks.run.exit_reason == "failed"


@each(WITH_MINIBATCHES)
@pytest.mark.parametrize("name", ["minibatch_begin", "minibatch_end"])
def test_an_error_in_a_minibatch_hook_comes_out_and_closes_the_run(subject: Subject, name: str) -> None:
    callbacks = container(subject)
    heard = Sentence(callbacks)
    callbacks.bus.subscribe(name, raising(ValueError("mine")), at=[2])

    with pytest.raises(ValueError, match="mine"):
        train(subject, callbacks, Plan())

    assert CUT_SHORT.fullmatch(heard.text)
    assert heard.text.endswith("BbBbBC" if name == "minibatch_begin" else "BbBbBbC")
    assert callbacks.run.exit_reason == "failed"


@each(ALL)
def test_ctrl_c_stops_at_the_next_boundary_and_is_no_success(subject: Subject) -> None:
    callbacks = container(subject)
    heard = Sentence(callbacks)
    at = "minibatch_begin" if subject.has_minibatches else "epoch_begin"
    callbacks.bus.subscribe(
        at, lambda: os.kill(os.getpid(), signal.SIGINT), when=lambda epoch: epoch == 1, once=True
    )  # fmt: skip

    with pytest.raises(subject.is_interrupted_by):
        train(subject, callbacks, Plan(), is_guarded=True)

    assert CUT_SHORT.fullmatch(heard.text)
    assert callbacks.run.exit_reason == "interrupted"
    assert isinstance(callbacks.run.error, KeyboardInterrupt)
    assert callbacks.run.epochs_complete == 1


# -- data of all lengths -------------------------------------------------------------------------------


@each([one for one in WITH_MINIBATCHES if one.runs_without_length])
def test_an_unknown_length_changes_nothing_that_is_heard(subject: Subject) -> None:
    callbacks = container(subject)
    heard = Sentence(callbacks)

    train(subject, callbacks, Plan(is_length_known=False))

    assert heard.calls[1:-2] == calls(3, 4)
    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], expected_costs(4, 3), rtol=1e-5)


@each(WITH_MINIBATCHES)
def test_of_epochs_without_minibatches_is_heard_what_the_framework_makes_of_them(subject: Subject) -> None:
    callbacks = container(subject)
    heard = Sentence(callbacks)

    with pytest.raises(subject.refuses_empty) if subject.refuses_empty else contextlib.nullcontext():
        train(subject, callbacks, Plan(minibatches=0), is_guarded=True)

    assert heard.text == subject.heard_of_empty


# -- what callbacks compute ----------------------------------------------------------------------------


class EpochCost(Callback):
    """A callback as people wrote them for neon: mean cost of each epoch's minibatches."""

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_dataset("mine/epoch_cost", (epochs,))

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        self.first = callback_data["time_markers"].attrs["minibatches_complete"]

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        last = callback_data["time_markers"].attrs["minibatches_complete"]
        costs = callback_data["cost/train"][self.first : last]
        callback_data["mine/epoch_cost"][epoch] = costs.mean()


@each(WITH_MINIBATCHES)
def test_the_cost_of_each_minibatch_is_recorded(subject: Subject) -> None:
    callbacks = container(subject)

    train(subject, callbacks, Plan())

    np.testing.assert_allclose(callbacks.callback_data[keys.TRAIN_COST][:], expected_costs(4, 3), rtol=1e-5)


@each(WITH_MINIBATCHES)
def test_a_callback_written_for_neon_computes_the_same(subject: Subject) -> None:
    callbacks = container(subject)
    callbacks.add_callback(EpochCost())

    train(subject, callbacks, Plan())

    means = expected_costs(4, 3).reshape(3, 4).mean(axis=1)
    np.testing.assert_allclose(callbacks.callback_data["mine/epoch_cost"][:], means, rtol=1e-5)


def layout(path: Path) -> dict[str, Any]:
    """Return shape, type and attributes' names of all in an archive that does not come from the framework."""
    found: dict[str, Any] = {}

    def note(name: str, member: Any) -> None:
        is_own = name.startswith((keys.METRICS, keys.CALLBACK_TIMES)) or keys.REPORTED_AS in member.attrs
        if not is_own:
            form = (member.shape, member.dtype.str) if isinstance(member, h5py.Dataset) else "group"
            found[name] = (form, sorted(member.attrs))

    with h5py.File(str(path)) as archive:
        archive.visititems(note)
    return found


@each(WITH_MINIBATCHES)
def test_archives_have_the_same_layout(subject: Subject, tmp_path: Path) -> None:
    reference = next(one for one in ALL if one.name == "hand-written")
    layouts = []
    for number, one in enumerate((reference, subject)):
        path = tmp_path / f"{number}.h5"
        train(one, container(one, output_file=path), Plan())
        layouts.append(layout(path))

    assert layouts[0] == layouts[1]


@each([one for one in ALL if one.has_loss])
def test_the_best_state_is_saved_by_the_loss_of_an_evaluation_set(subject: Subject, tmp_path: Path) -> None:
    best = tmp_path / "best.h5"
    held_out = batches(2)
    callbacks = quiet(subject.new_model(), eval_set=held_out, eval_freq=1)
    callbacks.add_save_best_state_callback(best)

    train(subject, callbacks, Plan())

    losses = callbacks.callback_data[keys.LOSS][:]
    np.testing.assert_allclose(losses, expected_losses(4, 3, held_out), rtol=1e-4)
    saved = subject.new_model()
    saved.deserialize(load_state(best), load_states=False)  # a new model has no optimizer yet
    again = quiet(saved, eval_set=held_out, eval_freq=1)
    with again.training(1) as run:
        list(run.epochs())
    np.testing.assert_allclose(again.callback_data[keys.LOSS][:], losses.min(), rtol=1e-4)


# -- one run after another -----------------------------------------------------------------------------


@each(ALL)
def test_callbacks_serve_two_runs_in_a_row(subject: Subject) -> None:
    journal: list[Any] = []
    journalist = Journalist("a", journal)
    heard = []
    for _ in range(2):
        callbacks = container(subject)
        callbacks.add_callback(journalist)
        train(subject, callbacks, Plan())
        heard.append(journal.copy())
        journal.clear()

    assert heard[0] == heard[1] != []


@each(ALL)
def test_one_container_serves_one_run(subject: Subject) -> None:
    callbacks = container(subject)
    train(subject, callbacks, Plan(epochs=1))

    with pytest.raises(RunStateError, match="has served a run already"):
        train(subject, callbacks, Plan(epochs=1))


@each(ALL)
def test_a_resumed_run_goes_on_where_the_checkpoint_was(subject: Subject, tmp_path: Path) -> None:
    plan = Plan(epochs=4)
    files = {"output_file": tmp_path / "run.h5", "save_path": tmp_path / "model.h5"}
    first = container(subject, **files)
    first.bus.subscribe("epoch_begin", raising(ValueError("a crash")), at=[2])
    with pytest.raises(ValueError, match="a crash"):
        train(subject, first, plan)

    second = container(subject, resume=True, **files)
    heard = Sentence(second)
    train(subject, second, plan)

    assert heard.calls == [
        ("train_begin", 4), *calls(4, per_epoch(subject, plan), first=2), ("train_end",),
        ("run_closed", "completed", None),
    ]  # fmt: skip
    if subject.has_minibatches:
        costs = second.callback_data[keys.TRAIN_COST][:]
        np.testing.assert_allclose(costs, expected_costs(4, 4), rtol=1e-5)
