"""Pictures as `<img>`."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from trainsignal.report.pages.picture_files import picture, shown_size


def noise(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def file_of(html: str) -> tuple[str, Image.Image]:
    """Return the type of the picture in an `<img>`, and the picture."""
    match = re.search(r'src="data:image/(\w+);base64,([^"]+)"', html)
    assert match is not None
    return match[1], Image.open(io.BytesIO(base64.b64decode(match[2])))


@pytest.mark.parametrize("shape", [(8, 8, 3), (64, 5, 3), (1, 1, 3)])
def test_small_pictures_keep_each_pixel(shape: tuple[int, ...]) -> None:
    kind, image = file_of(picture(noise(*shape), "noise"))

    assert kind == "png"
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), noise(*shape))


def test_one_channel_is_grey() -> None:
    _, image = file_of(picture(noise(8, 6, 1), "noise"))

    np.testing.assert_array_equal(np.asarray(image.convert("L")), noise(8, 6, 1)[:, :, 0])


@pytest.mark.parametrize("channels", [2, 4])
def test_of_other_numbers_of_channels_the_mean_is_grey(channels: int) -> None:
    pixels = noise(8, 6, channels)
    _, image = file_of(picture(pixels, "noise"))

    np.testing.assert_array_equal(np.asarray(image.convert("L")), np.rint(pixels.mean(axis=2)))


@pytest.mark.parametrize("level", [0, 127, 255])
def test_an_even_picture_is_drawn_as_it_is(level: int) -> None:
    _, image = file_of(picture(np.full((4, 4, 1), level, np.uint8), "even"))

    assert set(np.asarray(image.convert("L")).ravel()) == {level}


def test_larger_pictures_are_compressed_and_the_largest_scaled_down() -> None:
    smooth = np.broadcast_to(
        np.linspace(0, 255, 400, dtype=np.uint8)[:, np.newaxis, np.newaxis], (400, 200, 3)
    )
    kind, image = file_of(picture(smooth, "slope"))

    assert (kind, image.size) == ("webp", (80, 160))
    expected = (np.array([10, 80, 150]) + 0.5) / 160 * 255
    np.testing.assert_allclose(np.asarray(image)[[10, 80, 150], 40, 0], expected, atol=4)
    assert file_of(picture(noise(65, 65, 3), "noise"))[1].size == (65, 65)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((8, 8, 1), (96, 96)),
        ((28, 28, 1), (84, 84)),
        ((32, 16, 3), (48, 96)),
        ((64, 64, 3), (128, 128)),
        ((100, 50, 3), (50, 100)),
        ((160, 160, 3), (160, 160)),
        ((320, 200, 3), (100, 160)),
        ((1, 1000, 3), (160, 1)),
    ],
)
def test_small_pictures_are_shown_at_a_whole_multiple_and_large_ones_smaller(
    shape: tuple[int, ...], size: tuple[int, int]
) -> None:
    pixels = noise(*shape)

    assert shown_size(pixels) == size
    assert f'width="{size[0]}" height="{size[1]}"' in picture(pixels, "noise")
