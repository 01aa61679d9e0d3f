"""Runs through our `Callbacks` give what neon gave: costs, losses, metrics, layout, log, files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support import neon_reference
from tests.support.neon_reference import NEON_DATA, Arrays
from tests.support.runs import FakeClock, Terminal, fit, quiet, tiny_model
from trainsignal import (
    Callback,
    Callbacks,
    MetricCallback,
    ProgressBarCallback,
    SerializeModelCallback,
    TrainLoggerCallback,
    keys,
)
from trainsignal.checkpoint import load_state
from trainsignal.models.numpy_net import Accuracy, Misclassification


@dataclass
class Witness(Callback):
    """Notes after each minibatch the cost, and after each epoch the files; added last."""

    optional_reads = (keys.RUN_STATE,)  # so that the checkpoint of the epoch is among them

    folder: Path
    costs: list[float] = field(default_factory=list)
    indices: list[tuple[int, int]] = field(default_factory=list)
    files: list[list[str]] = field(default_factory=list)

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self.costs.append(model.cost.cost)
        self.indices.append((epoch, minibatch))

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        found = sorted(file for file in self.folder.iterdir() if file.suffix == ".prm")
        self.files.append(
            [f"{file.name} -> {file.readlink()}" if file.is_symlink() else file.name for file in found]
        )


@dataclass
class Outcome:
    """What a scenario left behind."""

    name: str
    reference: Arrays
    facts: dict[str, Any]
    console: str
    callbacks: Callbacks
    default_order: list[str]
    witness: Witness
    early_stop_calls: list[list[Any]]
    screen: str
    log: list[str]
    archive: Path
    folder: Path


def run_scenario(name: str, folder: Path, log: pytest.LogCaptureFixture) -> Outcome:
    reference = neon_reference.arrays(name)
    model = neon_reference.initialized_mlp(reference)
    is_full = name == "mlp"
    options: dict[str, Any] = (
        {"metric": Misclassification(), "save_path": folder / "ckpt.prm", "history": 2} if is_full else {}
    )
    valid = neon_reference.data_set(reference, "valid")
    archive = folder / "run.h5"
    callbacks = Callbacks(model, eval_set=valid, eval_freq=1, output_file=archive, **options)
    default_order = [type(one).__name__ for one in callbacks.callbacks]
    screen = Terminal()
    callbacks.callbacks = [
        ProgressBarCallback(stream=screen, clock=FakeClock(step=0.01))
        if isinstance(one, ProgressBarCallback)
        else one
        for one in callbacks.callbacks
    ]
    calls: list[list[Any]] = []

    def never_stop(state: Any, loss: Any) -> tuple[int, bool]:
        calls.append([state, float(loss), loss.dtype.name])
        return (0 if state is None else state + 1), False

    if is_full:
        callbacks.add_callback(MetricCallback(valid, Accuracy()))
        callbacks.add_save_best_state_callback(folder / "best.prm")
        callbacks.add_early_stop_callback(never_stop)
        callbacks.add_callback(TrainLoggerCallback(minibatch_freq=16))
    witness = Witness(folder)
    callbacks.add_callback(witness)
    with log.at_level("INFO", logger="trainsignal"):
        fit(model, callbacks, 4 if is_full else 2, neon_reference.data_set(reference, "train"))
    records = [one.getMessage() for one in log.records if one.name.startswith("trainsignal.callbacks")]
    facts = json.loads((NEON_DATA / f"{name}.json").read_text())["info"]
    console = (NEON_DATA / f"{name}.console.txt").read_text(encoding="utf-8")
    return Outcome(
        name, reference, facts, console, callbacks, default_order, witness, calls, screen.getvalue(), records,
        archive, folder,
    )  # fmt: skip


@pytest.fixture(params=["mlp", "default_only"])
def scenario(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Outcome:
    return run_scenario(request.param, tmp_path, caplog)


@pytest.fixture
def mlp(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Outcome:
    return run_scenario("mlp", tmp_path, caplog)


def test_cost_after_each_minibatch_is_neons(scenario: Outcome) -> None:
    reference = scenario.reference
    np.testing.assert_array_equal(scenario.witness.indices, reference["raw_cost_epoch_minibatch"])
    np.testing.assert_allclose(scenario.witness.costs, reference["raw_cost"].reshape(-1), rtol=0, atol=1e-5)


def test_smoothed_training_cost_is_neons_and_missing_where_no_minibatch_was(scenario: Outcome) -> None:
    done = len(scenario.reference["raw_cost"])
    with (
        h5py.File(str(neons_archive(scenario))) as neon,
        h5py.File(str(scenario.archive)) as ours,
    ):
        expected, actual = neon["cost/train"][:], ours["cost/train"][:]
    np.testing.assert_allclose(actual[:done], expected[:done], rtol=0, atol=1e-5)
    assert (expected[done:] == 0).all()  # neon's zeros where it never came
    assert np.isnan(actual[done:]).all()
    assert len(actual) == len(expected)


def neons_archive(scenario: Outcome) -> Path:
    return NEON_DATA / f"{scenario.name}.h5"


def test_evaluation_series_are_neons(scenario: Outcome) -> None:
    compared = []
    with (
        h5py.File(str(neons_archive(scenario))) as neon,
        h5py.File(str(scenario.archive)) as ours,
    ):
        for key in ("cost/loss", "metrics/Top1Misclass", "metrics/Accuracy", "time_markers/minibatch"):
            if key in neon:
                np.testing.assert_allclose(ours[key][:], neon[key][:], rtol=0, atol=1e-5, err_msg=key)
                compared.append(key)
    assert len(compared) == (4 if scenario.name == "mlp" else 2)


NOT_NEONS = {"time/callbacks", "time/epoch_end", "checkpoints"}
"""What neon does not note: what its callbacks cost, when epochs ended, which checkpoints were saved."""


def test_archive_has_neons_paths_shapes_types_and_attributes(scenario: Outcome) -> None:
    expected, actual = layout(neons_archive(scenario)), layout(scenario.archive)
    epochs = expected["time_markers/minibatch"].shape
    expected["time_markers/minibatch"].dtype = "int64"  # float32 in neon, which is no index
    assert set(actual) - NOT_NEONS == set(expected)
    for path, neons in expected.items():
        ours = actual[path]
        assert (ours.shape, ours.dtype) == (neons.shape, neons.dtype), path
        assert neons.attributes.items() <= ours.attributes.items(), path
    assert epochs == (len(scenario.witness.files),)


@dataclass
class Node:
    """A group or dataset of an archive; a group has neither shape nor type."""

    shape: tuple[int, ...] | None
    dtype: str | None
    attributes: dict[str, Any]


def layout(path: Path) -> dict[str, Node]:
    """Return what is in an archive by path, histograms excepted."""
    found: dict[str, Node] = {}

    def note(name: str, thing: Any) -> None:
        if not name.startswith("hist"):
            is_dataset = isinstance(thing, h5py.Dataset)
            found[name] = Node(
                thing.shape if is_dataset else None,
                thing.dtype.name if is_dataset else None,
                dict(thing.attrs),
            )

    with h5py.File(str(path)) as file:
        file.visititems(note)
    return found


def test_attributes_tell_what_was_asked_for_and_done(mlp: Outcome) -> None:
    with h5py.File(str(mlp.archive)) as ours:
        assert ours["config"].attrs["total_epochs"] == 4
        assert ours["config"].attrs["total_minibatches"] == 128  # ceil(1000 / 32) * 4
        assert ours["config"].attrs["exit_reason"] == "completed"
        assert ours["time_markers"].attrs["epochs_complete"] == 4
        assert ours["time_markers"].attrs["minibatches_complete"] == 125


def test_default_callbacks_stand_in_neons_order(scenario: Outcome) -> None:
    facts = scenario.facts
    order = facts.get("default_callback_order") or [one for one in facts["order"] if one != "Recorder"]
    assert scenario.default_order == order


def test_early_stop_function_is_given_state_and_float32_loss_as_neons(mlp: Outcome) -> None:
    expected = mlp.facts["early_stop_calls"]
    assert [call[::2] for call in mlp.early_stop_calls] == [call[::2] for call in expected]
    losses = [call[1] for call in mlp.early_stop_calls]
    np.testing.assert_allclose(losses, [call[1] for call in expected], rtol=0, atol=1e-5)


def test_files_after_each_epoch_are_neons_but_for_the_one_too_many(mlp: Outcome) -> None:
    for after, ours in zip(mlp.facts["files_after_each_epoch"], mlp.witness.files, strict=True):
        too_old = f"ckpt_{after['epoch'] - 2}.prm"  # history=2: the newest two
        assert ours == [name for name in after["files"] if name != too_old]


def test_history_keeps_the_files_of_neon_but_for_the_one_too_many(tmp_path: Path) -> None:
    facts = json.loads((NEON_DATA / "serialize_history.json").read_text())["info"]
    for title, rows in facts.items():
        numbers = re.fullmatch(r"history=(\d) serialize=(\d)", title)
        if numbers is None:
            continue
        history, frequency = map(int, numbers.groups())
        folder = tmp_path / title
        folder.mkdir()
        model, witness = tiny_model(), Witness(folder)
        callbacks = quiet(model)
        callbacks.add_callback(SerializeModelCallback(folder / "m.prm", frequency, history))
        callbacks.add_callback(witness)
        fit(model, callbacks, len(rows))
        for (epoch, *files), ours in zip(rows, witness.files, strict=True):
            saved = [one for one in range(epoch + 1) if (one + 1) % frequency == 0][-max(1, history) :]
            kept = {f"m_{one}.prm" for one in saved}
            assert ours == [name for name in files if name in kept or name.startswith("m.prm")], title


def test_best_state_is_that_of_neons_best_epoch(mlp: Outcome) -> None:
    state = load_state(mlp.folder / "best.prm", trust_pickle=True)
    assert state["epoch_index"] == mlp.facts["best_epoch_index"]
    model = neon_reference.mlp()
    model.deserialize(state)
    neon_reference.assert_params_equal(model, mlp.reference, "w_epoch03", atol=1e-4)


def test_model_is_left_as_neon_leaves_it(mlp: Outcome) -> None:
    model = mlp.callbacks.model()
    assert model.finished == mlp.facts["model_finished"]
    assert model.epoch_index == mlp.facts["epoch_index"]


NUMBER = re.compile(r"\d+\.\d+")


def test_log_is_neons_word_for_word(scenario: Outcome) -> None:
    """Train Cost excepted: neon divides an epoch's sum by the number of minibatches of the next epoch."""
    records = re.split(r"^neon\.callbacks\.callbacks - INFO - ", scenario.console, flags=re.MULTILINE)[1:]
    expected = [one.rstrip("\n") for one in records if "removed old checkpoint" not in one]
    epochs = scenario.reference["raw_cost_epoch_minibatch"][:, 0]
    costs = scenario.reference["raw_cost"].reshape(-1)
    assert [NUMBER.sub("#", one) for one in scenario.log] == [NUMBER.sub("#", one) for one in expected]
    for ours, neons in zip(scenario.log, expected, strict=True):
        complete = re.match(r"Epoch (\d+) complete", neons)
        numbers = [float(one) for one in NUMBER.findall(neons)]
        if complete:
            numbers[0] = float(costs[epochs == int(complete[1])].mean())
        np.testing.assert_allclose([float(one) for one in NUMBER.findall(ours)], numbers, rtol=0, atol=1.1e-5)


LINE = re.compile(
    r"Epoch (\d+) +\[Train \|(█+)\| +(\d+)/(\d+) +batches, (\S+) cost, \d+\.\d\ds\]"
    r" \[(\w+) Loss (\S+), \d+\.\d\ds\]"
)


def test_last_progress_line_of_each_epoch_is_neons(scenario: Outcome) -> None:
    ours = [LINE.search(line) for line in scenario.screen.splitlines() if "Loss" in line]
    neons = [LINE.search(line) for line in scenario.console.splitlines() if "Loss" in line]
    assert len(neons) == len(scenario.witness.files)
    assert [one and one.groups() for one in ours] == [one and one.groups() for one in neons]
