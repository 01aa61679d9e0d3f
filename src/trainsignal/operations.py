"""Operations on tensors that give tensors: what `Backend` offers by name, over a function of NumPy each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.abilities import Array
from trainsignal.tensor import HostTensor


@dataclass(frozen=True, slots=True)
class Unary:
    """An operation on each element."""

    compute: Callable[[Array], Any]

    def __call__(self, a: npt.ArrayLike, out: HostTensor | None = None) -> HostTensor:
        """Return the result in a new tensor, or in `out`."""
        return result(self.compute(np.asarray(a)), out)


@dataclass(frozen=True, slots=True)
class Binary:
    """An operation on each pair of elements of two tensors, or of a tensor and a number."""

    compute: Callable[[Any, Any], Any]

    def __call__(self, a: npt.ArrayLike, b: npt.ArrayLike, out: HostTensor | None = None) -> HostTensor:
        """Return the result in a new tensor, or in `out`."""
        return result(self.compute(_operand(a), _operand(b)), out)


@dataclass(frozen=True, slots=True)
class Comparison(Binary):
    """A question about each pair of elements, answered as neon's devices do: 1 for yes, 0 for no, float32."""

    def __call__(self, a: npt.ArrayLike, b: npt.ArrayLike, out: HostTensor | None = None) -> HostTensor:
        """Return the answers in a new tensor, or in `out`."""
        return result(self.compute(_operand(a), _operand(b)).astype(np.float32), out)


@dataclass(frozen=True, slots=True)
class Reduction:
    """An operation along one axis, or over all elements; no axis goes away."""

    compute: Callable[..., Any]

    def __call__(
        self, a: npt.ArrayLike, axis: int | None = None, out: HostTensor | None = None, keepdims: bool = True
    ) -> HostTensor:
        """Return the result in a new tensor, or in `out`.

        Args:
            a: (m, n) numbers; (m,) counts as (m, 1).
            axis: None gives (1, 1), 0 gives (1, n), 1 gives (m, 1).
            out: where the result goes.
            keepdims: has no effect, as in neon: both axes are kept in any case.
        """
        return result(self.compute(_with_two_axes(np.asarray(a)), axis=axis, keepdims=True), out)


@dataclass(frozen=True, slots=True)
class Search(Reduction):
    """A search along one axis for an index: the first of several that are equal. No axis goes away."""

    def __call__(
        self, a: npt.ArrayLike, axis: int | None = 1, out: HostTensor | None = None, keepdims: bool = True
    ) -> HostTensor:
        """Return 0-based indices as `Reduction` does, but along axis 1 where none is given."""
        return Reduction.__call__(self, a, axis, out)


def tensor(values: npt.ArrayLike) -> HostTensor:
    """Return the values as a tensor of at least two axes, as (n, 1) where they are (n,)."""
    return _with_two_axes(np.asarray(values)).view(HostTensor)


def result(values: npt.ArrayLike, out: HostTensor | None) -> HostTensor:
    """Return the values in a new tensor, or in `out`."""
    if out is None:
        return tensor(values)
    out[...] = values
    return out


def _with_two_axes(values: Array) -> Array:
    return values.reshape(values.shape + (1,) * (2 - values.ndim))


def _operand(value: npt.ArrayLike) -> Any:
    """Return a number as one that does not change the type of the other operand, else an array."""
    if isinstance(value, np.floating):
        return value.item()
    return value if isinstance(value, (int, float)) else np.asarray(value)
