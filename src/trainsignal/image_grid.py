"""Samples of a network as one picture: a grid of square images.

Pure functions over NumPy arrays; draws no file.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from trainsignal.abilities import Array
from trainsignal.errors import DataError


def check_samples(samples: Array, name: str, *, hw: int, nchan: int, num_samples: int) -> None:
    """Refuse samples that are no such images, or too few.

    Args:
        samples: (features, columns).
        name: of the samples, for the message.
        hw: height and width of an image.
        nchan: number of channels.
        num_samples: how many will be shown.

    Raises:
        DataError: another number of features than (nchan, hw, hw) has, or fewer columns than samples.
    """
    if samples.ndim != 2 or len(samples) != nchan * hw * hw:
        raise DataError(
            f"{name} is {samples.shape}, where (features, columns) with {nchan} * {hw} * {hw} = "
            f"{nchan * hw * hw} features were expected: set hw and nchan to the size of the images"
        )
    if samples.shape[1] < num_samples:
        raise DataError(
            f"{name} has {samples.shape[1]} columns, fewer than num_samples={num_samples}: ask for fewer"
        )


def image_grid(
    samples: Array, *, hw: int, nchan: int, num_samples: int, sym_range: bool, padding: int
) -> npt.NDArray[np.uint8]:
    """Return the first samples as a grid, filled column by column, of ceil(sqrt(num_samples)) rows.

    Images of one channel are inverted, so that 0 is white. Three channels are taken as blue, green and red,
    the order of neon's image loader. What lies outside of the range is shown as its nearer end, NaN as its
    middle. Source: neon's plotting callback, but for the numbers outside of the range.

    Args:
        samples: (features, columns), as `check_samples` lets pass; feature (c * hw + h) * hw + w.
        hw: height and width of an image.
        nchan: number of channels, 1 or 3.
        num_samples: how many are shown.
        sym_range: values lie in [-1, 1] instead of [0, 1].
        padding: white pixels between two images.

    Returns:
        (height, width, 3): red, green, blue.
    """
    values = samples[:, :num_samples].astype(np.float64).reshape(nchan, hw, hw, num_samples)
    if sym_range:
        values = (values + 1) / 2
    values = np.clip(np.nan_to_num(values, nan=0.5), 0, 1)
    if nchan == 1:
        values = 1 - values
    images = np.rint(values.transpose(3, 1, 2, 0)[..., ::-1] * 255).astype(np.uint8)
    rows = math.ceil(math.sqrt(num_samples))
    columns = math.ceil(num_samples / rows)
    step = hw + padding
    grid = np.full((rows * step - padding, columns * step - padding, 3), 255, np.uint8)
    for place, image in enumerate(images):
        top, left = place % rows * step, place // rows * step
        grid[top : top + hw, left : left + hw] = image
    return grid
