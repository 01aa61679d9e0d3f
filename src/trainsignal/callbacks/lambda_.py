"""`LambdaCallback`: functions as hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.frequency import Frequency

HookFunction: TypeAlias = Callable[..., object]
"""Called with a hook's arguments, those of the method of `Callback` that has its name."""


class LambdaCallback(Callback):
    """Calls a function at each hook for which one is given, with neon's arguments, and nothing at the others.

    `LambdaCallback(on_epoch_end=lambda callback_data, model, epoch: print(epoch))`. Pickled and copied as
    its functions are: a lambda cannot be pickled, a function of a module can.
    """

    def __init__(
        self,
        *,
        on_train_begin: HookFunction | None = None,
        on_epoch_begin: HookFunction | None = None,
        on_minibatch_begin: HookFunction | None = None,
        on_minibatch_end: HookFunction | None = None,
        on_epoch_end: HookFunction | None = None,
        on_train_end: HookFunction | None = None,
        on_run_closed: HookFunction | None = None,
        epoch_freq: Frequency = 1,
        minibatch_freq: Frequency = 1,
    ) -> None:
        """Take the functions.

        Args:
            on_train_begin: called with callback_data, model, epochs.
            on_epoch_begin: called with callback_data, model, epoch.
            on_minibatch_begin: called with callback_data, model, epoch, minibatch.
            on_minibatch_end: called with callback_data, model, epoch, minibatch.
            on_epoch_end: called with callback_data, model, epoch.
            on_train_end: called with callback_data, model.
            on_run_closed: called with callback_data, model, reason, error.
            epoch_freq: at which epochs the epoch hooks are called.
            minibatch_freq: at which minibatches the minibatch hooks are called.

        Raises:
            ConfigurationError: no function is given, or something that cannot be called.
        """
        super().__init__(epoch_freq=epoch_freq, minibatch_freq=minibatch_freq)
        functions = {
            "on_train_begin": on_train_begin,
            "on_epoch_begin": on_epoch_begin,
            "on_minibatch_begin": on_minibatch_begin,
            "on_minibatch_end": on_minibatch_end,
            "on_epoch_end": on_epoch_end,
            "on_train_end": on_train_end,
            "on_run_closed": on_run_closed,
        }
        given = {name: function for name, function in functions.items() if function is not None}
        if not given:
            raise ConfigurationError(
                f"LambdaCallback without a function does nothing: give it one of {', '.join(functions)}"
            )
        for name, function in given.items():
            if not callable(function):
                raise ConfigurationError(f"{name}={function!r}: expected a function")
        vars(self).update(given)  # so the hooks without a function are not called at all
