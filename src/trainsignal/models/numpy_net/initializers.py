"""How parameters start: distributions that fill an array from a random generator given by the caller."""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.arrays import Floats


class Initializer(ABC):
    """Gives the first values of a parameter."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], rng: np.random.RandomState) -> Floats:
        """Return a new array of `shape`, float32."""


@dataclass(frozen=True)
class Constant(Initializer):
    """Every entry is `val`."""

    val: float = 0.0

    def draw(self, shape: tuple[int, ...], rng: np.random.RandomState) -> Floats:
        return np.full(shape, self.val, dtype=np.float32)


@dataclass(frozen=True)
class Gaussian(Initializer):
    """Entries are normal with mean `loc` and standard deviation `scale`."""

    loc: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not self.scale >= 0:
            raise ConfigurationError(f"Gaussian(scale={self.scale!r}): a standard deviation is 0 or more.")

    def draw(self, shape: tuple[int, ...], rng: np.random.RandomState) -> Floats:
        return rng.normal(self.loc, self.scale, shape).astype(np.float32)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Entries are uniform between `low` and `high`."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ConfigurationError(
                f"Uniform(low={self.low!r}, high={self.high!r}): low must not exceed high."
            )

    def draw(self, shape: tuple[int, ...], rng: np.random.RandomState) -> Floats:
        return rng.uniform(self.low, self.high, shape).astype(np.float32)
