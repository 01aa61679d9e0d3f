from __future__ import annotations

import pickle
from typing import Any

import pytest

from tests.support.given_series import run_epochs
from trainsignal import LambdaCallback
from trainsignal.callback import HOOKS
from trainsignal.errors import ConfigurationError, HandlerError

TOLD: list[int] = []
NAMES = [hook.method for hook in HOOKS]


def tell(callback_data: Any, model: Any, epoch: int) -> None:
    TOLD.append(epoch)


def test_each_function_is_called_with_its_hooks_arguments() -> None:
    calls: list[tuple[Any, ...]] = []

    def noting(name: str) -> Any:
        return lambda *arguments: calls.append((name, *arguments))

    functions: dict[str, Any] = {name: noting(name) for name in NAMES}
    callbacks = run_epochs(LambdaCallback(**functions), epochs=1, costs=(1.0,))

    common = (callbacks.callback_data, callbacks.model())
    assert calls == [
        ("on_train_begin", *common, 1), ("on_epoch_begin", *common, 0), ("on_minibatch_begin", *common, 0, 0),
        ("on_minibatch_end", *common, 0, 0), ("on_epoch_end", *common, 0), ("on_train_end", *common),
        ("on_run_closed", *common, "completed", None),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_hooks_without_a_function_are_not_subscribed(name: str) -> None:
    functions: dict[str, Any] = {name: lambda *arguments: None}
    callback = LambdaCallback(**functions)
    assert [hook.method for hook in HOOKS if hook.is_overridden(callback)] == [name]


def test_frequencies_say_when_the_functions_are_called() -> None:
    calls: list[tuple[int, ...]] = []
    callback = LambdaCallback(
        on_epoch_end=lambda callback_data, model, epoch: calls.append((epoch,)),
        on_minibatch_begin=lambda callback_data, model, epoch, minibatch: calls.append((epoch, minibatch)),
        epoch_freq=2,
        minibatch_freq=[1],
    )
    run_epochs(callback, epochs=4)
    assert calls == [(0, 1), (1, 1), (1,), (2, 1), (3, 1), (3,)]


def test_function_that_cannot_be_called_so_is_refused_before_the_first_epoch() -> None:
    with pytest.raises(HandlerError, match="on_epoch_end cannot be called with"):
        run_epochs(LambdaCallback(on_epoch_end=lambda epoch: None), epochs=1)


def test_callback_without_a_function_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="without a function does nothing: give it one of on_train_"):
        LambdaCallback()


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="on_epoch_end=3: expected a function"):
        LambdaCallback(on_epoch_end=3)  # type: ignore[arg-type]


def test_hook_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="on_batch_end"):
        LambdaCallback(on_batch_end=tell)  # type: ignore[call-arg]


def test_functions_of_a_module_can_be_pickled() -> None:
    TOLD.clear()
    run_epochs(pickle.loads(pickle.dumps(LambdaCallback(on_epoch_end=tell))), epochs=2)
    assert TOLD == [0, 1]
