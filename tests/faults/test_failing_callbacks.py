"""Every hook of every callback raises once: what else runs is whole, and the record says who it was."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.callback_kinds import KINDS, container_for, made, run
from trainsignal import Callback, Callbacks
from trainsignal.callback import HOOKS, Hook
from trainsignal.receiver import OnError

EPOCHS = 3
CASES = [
    pytest.param(kind, hook, id=f"{kind.__name__}-{hook.method}")
    for kind in KINDS
    for hook in HOOKS
    if getattr(kind, hook.method) is not getattr(Callback, hook.method)
]


class SimulatedError(Exception):
    """What a hook raises here, and nothing else does."""


class Witness(Callback):
    """Writes a series of its own and notes how it was closed."""

    writes = ("witness",)

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        callback_data.create_series(
            "witness", epochs, attributes={"time_markers": "epoch_freq", "epoch_freq": 1}
        )
        self.closed: list[str] = []

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        callback_data["witness"][epoch] = epoch

    def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None:
        self.closed.append(reason)


def failing(callback: Callback, hook: Hook, *, after: bool, time: int) -> None:
    """Have a hook raise at its call of this number, before or after it has done its work.

    Some hooks do not fire as the callback is made; here each does.
    """
    if hook.frequency is not None:
        setattr(callback, hook.frequency, 1)
    original, calls = getattr(callback, hook.method), [0]

    def fail(*arguments: Any) -> None:
        now = calls[0] == time
        calls[0] += 1
        if now and not after:
            raise SimulatedError(hook.method)
        original(*arguments)
        if now:
            raise SimulatedError(hook.method)

    setattr(callback, hook.method, fail)


def container(kind: type[Callback], folder: Path, policy: OnError) -> tuple[Callbacks, Callback, Witness]:
    (folder / "saved").mkdir()
    callback, witness = made(kind, folder / "saved"), Witness()
    callbacks = container_for(callback, output_file=folder / "run.h5", on_error=policy)
    callbacks.callbacks.insert(0, witness)
    return callbacks, callback, witness


def leftovers(folder: Path) -> list[str]:
    return [file.name for file in folder.rglob("*") if file.name.endswith((".tmp", ".lock"))]


@pytest.mark.parametrize("after", [False, True], ids=["before its work", "after its work"])
@pytest.mark.parametrize("kind, hook", CASES)
def test_error_that_is_raised_closes_the_run_and_names_who_it_was(
    kind: type[Callback], hook: Hook, after: bool, tmp_path: Path
) -> None:
    callbacks, callback, witness = container(kind, tmp_path, "raise")
    failing(callback, hook, after=after, time=0 if hook.frequency is None else 1)

    with pytest.raises(SimulatedError) as caught:
        run(callbacks, EPOCHS)

    assert f"while {kind.__name__} handled {hook.signal}" in caught.value.__notes__[0]
    is_at_the_end = hook.signal == "run_closed"
    reason = "completed" if is_at_the_end else "failed"
    assert callbacks.run.exit_reason == reason
    assert witness.closed == [reason]
    assert leftovers(tmp_path) == []
    if hook.signal == "train_begin":
        return  # nothing was published yet
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        config = archive["config"].attrs
        assert config["exit_reason"] == reason
        if not is_at_the_end:
            assert config["exit_author"] == kind.__name__
        done = callbacks.run.epochs_complete
        np.testing.assert_array_equal(archive["witness"][:done], np.arange(done))


@pytest.mark.parametrize("policy", ["log", "disable"])
@pytest.mark.parametrize("kind, hook", CASES)
def test_error_that_is_not_raised_leaves_all_others_as_they_were(
    kind: type[Callback], hook: Hook, policy: OnError, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks, callback, witness = container(kind, tmp_path, policy)
    failing(callback, hook, after=True, time=0 if hook.frequency is None else 1)

    run(callbacks, EPOCHS)

    assert callbacks.run.exit_reason == "completed"
    assert witness.closed == ["completed"]
    with h5py.File(str(tmp_path / "run.h5")) as archive:
        np.testing.assert_array_equal(archive["witness"][:], np.arange(EPOCHS))
        times = archive["time/callbacks"].attrs
        failures = dict(zip(times["names"], times["failures"], strict=True))
    assert failures[kind.__name__] >= 1
    assert f"{kind.__name__} failed" in callbacks.summary()
    assert any(kind.__name__ in one.message for one in caplog.records if one.levelno >= logging.ERROR)
    assert leftovers(tmp_path) == []
