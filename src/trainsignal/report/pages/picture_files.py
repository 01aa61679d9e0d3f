"""Pictures as `<img>`: small ones sharp and lossless, larger ones scaled down and compressed.

Pure; the only file that imports Pillow, which Bokeh brings.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.extras import require

_image: Any = require("PIL.Image", extra="report", user="drawing pictures")

_LOSSLESS = 64
"""Pixels: pictures whose longer side has more are compressed with loss."""

_LARGEST = 160
"""Pixels: pictures whose longer side has more are scaled down."""

_SMALL_ONES_SHOWN_AT = 96
"""Pixels of the page: small pictures are shown at the whole multiple of their size that is nearest to it."""


def picture(pixels: npt.NDArray[np.uint8], what: str) -> str:
    """Return an `<img>` that holds its picture and asks for nothing.

    Args:
        pixels: (H, W, C), with no side of 0; three channels are red, green and blue, of any other number the
            mean is shown as grey.
        what: HTML that says what it shows, to those who do not see it.
    """
    image = _image.fromarray(_visible(pixels))
    is_small = max(image.size) <= _LOSSLESS
    image.thumbnail((_LARGEST, _LARGEST))
    file = io.BytesIO()
    if is_small:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "WebP", quality=85)
    kind = "png" if is_small else "webp"
    width, height = shown_size(pixels)
    data = base64.b64encode(file.getvalue()).decode()
    sharp = ' class="pixels"' if is_small else ""
    return (
        f'<img{sharp} alt="{what}" width="{width}" height="{height}" src="data:image/{kind};base64,{data}">'
    )


def shown_size(pixels: npt.NDArray[np.uint8]) -> tuple[int, int]:
    """Return how wide and how high an image (H, W, C) is shown, in pixels of the page."""
    height, width = pixels.shape[:2]
    longer = max(height, width)
    factor: float = max(1, round(_SMALL_ONES_SHOWN_AT / longer)) if longer <= _LARGEST else _LARGEST / longer
    return max(1, round(width * factor)), max(1, round(height * factor))


def _visible(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return (H, W, 3) of three channels, (H, W) of any other number."""
    channels = pixels.shape[2]
    if channels == 3:
        return np.ascontiguousarray(pixels)
    if channels == 1:
        return np.ascontiguousarray(pixels[:, :, 0])
    grey: npt.NDArray[np.uint8] = np.rint(pixels.mean(axis=2)).astype(np.uint8)
    return grey
