"""Who wants to know when a series changes; stores handlers by key and calls them, knows nothing of HDF5."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from trainsignal.errors import ConfigurationError, HandlerError


class Stamp(NamedTuple):
    """When a value was assigned."""

    epoch: int
    """0-based index."""

    minibatch: int
    """0-based index within its epoch."""


SeriesHandler: TypeAlias = Callable[[float, Stamp], object] | Callable[[npt.NDArray[Any], Stamp], object]
"""Called with what was assigned, as it was stored, and its stamp: a float, or an array (a copy) for more."""


class Subscription:
    """One handler's interest in one series; ends with `cancel` or with its `with` block."""

    def __init__(self, key: str, handler: SeriesHandler, forget: Callable[[Subscription], None]) -> None:
        self.key = key
        self.handler = handler
        self._forget = forget
        self._is_active = True

    def cancel(self) -> None:
        """End the subscription; the handler is not called again. May be called twice."""
        self._is_active = False
        self._forget(self)

    def call(self, value: float | npt.NDArray[Any], stamp: Stamp) -> None:
        """Call the handler unless cancelled; an exception passes with a note that names it and the key."""
        if not self._is_active:  # cancelled by a handler that was called before this one
            return
        handler = cast("Callable[[object, Stamp], object]", self.handler)
        try:
            handler(value, stamp)
        except BaseException as error:
            name = getattr(handler, "__qualname__", None) or repr(handler)
            error.add_note(
                f"while {name} handled {self.key!r} at epoch {stamp.epoch}, minibatch {stamp.minibatch}"
            )
            raise

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


def call_all(
    subscriptions: Iterable[Subscription], stored: np.generic | npt.NDArray[Any], stamp: Stamp
) -> None:
    """Call each handler with the value `stored`; each is given its own copy of an array."""
    if stored.ndim:
        for subscription in subscriptions:
            subscription.call(np.array(stored), stamp)
        return
    number = stored.item()
    for subscription in subscriptions:
        subscription.call(float(number) if stored.dtype.kind == "f" else number, stamp)


def normal_key(key: str) -> str:
    """Return the one spelling of a path: "/cost//loss" and "./cost/loss" are "cost/loss".

    Raises:
        ConfigurationError: nothing is left.
    """
    normal = "/".join(part for part in key.split("/") if part not in ("", "."))
    if not normal:
        raise ConfigurationError(f"{key!r} names no series. Give a path such as 'cost/train'.")
    return normal


def check_handler(handler: SeriesHandler) -> None:
    """Refuse what cannot be called.

    Raises:
        HandlerError: it is not callable.
    """
    if not callable(handler):
        raise HandlerError(f"{handler!r} is not callable. Give a function of (value, stamp).")
