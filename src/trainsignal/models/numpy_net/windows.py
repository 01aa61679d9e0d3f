"""Where the windows of a convolution or a pooling lie on an image; from image to windows and back.

A strided view makes the windows: no loop runs over pixels or samples, only, on the way back, over the places
within a window. Knows no layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.arrays import Floats, Shape, is_image

Pair = int | tuple[int, int] | Mapping[str, int]
"""One number for both directions, (down, across), or neon's {"pad_h": down, "pad_w": across}."""


@dataclass(frozen=True, slots=True)
class WindowShape:
    """Size of a window and how it moves, not yet on an image.

    Attributes:
        size: (rows, columns) of pixels.
        strides: pixels from one window to the next, (down, across).
        padding: pixels that the image is extended by at each side, (above and below, left and right).
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int]

    def on(self, in_shape: Shape, owner: str) -> Windows:
        """Return the windows on images of `in_shape`; `owner` is named in the messages.

        Raises:
            ConfigurationError: no (channels, height, width), or an image that is smaller than a window.
        """
        if not is_image(in_shape):
            raise ConfigurationError(
                f"{owner}: inputs of shape {in_shape!r} are no images. Give the data set "
                "lshape=(channels, height, width), and put the layer before any that makes samples flat."
            )
        channels, height, width = in_shape
        counts = [
            (pixels + 2 * padding - extent) // stride + 1
            for pixels, extent, stride, padding in zip(
                (height, width), self.size, self.strides, self.padding, strict=True
            )
        ]
        if min(counts) < 1:
            raise ConfigurationError(
                f"{owner}: a window of {self.size} pixels does not fit into an image of {(height, width)} "
                f"with padding {self.padding}. Make it smaller, or pad more."
            )
        return Windows(self, (channels, height, width), (counts[0], counts[1]))


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows on images of one shape; pixels at the end that fill no window are left out.

    Attributes:
        shape: size, strides and padding.
        image: (channels, height, width).
        counts: number of windows, (down, across).
    """

    shape: WindowShape
    image: tuple[int, int, int]
    counts: tuple[int, int]

    def of(self, inputs: Floats, padding_value: float = 0.0) -> Floats:
        """Return what each window shows.

        Args:
            inputs: (channels * height * width, columns).
            padding_value: stands outside the image.

        Returns:
            (channels, window rows, window columns, windows down, windows across, columns), a read-only view.
        """
        padded = np.full(self._padded_shape(inputs.shape[1]), padding_value, inputs.dtype)
        padded[self._image_in_padded()] = inputs.reshape(*self.image, -1)
        every = np.lib.stride_tricks.sliding_window_view(padded, self.shape.size, axis=(1, 2))
        down, across = self.shape.strides
        return every[:, ::down, ::across].transpose(0, 4, 5, 1, 2, 3)

    def add_up(self, by_window: Floats) -> Floats:
        """Return the sum of what all windows hold of each pixel: the transpose of `of`.

        Args:
            by_window: as `of` returns.

        Returns:
            (channels * height * width, columns).
        """
        columns = by_window.shape[-1]
        padded = np.zeros(self._padded_shape(columns), by_window.dtype)
        (down, across), (windows_down, windows_across) = self.shape.strides, self.counts
        for row, column in np.ndindex(self.shape.size):
            rows = slice(row, row + down * windows_down, down)
            columns_of_pixels = slice(column, column + across * windows_across, across)
            padded[:, rows, columns_of_pixels] += by_window[:, row, column]
        return padded[self._image_in_padded()].reshape(-1, columns)

    def _padded_shape(self, columns: int) -> tuple[int, int, int, int]:
        channels, height, width = self.image
        pad_h, pad_w = self.shape.padding
        return channels, height + 2 * pad_h, width + 2 * pad_w, columns

    def _image_in_padded(self) -> tuple[slice, slice, slice]:
        _, height, width = self.image
        pad_h, pad_w = self.shape.padding
        return slice(None), slice(pad_h, pad_h + height), slice(pad_w, pad_w + width)


def pair(value: Pair, name: str, names: tuple[str, str], least: int) -> tuple[int, int]:
    """Return (down, across) for a number, a pair, or neon's dict.

    Args:
        value: what the user gave; a direction that a dict leaves out is `least`.
        name: of the argument, for the message.
        names: neon's keys, such as ("str_h", "str_w").
        least: smallest number that has a meaning.

    Raises:
        ConfigurationError: other keys, or numbers that are no integers of at least `least`.
    """
    if isinstance(value, Mapping):
        numbers = [value.get(key, least) for key in names]
        is_known = set(value) <= set(names)
    else:
        numbers = list(value) if isinstance(value, tuple) else [value, value]
        is_known = len(numbers) == 2
    if not is_known or not all(_is_integer(number) and number >= least for number in numbers):
        raise ConfigurationError(
            f"{name}={value!r}: expected an integer of at least {least}, two of them, (down, across), "
            f"or a dict with {names[0]!r} and {names[1]!r}."
        )
    return int(numbers[0]), int(numbers[1])


def _is_integer(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
