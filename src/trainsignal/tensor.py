"""`HostTensor`: an array that answers as neon's tensors do, for callbacks written for them.

Knows no model; the backend that made a tensor is what `KeepsHistograms` says.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from trainsignal.abilities import Array
from trainsignal.errors import ConfigurationError
from trainsignal.histogram import log2_histogram


class KeepsHistograms(Protocol):
    """What a tensor needs of the backend that it belongs to."""

    def keep_histogram(self, tag: str, counts: Array) -> HostTensor:
        """Keep counts under a tag until they are dumped; return them as (1, bins) int32."""
        ...


class HostTensor(np.ndarray[Any, np.dtype[Any]]):
    """A NumPy array with the methods of neon's tensors.

    Indexing, arithmetic and printing are NumPy's: `tensor[0]` has one axis less, where neon keeps two, and
    `tensor[0, 0]` is a number. `copy()` is NumPy's too; neon's, which copies into the tensor, is also spelled
    `copy_from`. One element is taken for a number, as `"%f" % cost` needs; NumPy itself has stopped to do so
    for a (1, 1) array.

    Attributes:
        backend: keeps the histograms of the tensor; None for a view, a copy or the result of arithmetic.
    """

    backend: KeepsHistograms | None = None

    def get(self) -> Array:
        """Return a copy as a plain array, as neon copies a tensor from its device.

        A copy of one element can still do what a plain array no longer does: `float(loss.get() / n)`.
        """
        return np.array(self, subok=self.size == 1)

    def asnumpyarray(self) -> Array:
        """Return a copy as a plain array; the same as `get`."""
        return self.get()

    def set(self, ary: npt.ArrayLike) -> Self:
        """Take over the values of `ary`, in place.

        Args:
            ary: as many numbers as there are elements, in any shape; one number goes everywhere.

        Raises:
            ConfigurationError: another number of values.
        """
        values = np.asarray(ary)
        if values.size not in (1, self.size):
            raise ConfigurationError(
                f"a tensor of shape {self.shape} was given {values.size} values of shape {values.shape}, "
                f"expected {self.size} or one for all."
            )
        self[...] = values.reshape(self.shape if values.size == self.size else ())
        return self

    def copy_from(self, a: npt.ArrayLike) -> Self:
        """Take over the values of `a`, in place; the same as `set`."""
        return self.set(a)

    def fill(self, value: npt.ArrayLike) -> Self:  # type: ignore[override]  # neon's returns the tensor
        """Make every element `value`, in place."""
        super().fill(value)
        return self

    def hist(self, tag: str) -> HostTensor:
        """Count the magnitudes by powers of two, and keep the counts in the backend until they are dumped.

        Args:
            tag: under which `Backend.dump_hist_data` tells of them.

        Returns:
            (1, bins) int32; `trainsignal.histogram` says what counts where.

        Raises:
            ConfigurationError: the tensor belongs to no backend.
        """
        if self.backend is None:
            raise ConfigurationError(
                f"hist({tag!r}): this tensor is a view, a copy or a result, which no backend keeps "
                "histograms of. Ask a layer's parameter, or a tensor that the backend made: be.array(values)."
            )
        counts, _ = log2_histogram(self)
        return self.backend.keep_histogram(tag, counts)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)
