"""What every callback of the package promises; a new one is found and tested without being named here."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import trainsignal.callbacks
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import Callback, Callbacks, LossCallback, TrainCostCallback
from trainsignal.callback import HOOKS
from trainsignal.errors import RunStateError
from trainsignal.models.numpy_net import Accuracy
from trainsignal.run_link import run_of

KINDS: list[type[Callback]] = [
    kind
    for kind in (getattr(trainsignal.callbacks, name) for name in trainsignal.callbacks.__all__)
    if isinstance(kind, type) and issubclass(kind, Callback)
]


def never_stop(state: Any, loss: Any) -> tuple[Any, bool]:
    return (state or 0) + 1, False


def made(kind: type[Callback], folder: Path) -> Callback:
    """Make one with what its required parameters stand for; a new name of one belongs in this table."""
    by_name: dict[str, Callable[[], Any]] = {
        "eval_set": tiny_set,
        "metric": Accuracy,
        "stop_func": lambda: never_stop,
        "save_path": lambda: folder / "model.h5",
        "path": lambda: folder / "best.h5",
    }
    required = [one for one in inspect.signature(kind).parameters.values() if one.default is one.empty]
    return kind(**{one.name: by_name[one.name]() for one in required})


def container_for(callback: Callback, **options: Any) -> Callbacks:
    """Return a container with the callback and the writers of all that it can read."""
    callbacks = quiet(tiny_model(), **options)
    companions = [LossCallback(tiny_set()), TrainCostCallback()]
    callbacks.callbacks = [
        *(one for one in companions if not set(one.writes) & set(callback.writes)),
        callback,
    ]
    return callbacks


def run(callbacks: Callbacks, epochs: int = 3) -> None:
    fit(callbacks.model(), callbacks, epochs)


def series_in(data: h5py.File) -> dict[str, Any]:
    found: dict[str, Any] = {}
    data.visititems(lambda name, it: found.update({name: it[...]}) if isinstance(it, h5py.Dataset) else None)
    return found


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def callback(request: pytest.FixtureRequest, tmp_path: Path) -> Callback:
    (tmp_path / "saved").mkdir()
    return made(request.param, tmp_path / "saved")


def test_all_callbacks_are_found() -> None:
    files = Path(trainsignal.callbacks.__file__).parent.glob("[a-z]*.py")
    assert sorted(kind.__module__.rpartition(".")[2] for kind in KINDS) == sorted(one.stem for one in files)


def test_name_is_that_of_its_file(callback: Callback) -> None:
    words = type(callback).__module__.rpartition(".")[2].split("_")
    assert type(callback).__name__ == "".join(map(str.capitalize, words)) + "Callback"


@pytest.mark.parametrize("duplicate", [
    lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy, copy.copy,
], ids=["pickle", "deepcopy", "copy"])  # fmt: skip
def test_copy_that_was_made_before_the_run_takes_part_in_one(
    callback: Callback, duplicate: Callable[[Callback], Callback]
) -> None:
    twin = duplicate(callback)
    callbacks = container_for(twin)
    run(callbacks)
    assert callbacks.run.exit_reason == "completed"


def test_callback_can_be_copied_after_a_run(callback: Callback) -> None:
    run(container_for(callback))

    twin = copy.deepcopy(callback)

    run(container_for(twin))


def test_second_run_with_the_same_object_equals_the_first(
    callback: Callback, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = []
    for _ in range(2):
        caplog.clear()
        saved: list[int] = []
        callbacks = container_for(callback)
        callbacks.bus.subscribe("checkpoint_saved", lambda epoch, saved=saved: saved.append(epoch))
        with caplog.at_level(logging.INFO, logger="trainsignal"):
            run(callbacks)
        shown = [line.partition(" cost, ")[0] for line in capsys.readouterr().out.splitlines()]
        outcomes.append((series_in(callbacks.callback_data), list(caplog.messages), saved, shown))
    first, second = outcomes
    assert first[1:] == second[1:]
    assert set(first[0]) == set(second[0])
    for name in set(first[0]):
        if not name.startswith("time/"):
            np.testing.assert_array_equal(first[0][name], second[0][name], err_msg=name)


@pytest.mark.parametrize("policy", ["raise", "log", "disable"])
def test_any_error_policy_will_do(callback: Callback, policy: Any, caplog: pytest.LogCaptureFixture) -> None:
    callbacks = container_for(callback, on_error=policy)
    run(callbacks)
    assert callbacks.run.exit_reason == "completed"
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_minibatch_end", "on_epoch_end"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("position", [0, None], ids=["before it", "after it"])
def test_run_that_another_callback_breaks_leaves_nothing_open(
    callback: Callback,
    hook: str,
    error: type[BaseException],
    position: int | None,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    breaking = Callback()
    setattr(breaking, hook, fail)
    callbacks = container_for(callback, output_file=tmp_path / "run.h5")
    callbacks.add_callback(breaking, position)
    with pytest.raises(error):
        run(callbacks)
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []
    assert [file.name for file in tmp_path.rglob("*") if ".tmp" in file.name or ".lock" in file.name] == []
    with pytest.raises(RunStateError, match="takes part in no run"):
        run_of(callback)
    again = container_for(callback)
    run(again)
    assert again.run.exit_reason == "completed"


def test_series_that_it_makes_are_those_that_it_declares(callback: Callback) -> None:
    callbacks = container_for(callback)
    run(callbacks, epochs=1)
    companions = {key for one in callbacks.callbacks if one is not callback for key in one.writes}
    ours = set(series_in(callbacks.callback_data)) - companions - {"time_markers/minibatch"}
    assert ours == set(callback.writes)


def test_hooks_can_be_called_with_neons_positional_arguments(callback: Callback) -> None:
    overridden = [hook for hook in HOOKS if hook.is_overridden(callback)]
    assert overridden
    for hook in overridden:
        signature = inspect.signature(getattr(callback, hook.method))
        assert list(signature.bind("callback_data", "model", *hook.arguments).arguments) == [
            "callback_data", "model", *hook.arguments,
        ]  # fmt: skip


def test_model_and_shared_data_stay_what_they_are(callback: Callback) -> None:
    alone, with_it = tiny_model(), container_for(callback)
    fit(alone, quiet(alone), 3)
    run(with_it)
    model = with_it.model()
    np.testing.assert_array_equal(model.layers.layers[0].W, alone.layers.layers[0].W)  # type: ignore[attr-defined]
    assert model.finished is False


def test_constructor_touches_no_file(callback: Callback, tmp_path: Path) -> None:
    assert list((tmp_path / "saved").iterdir()) == []
