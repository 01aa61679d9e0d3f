"""`Backend`: what neon's callbacks use of `self.be`, over NumPy; and the attribute `be` of a callback.

Results are computed at once, where neon puts off what is not assigned. Knows no model.
"""

from __future__ import annotations

from typing import Final, overload

import numpy as np
import numpy.typing as npt

from trainsignal import histogram
from trainsignal.abilities import Array
from trainsignal.errors import ConfigurationError, UnknownBatchSizeError
from trainsignal.operations import Binary, Comparison, Reduction, Search, Unary, result, tensor
from trainsignal.run_link import joined_run
from trainsignal.tensor import HostTensor

SAFE_LOG_FLOOR: Final = np.float32(np.exp(-50))
"""Least number that `safelog` takes the logarithm of, as in neon."""

OWN_BACKEND: Final = "trainsignal backend"
"""Key in a callback's `__dict__`; with its space it is no attribute name that a subclass could use."""


class Backend:
    """Makes tensors and computes with them. Source: the backend of neon's that computes with NumPy.

    Left out are neon's kernels for layers (convolution, pooling, batch normalization), its op-trees, and what
    belongs to several devices.

    Attributes:
        default_dtype: type of the tensors that it makes, unless told otherwise.
        rng: the random generator.
        hist_bins: number of bins of a histogram.
        hist_offset: the power of two whose magnitudes fall into bin 0.
    """

    add = Binary(np.add)
    subtract = Binary(np.subtract)
    multiply = Binary(np.multiply)
    divide = true_divide = Binary(np.true_divide)
    power = Binary(np.power)
    maximum = Binary(np.maximum)
    minimum = Binary(np.minimum)
    dot = Binary(np.dot)

    equal = Comparison(np.equal)
    not_equal = Comparison(np.not_equal)
    less = Comparison(np.less)
    less_equal = Comparison(np.less_equal)
    greater = Comparison(np.greater)
    greater_equal = Comparison(np.greater_equal)

    absolute = fabs = Unary(np.abs)
    negative = Unary(np.negative)
    reciprocal = Unary(lambda a: 1 / a)
    sgn = Unary(np.sign)
    sqrt = Unary(np.sqrt)
    square = Unary(np.square)
    exp = Unary(np.exp)
    exp2 = Unary(np.exp2)
    log = Unary(np.log)
    log2 = Unary(np.log2)
    safelog = Unary(lambda a: np.log(np.maximum(a, SAFE_LOG_FLOOR)))
    sig = Unary(lambda a: (1 + np.tanh(a / 2)) / 2)
    tanh = Unary(np.tanh)
    finite = Unary(lambda a: np.isfinite(a).astype(np.float32))
    transpose = Unary(np.transpose)

    sum = Reduction(np.sum)
    mean = Reduction(np.mean)
    var = Reduction(np.var)
    std = Reduction(np.std)
    max = Reduction(np.max)
    min = Reduction(np.min)
    argmax = Search(np.argmax)
    argmin = Search(np.argmin)

    hist_bins = histogram.BINS
    hist_offset = histogram.OFFSET

    def __init__(
        self,
        bsz: int | None = None,
        *,
        rng: np.random.RandomState | None = None,
        default_dtype: npt.DTypeLike = np.float32,
    ) -> None:
        """Make a backend.

        Args:
            bsz: number of columns of a minibatch; None: not known yet.
            rng: the random generator; None: one that nobody can predict.
            default_dtype: type of the tensors that it makes.
        """
        self.rng = np.random.RandomState() if rng is None else rng
        self.default_dtype = default_dtype
        self._bsz = bsz
        self._histograms: dict[str, Array] = {}

    @property
    def bsz(self) -> int:
        """Number of columns of a minibatch.

        Raises:
            UnknownBatchSizeError: nobody has told it.
        """
        if self._bsz is None:
            raise UnknownBatchSizeError(
                "the batch size is not known yet. A model that has `be` tells it from train begin on; with "
                "another model, or before, say it yourself: self.be.bsz = 32."
            )
        return self._bsz

    @bsz.setter
    def bsz(self, bsz: int | None) -> None:
        self._bsz = bsz

    # Making tensors; `name` and `persist_values` are neon's and have no effect.

    def zeros(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike | None = None, name: str | None = None,
        persist_values: bool = True,
    ) -> HostTensor:  # fmt: skip
        """Return a tensor of zeros; a shape of one number n means (n, 1)."""
        return self.array(np.zeros(shape, self._dtype(dtype)), dtype)

    def ones(
        self, shape: int | tuple[int, ...], dtype: npt.DTypeLike | None = None, name: str | None = None,
        persist_values: bool = True,
    ) -> HostTensor:  # fmt: skip
        """Return a tensor of ones; a shape of one number n means (n, 1)."""
        return self.array(np.ones(shape, self._dtype(dtype)), dtype)

    def array(
        self, ary: npt.ArrayLike, dtype: npt.DTypeLike | None = None, name: str | None = None,
        persist_values: bool = True,
    ) -> HostTensor:  # fmt: skip
        """Return a tensor with a copy of the values, as (n, 1) where `ary` is (n,)."""
        made = tensor(np.array(ary, self._dtype(dtype), subok=False))
        made.backend = self
        return made

    def zeros_like(
        self, ary: Array, dtype: npt.DTypeLike | None = None, name: str | None = None
    ) -> HostTensor:
        """Return a tensor of zeros in the shape of another."""
        return self.zeros(ary.shape, dtype)

    def ones_like(
        self, ary: Array, dtype: npt.DTypeLike | None = None, name: str | None = None
    ) -> HostTensor:
        """Return a tensor of ones in the shape of another."""
        return self.ones(ary.shape, dtype)

    empty, empty_like = zeros, zeros_like
    """neon's promise nothing of the values."""

    def iobuf(self, dim0: int | tuple[int, ...], dtype: npt.DTypeLike | None = None) -> HostTensor:
        """Return a tensor of zeros with `bsz` columns.

        Args:
            dim0: number of rows, shape of an image, or (features, steps), which has `bsz` columns a step.
            dtype: of the elements.

        Raises:
            UnknownBatchSizeError: nobody has told the batch size.
        """
        if isinstance(dim0, tuple) and len(dim0) == 2:
            return self.zeros((dim0[0], dim0[1] * self.bsz), dtype)
        return self.zeros((int(np.prod(dim0)), self.bsz), dtype)

    def _dtype(self, dtype: npt.DTypeLike | None) -> npt.DTypeLike:
        return self.default_dtype if dtype is None else dtype

    # Operations with other arguments than those above.

    def clip(
        self, a: npt.ArrayLike, a_min: npt.ArrayLike, a_max: npt.ArrayLike, out: HostTensor | None = None
    ) -> HostTensor:
        """Return the elements, those outside of [a_min, a_max] replaced by the nearer bound."""
        return self.minimum(self.maximum(a, a_min), a_max, out)

    def take(
        self, a: npt.ArrayLike, indices: npt.ArrayLike, axis: int, out: HostTensor | None = None
    ) -> HostTensor:
        """Return the rows (axis 0) or columns (axis 1) at the indices, which may be a tensor of (n, 1)."""
        chosen = np.asarray(indices).reshape(-1).astype(np.intp)
        return result(np.take(np.asarray(a), chosen, axis=axis), out)

    def onehot(self, indices: npt.ArrayLike, axis: int, out: HostTensor | None = None) -> HostTensor:
        """Put 1 where the class is, and 0 elsewhere.

        Args:
            indices: the class of each sample, 0-based.
            axis: of `out` along which the classes are, 0 or 1.
            out: (classes, samples) for axis 0, (samples, classes) for axis 1.

        Raises:
            ConfigurationError: no `out`, which alone tells the number of classes; or another axis.
        """
        if axis not in (0, 1):
            raise ConfigurationError(f"axis={axis!r}: classes are along axis 0 or 1.")
        if out is None:
            raise ConfigurationError(
                "onehot needs the tensor that takes the result, which alone tells the number of classes: "
                "instead of t[:] = be.onehot(labels, axis=0) write be.onehot(labels, axis=0, out=t)."
            )
        classes = np.asarray(indices).reshape(-1).astype(np.intp)
        places = np.arange(classes.size)
        out[...] = 0
        out[(classes, places) if axis == 0 else (places, classes)] = 1
        return out

    def compound_dot(
        self,
        A: npt.ArrayLike,
        B: npt.ArrayLike,
        C: HostTensor,
        alpha: float = 1.0,
        beta: float = 0.0,
        relu: bool = False,
    ) -> HostTensor:
        """Make C the matrix product `alpha * A B`, with `relu` its positive part, plus `beta * C`."""
        product = alpha * (np.asarray(A) @ np.asarray(B))
        C[...] = (np.maximum(product, 0) if relu else product) + (beta * C if beta else 0)
        return C

    def fill_normal(self, ary: HostTensor, mean: float = 0.0, stdv: float = 1.0) -> None:
        """Fill a tensor with normal random numbers from `rng`."""
        ary[...] = self.rng.normal(mean, stdv, ary.shape)

    def gen_rng(self, seed: int | None = None) -> np.random.RandomState:
        """Begin and return a new random generator."""
        self.rng = np.random.RandomState(seed)
        return self.rng

    # Histograms.

    def keep_histogram(self, tag: str, counts: Array) -> HostTensor:
        """Keep counts under a tag until they are dumped; return them as (1, bins) int32."""
        self._histograms[tag] = counts.reshape(1, -1)
        return self._histograms[tag].view(HostTensor)

    def dump_hist_data(self) -> tuple[HostTensor, dict[str, int]]:
        """Hand over the histograms that were made since the last time.

        Returns:
            (histograms, bins) int32, and the row of each tag.
        """
        counts = [np.empty((0, self.hist_bins), np.int32), *self._histograms.values()]
        rows = {tag: row for row, tag in enumerate(self._histograms)}
        self._histograms = {}
        return tensor(np.concatenate(counts)), rows

    # neon marks the minibatches of its loop so; nothing depends on it here.

    def begin(self, block: object, identifier: int) -> None:
        """Do nothing."""

    def end(self, block: object, identifier: int) -> None:
        """Do nothing."""


class BackendAttribute:
    """`be` of a callback: the backend of the model that it trains, else one of its own.

    Whatever a class or an instance sets under this name is found before it.
    """

    @overload
    def __get__(self, instance: None, owner: type) -> BackendAttribute: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Backend: ...

    def __get__(self, instance: object | None, owner: type) -> Backend | BackendAttribute:
        if instance is None:
            return self
        run = joined_run(instance)
        of_model: Backend | None = None if run is None else getattr(run.model, "be", None)
        if of_model is not None:
            return of_model
        own: Backend = vars(instance).setdefault(OWN_BACKEND, Backend())
        return own
