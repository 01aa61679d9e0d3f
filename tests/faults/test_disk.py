"""Disks that fill up, folders that vanish, files that cannot be written: training goes on, and it is told."""

from __future__ import annotations

import logging
import multiprocessing
import resource
import shutil
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import Callbacks
from trainsignal.checkpoint import load_state

EPOCHS = 6
FAULT_AT = 3


def container(folder: Path) -> Callbacks:
    model = tiny_model()
    callbacks = quiet(
        model, output_file=folder / "run.h5", save_path=folder / "model.h5", eval_set=tiny_set(), eval_freq=1,
        checkpoint_every=1,
    )  # fmt: skip
    callbacks.add_save_best_state_callback(folder / "best.h5")
    return callbacks


def run_with(callbacks: Callbacks, fault: Callable[[], object]) -> None:
    callbacks.bus.subscribe("epoch_begin", fault, at=FAULT_AT, first=True)
    fit(callbacks.model(), callbacks, EPOCHS)


def assert_complete(data: h5py.File) -> None:
    assert not np.isnan(data["cost/train"][:]).any()
    assert not np.isnan(data["cost/loss"][:]).any()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "runs"
    made.mkdir()
    return made


def test_folder_that_vanishes_ends_no_training_and_loses_no_data(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = container(folder)

    run_with(callbacks, lambda: shutil.rmtree(folder))

    assert callbacks.run.exit_reason == "completed"
    assert_complete(callbacks.callback_data)
    told = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    for file in ("run.h5", "model.h5", "best.h5"):
        assert any(file in message for message in told), file
    assert "problem" in callbacks.summary()
    callbacks.callback_data.save_as(tmp_path / "rescued.h5")
    with h5py.File(str(tmp_path / "rescued.h5")) as rescued:
        assert_complete(rescued)


def test_folder_that_comes_back_is_written_again(folder: Path) -> None:
    callbacks = container(folder)
    callbacks.bus.subscribe("epoch_begin", folder.mkdir, at=FAULT_AT + 1, first=True)

    run_with(callbacks, lambda: shutil.rmtree(folder))

    with h5py.File(str(folder / "run.h5")) as archive:
        assert archive["config"].attrs["exit_reason"] == "completed"
        assert_complete(archive)
    assert load_state(folder / "model.h5")["epoch_index"] == EPOCHS


@pytest.mark.parametrize("name", ["run.h5", "model.h5", "best.h5"])
def test_file_that_is_made_read_only_is_replaced_all_the_same(folder: Path, name: str) -> None:
    callbacks = container(folder)

    run_with(callbacks, lambda: (folder / name).chmod(0o444))

    assert callbacks.run.problems == []
    assert load_state(folder / "model.h5")["epoch_index"] == EPOCHS


@pytest.mark.parametrize("name", ["run.h5", "model.h5", "best.h5"])
def test_folder_in_the_place_of_a_file_is_told_and_ends_no_training(folder: Path, name: str) -> None:
    callbacks = container(folder)

    def fault() -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    run_with(callbacks, fault)

    assert callbacks.run.exit_reason == "completed"
    assert any(name in problem for problem in callbacks.run.problems)
    assert_complete(callbacks.callback_data)


def _with_full_disk(folder: Path, answer: Connection) -> None:
    """Train where no file may grow beyond nothing from one epoch on, and then may again."""
    callbacks = container(folder)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))

    def free() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    seen: dict[str, Any] = {}

    def look() -> None:
        seen["model"] = load_state(folder / "model.h5")["epoch_index"]
        with h5py.File(str(folder / "run.h5")) as archive:
            seen["archive"] = int(archive["time_markers"].attrs["epochs_complete"])
        free()

    callbacks.bus.subscribe("epoch_begin", look, at=FAULT_AT + 2, first=True)
    run_with(callbacks, fill)
    answer.send((callbacks.run.exit_reason, list(callbacks.run.problems), seen))
    answer.close()


def test_full_disk_leaves_what_was_written_whole_and_is_used_again_once_there_is_space(folder: Path) -> None:
    processes = multiprocessing.get_context("forkserver")
    receiving, sending = processes.Pipe(duplex=False)
    child = processes.Process(target=_with_full_disk, args=(folder, sending))
    child.start()
    sending.close()
    reason, problems, while_full = receiving.recv()
    child.join()

    assert reason == "completed"
    assert while_full == {"model": FAULT_AT, "archive": FAULT_AT}
    assert any("run.h5" in problem for problem in problems)
    assert any("model.h5" in problem for problem in problems)
    with h5py.File(str(folder / "run.h5")) as archive:
        assert_complete(archive)
    assert load_state(folder / "model.h5")["epoch_index"] == EPOCHS
    assert [file.name for file in folder.iterdir() if ".tmp" in file.name] == []
