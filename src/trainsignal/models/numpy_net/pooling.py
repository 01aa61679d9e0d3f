"""`Pooling`: the largest or the mean value of each window of an image."""

# ruff: noqa: D102 - a method that overrides another inherits its docstring

from __future__ import annotations

from typing import Literal

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.arrays import Floats, Shape
from trainsignal.models.numpy_net.layers import Layer
from trainsignal.models.numpy_net.windows import Pair, Windows, WindowShape, pair


class Pooling(Layer):
    """Reduces each window of each channel to one value.

    Windows may overlap, and pixels at the end that fill no window are left out. Of equal maxima the first
    counts, by rows; places outside the image are never the largest and not in the mean. Source: neon's layer.

    Args:
        fshape: rows and columns of a window: an int, (rows, columns) or neon's {"R": rows, "S": columns}.
        op: "max" or "avg".
        strides: steps of the window: an int, (down, across) or neon's {"str_h": down, "str_w": across};
            None: one window begins where the one before it ends.
        padding: places around the image, likewise, with neon's keys "pad_h" and "pad_w"; fewer than a window.
        name: None lets the model name it.

    Attributes:
        in_shape: (channels, height, width); None until the model is initialized.
        out_shape: (channels, windows down, windows across); None until the model is initialized.

    Raises:
        ConfigurationError: an unknown `op`, or a size, stride or padding that has no meaning.
    """

    def __init__(
        self,
        fshape: Pair,
        op: Literal["max", "avg"] = "max",
        strides: Pair | None = None,
        padding: Pair = 0,
        name: str | None = None,
    ) -> None:
        if op not in ("max", "avg"):
            raise ConfigurationError(f"op={op!r}: expected 'max' or 'avg'.")
        super().__init__(name)
        self.fshape = fshape
        self.op = op
        self.strides = strides
        self.padding = padding
        size = pair(fshape, "fshape", ("R", "S"), least=1)
        self._shape = WindowShape(
            size=size,
            strides=size if strides is None else pair(strides, "strides", ("str_h", "str_w"), least=1),
            padding=pair(padding, "padding", ("pad_h", "pad_w"), least=0),
        )
        if any(pad >= extent for pad, extent in zip(self._shape.padding, size, strict=True)):
            raise ConfigurationError(
                f"padding={padding!r} with fshape={fshape!r}: some windows would show nothing of the image. "
                "Pad by less than a window."
            )
        self.in_shape: tuple[int, int, int] | None = None
        self.out_shape: tuple[int, int, int] | None = None

    def configure(self, in_shape: Shape, rng: np.random.RandomState) -> Shape:
        self._windows: Windows = self._shape.on(in_shape, f"Pooling {self.name!r}")
        self.in_shape = self._windows.image
        self.out_shape = (self.in_shape[0], *self._windows.counts)
        self._pixels = self._count_pixels()
        return self.out_shape

    def fprop(self, inputs: Floats, inference: bool = False) -> Floats:
        if self.op == "avg":
            return self._means(inputs)
        candidates = self._by_place(self._windows.of(inputs, padding_value=-np.inf))
        if not inference:
            self._largest = candidates.argmax(axis=1)
        outputs: Floats = candidates.max(axis=1)
        return outputs.reshape(-1, inputs.shape[1])

    def bprop(self, error: Floats) -> Floats:
        columns = error.shape[1]
        channels, *_ = self._windows.image
        by_window = error.reshape(channels, 1, *self._windows.counts, columns)
        places = np.arange(self._places, dtype=np.intp).reshape(-1, 1, 1, 1)
        if self.op == "avg":
            spread = np.repeat(by_window / self._pixels, self._places, axis=1)
        else:
            spread = by_window * (self._largest[:, np.newaxis] == places)
        return self._windows.add_up(
            spread.reshape(channels, *self._shape.size, *self._windows.counts, columns)
        )

    def config(self) -> dict[str, object]:
        return super().config() | {
            "fshape": self.fshape,
            "op": self.op,
            "strides": self.strides,
            "padding": self.padding,
        }

    def __str__(self) -> str:
        inputs = outputs = "?"
        if self.in_shape is not None and self.out_shape is not None:
            inputs, outputs = ("{} x ({}x{})".format(*shape) for shape in (self.in_shape, self.out_shape))
        return f"Pooling Layer '{self.name}': {inputs} inputs, {outputs} outputs"

    @property
    def _places(self) -> int:
        """Number of pixels that a window within the image shows."""
        return self._shape.size[0] * self._shape.size[1]

    def _by_place(self, windows: Floats) -> Floats:
        """Return (channels, places, windows down, windows across, columns)."""
        return windows.reshape(len(windows), self._places, *windows.shape[3:])

    def _means(self, inputs: Floats) -> Floats:
        sums = self._windows.of(inputs).sum(axis=(1, 2))
        means: Floats = sums / self._pixels
        return means.reshape(-1, inputs.shape[1])

    def _count_pixels(self) -> Floats:
        """Return how many pixels of the image each window shows, (windows down, windows across, 1)."""
        _, height, width = self._windows.image
        one_channel = Windows(self._shape, (1, height, width), self._windows.counts)
        everywhere = np.ones((height * width, 1), np.float32)
        shown: Floats = one_channel.of(everywhere)[0].sum(axis=(0, 1))
        return shown
