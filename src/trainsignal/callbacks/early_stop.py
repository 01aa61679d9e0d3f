"""`EarlyStopCallback`: stop when a function of the evaluation loss says so."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from trainsignal import keys
from trainsignal.errors import ConfigurationError
from trainsignal.shared_data import SharedData
from trainsignal.stopping import StoppingCallback

_logger = logging.getLogger(__name__)

StopFunction: TypeAlias = Callable[[Any, Any], tuple[Any, bool]]
"""Takes (state, float32 loss) and returns (new state, whether to stop); the first state is None."""


class EarlyStopCallback(StoppingCallback):
    """Hands each evaluation loss to a function of yours, and stops at the end of the epoch if it says so.

    The state that the function returns is kept for its next call; a new run begins with None. It may be any
    object; only where it is made of plain values (numbers, text, arrays, lists, dicts of them) does a resumed
    run go on with it.
    """

    reads = (keys.LOSS,)

    def __init__(self, stop_func: StopFunction) -> None:
        """Store the function.

        Raises:
            ConfigurationError: it cannot be called.
        """
        super().__init__()
        if not callable(stop_func):
            raise ConfigurationError(
                f"stop_func={stop_func!r}: expected a function (state, loss) -> (state, stop)"
            )
        self.stop_func = stop_func
        self.stop_state: Any = None
        self._has_warned = False

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        super().on_train_begin(callback_data, model, epochs)
        self.stop_state, self._has_warned = None, False

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        loss = self._get_cached_epoch_loss(callback_data, model, epoch, "loss")
        if loss is None:
            return
        answer = self.stop_func(self.stop_state, loss["cost"])
        try:
            self.stop_state, stop = answer
        except (TypeError, ValueError):
            raise ConfigurationError(
                f"stop_func returned {answer!r}: expected a pair (state, stop)"
            ) from None
        if stop:
            name = getattr(self.stop_func, "__qualname__", type(self.stop_func).__qualname__)
            self.stop(f"{name} stopped at loss {loss['cost']:g} of epoch {epoch}")

    def state_dict(self) -> dict[str, Any]:
        """Return the function's state and the vote; a state that is not plain is left out, with a warning."""
        state = super().state_dict()
        if self.stop_state is not None and "stop_state" not in state and not self._has_warned:
            self._has_warned = True
            _logger.warning(
                "the state that stop_func keeps (%s) is not made of plain values and cannot be saved: "
                "a resumed run begins with None",
                type(self.stop_state).__qualname__,
            )
        return state
