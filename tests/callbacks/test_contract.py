"""What every callback of the package promises; a new one is found and tested without being named here."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trainsignal.callbacks
from tests.support.callback_kinds import KINDS, container_for, made, run, series_in
from tests.support.runs import fit, quiet
from tests.support.versatile import tiny_images, versatile_model
from trainsignal import Callback, keys
from trainsignal.callback import HOOKS
from trainsignal.description import describe, rebuild
from trainsignal.errors import RunStateError
from trainsignal.run_link import run_of


def errors_in(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what was logged as an error; neon's level of what is shown in any case, 41, is none."""
    return [one for one in caplog.records if one.levelno in (logging.ERROR, logging.CRITICAL)]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def callback(request: pytest.FixtureRequest, tmp_path: Path) -> Callback:
    (tmp_path / "saved").mkdir()
    return made(request.param, tmp_path / "saved")


def test_all_callbacks_are_found() -> None:
    files = Path(trainsignal.callbacks.__file__).parent.glob("[a-z]*.py")
    assert sorted(kind.__module__.rpartition(".")[2] for kind in KINDS) == sorted(one.stem for one in files)


def test_name_is_that_of_its_file(callback: Callback) -> None:
    words = type(callback).__module__.rpartition(".")[2].split("_")
    assert type(callback).__name__.lower() == "".join(words) + "callback"  # CSV and GAN are words, too


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
        # All but what differs from run to run by its nature.
        if not name.startswith(("time/", "system/", keys.CHECKPOINTS)):
            np.testing.assert_array_equal(first[0][name], second[0][name], err_msg=name)


@pytest.mark.parametrize("policy", ["raise", "log", "disable"])
def test_any_error_policy_will_do(callback: Callback, policy: Any, caplog: pytest.LogCaptureFixture) -> None:
    callbacks = container_for(callback, on_error=policy)
    run(callbacks)
    assert callbacks.run.exit_reason == "completed"
    assert errors_in(caplog) == []


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
    assert errors_in(caplog) == []
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
    of_the_run = keys.EPOCH_MARKERS | {keys.CALLBACK_TIMES, keys.CHECKPOINTS}
    ours = set(series_in(callbacks.callback_data)) - companions - of_the_run
    declared = set(callback.writes) - {keys.MODEL}
    # A group that is declared stands for all that is in it.
    assert {next((one for one in declared if made.startswith(f"{one}/")), made) for made in ours} == declared


def test_hooks_can_be_called_with_neons_positional_arguments(callback: Callback) -> None:
    overridden = [hook for hook in HOOKS if hook.is_overridden(callback)]
    assert overridden
    for hook in overridden:
        signature = inspect.signature(getattr(callback, hook.method))
        assert list(signature.bind("callback_data", "model", *hook.arguments).arguments) == [
            "callback_data", "model", *hook.arguments,
        ]  # fmt: skip


def test_model_and_shared_data_stay_what_they_are(callback: Callback) -> None:
    alone, with_it = versatile_model(), container_for(callback)
    fit(alone, quiet(alone), 3, tiny_images())
    run(with_it)
    model = with_it.model()
    np.testing.assert_array_equal(model.layers.layers[0].W, alone.layers.layers[0].W)  # type: ignore[attr-defined]
    assert model.finished is False


def test_constructor_touches_no_file(callback: Callback, tmp_path: Path) -> None:
    assert list((tmp_path / "saved").iterdir()) == []


def test_description_tells_all_that_is_needed_to_make_its_like(callback: Callback) -> None:
    described = describe(callback)
    required = [
        one for one in inspect.signature(type(callback)).parameters.values() if one.default is one.empty
    ]
    assert {one.name for one in required} <= set(described["config"])
    objects = {id(value): value for value in (getattr(callback, name) for name in described["config"])}
    (like,) = rebuild({"callbacks": [described]}, objects.values())
    assert type(like) is type(callback)
    assert describe(like) == described
