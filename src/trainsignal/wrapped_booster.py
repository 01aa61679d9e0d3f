"""`WrappedBooster`: what the wrappers of gradient boosting libraries share. Knows no such library."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from trainsignal.abilities import Array, State
from trainsignal.errors import CheckpointError, ConfigurationError, RunStateError
from trainsignal.wrapped_model import PredictingModel

_LIBRARY, _BOOSTER, _CHECKSUM = "library", "booster", "crc32"


class WrappedBooster(PredictingModel):
    """Stands for the booster that a library makes when training begins, and hands to its callbacks."""

    loss: Callable[[Any, Any], Any]
    """Function (outputs, targets) to their mean loss; absent where none was given."""

    def __init__(self, library: str, kind: type, loss: Callable[[Any, Any], Any] | None) -> None:
        """Begin without a booster.

        Args:
            library: its name, for messages and checkpoints.
            kind: the library's class of boosters.
            loss: see the attribute; None: the wrapper computes no loss.

        Raises:
            ConfigurationError: `loss` cannot be called.
        """
        super().__init__()
        if loss is not None:
            if not callable(loss):
                raise ConfigurationError(f"loss={loss!r}: expected a function (outputs, targets) -> number")
            self.loss = loss
        self._library = library
        self._kind = kind
        self._booster: Any = None

    @property
    def booster(self) -> Any:
        """The booster: in training that which is trained, afterwards that which training has made.

        Raises:
            RunStateError: training has not begun, and no checkpoint was loaded.
        """
        if self._booster is None:
            raise RunStateError(f"{type(self).__name__} has no booster yet: training makes it when it begins")
        return self._booster

    def take_booster(self, booster: Any) -> None:
        """Stand for this booster from now on.

        Raises:
            ConfigurationError: it is none of the library, or several, as in a cross-validation.
        """
        if not isinstance(booster, self._kind):
            kind = f"{type(booster).__module__}.{type(booster).__qualname__}"
            raise ConfigurationError(
                f"{type(self).__name__} stands for one booster of {self._library}, and {kind} is trained. "
                "Give Callbacks that library's wrapper; for a cross-validation any object, the parameters say"
            )
        self._booster = booster

    def evaluating(self) -> AbstractContextManager[object]:
        """Change nothing: a booster predicts alike in training and afterwards."""
        return contextlib.nullcontext()

    def to_host(self, value: Any) -> Array:
        """Return `value`, outputs or targets, as a NumPy array."""
        return np.asarray(value)

    def _packed(self, content: bytes | bytearray) -> State:
        """Return what a checkpoint holds of a booster, in the library's own format."""
        packed = np.frombuffer(content, np.uint8)
        return {_LIBRARY: self._library, _BOOSTER: packed, _CHECKSUM: zlib.crc32(content)}

    def _unpacked(self, state: State) -> bytes:
        """Return what `_packed` was given; the libraries end the process over some damaged boosters.

        Raises:
            CheckpointError: the checkpoint is of another kind of model, or damaged.
        """
        if state.get(_LIBRARY) != self._library or _BOOSTER not in state:
            raise CheckpointError(
                f"this is no checkpoint of a booster of {self._library}: its entries are "
                f"{', '.join(map(repr, state)) or 'none'}, and {_LIBRARY!r} is {state.get(_LIBRARY)!r}"
            )
        content = np.asarray(state[_BOOSTER], np.uint8).tobytes()
        if zlib.crc32(content) != state.get(_CHECKSUM):
            raise CheckpointError(f"the booster in the checkpoint is damaged: its {_CHECKSUM} is another")
        return content


def check_fits(saved: Mapping[str, object], own: Mapping[str, object]) -> None:
    """Refuse a checkpoint of a booster that was made for other data, or for another end.

    Args:
        saved: properties of the checkpoint's booster by name.
        own: the same of the one at hand.

    Raises:
        CheckpointError: they differ.
    """
    differing = [
        f"{name} {saved[name]!r} instead of {own[name]!r}" for name in own if saved[name] != own[name]
    ]
    if differing:
        raise CheckpointError(f"the checkpoint is of another booster: it has {', '.join(differing)}")
