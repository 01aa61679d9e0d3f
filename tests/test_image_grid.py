from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trainsignal.errors import DataError
from trainsignal.image_grid import check_samples, image_grid


def grid(samples: Any, num_samples: int, **options: Any) -> Any:
    """Return the red channel of a grid of images of one pixel, black or white, without padding."""
    sizes = {"hw": 1, "nchan": 1, "sym_range": False, "padding": 0} | options
    return image_grid(np.atleast_2d(samples).astype("f4"), num_samples=num_samples, **sizes)


def test_images_fill_the_grid_column_by_column() -> None:
    shades = np.array([10, 20, 30, 40, 50, 60]) / 255 + 1e-4
    picture = grid(1 - shades, 5)
    np.testing.assert_array_equal(picture[..., 0], [[10, 40], [20, 50], [30, 255]])


@pytest.mark.parametrize(
    ("num_samples", "shape"), [(1, (1, 1)), (2, (2, 1)), (4, (2, 2)), (7, (3, 3)), (10, (4, 3)), (16, (4, 4))]
)
def test_grid_has_as_many_rows_as_the_root_of_the_samples(num_samples: int, shape: tuple[int, int]) -> None:
    assert grid(np.zeros(16), num_samples).shape == (*shape, 3)


def test_padding_between_images_is_white() -> None:
    picture = grid(np.ones((4, 4)), 4, hw=2, padding=1)
    expected = np.zeros((5, 5))
    expected[2, :] = expected[:, 2] = 255
    np.testing.assert_array_equal(picture[..., 0], expected)


def test_pixels_of_an_image_lie_row_by_row() -> None:
    picture = grid([[0.0], [0.2], [0.4], [0.6]], 1, hw=2)
    np.testing.assert_array_equal(picture[..., 0], [[255, 204], [153, 102]])


def test_one_channel_is_inverted_and_grey() -> None:
    picture = grid([0.0, 1.0], 2)
    np.testing.assert_array_equal(picture.reshape(2, 3), [[255, 255, 255], [0, 0, 0]])


def test_three_channels_are_blue_green_and_red_as_they_are() -> None:
    picture = grid([[0.2], [0.4], [1.0]], 1, nchan=3)
    np.testing.assert_array_equal(picture.reshape(3), [255, 102, 51])


@pytest.mark.parametrize(("nchan", "expected"), [(1, [255, 128, 0]), (3, [0, 128, 255])])
def test_symmetric_range_is_brought_to_zero_and_one(nchan: int, expected: list[int]) -> None:
    picture = grid([[-1.0, 0.0, 1.0]] * nchan, 3, nchan=nchan, sym_range=True)
    np.testing.assert_array_equal(picture[:, :, 0].T.reshape(-1)[:3], expected)


def test_numbers_outside_of_the_range_are_its_ends_and_nan_its_middle() -> None:
    picture = grid([-5.0, 7.0, np.inf, np.nan], 4)
    np.testing.assert_array_equal(picture[..., 0].T.reshape(-1), [255, 0, 0, 128])


def test_samples_are_left_as_they_were() -> None:
    samples = np.array([[0.0, 2.0]])
    image_grid(samples, hw=1, nchan=1, num_samples=2, sym_range=True, padding=0)
    np.testing.assert_array_equal(samples, [[0, 2]])


def test_samples_that_fit_pass() -> None:
    check_samples(np.zeros((12, 5)), "data", hw=2, nchan=3, num_samples=5)


@pytest.mark.parametrize("shape", [(11, 5), (5, 12), (12,)])
def test_samples_that_are_no_such_images_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"data is \(.*, where .* with 3 \* 2 \* 2 = 12 features"):
        check_samples(np.zeros(shape), "data", hw=2, nchan=3, num_samples=1)


def test_fewer_samples_than_asked_for_are_refused() -> None:
    with pytest.raises(DataError, match="data has 5 columns, fewer than num_samples=6"):
        check_samples(np.zeros((12, 5)), "data", hw=2, nchan=3, num_samples=6)
