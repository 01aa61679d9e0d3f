from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net.windows import Windows, WindowShape, pair

Doubles = npt.NDArray[np.float64]

CHANNELS, COLUMNS = 2, 3


@st.composite
def laid_out(draw: st.DrawFn) -> Windows:
    """Draw windows on images of any size that they fit into."""
    size, strides = (draw(st.tuples(st.integers(1, 4), st.integers(1, 4))) for _ in range(2))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    image = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    assume(all(side + 2 * pad >= extent for side, pad, extent in zip(image, padding, size, strict=True)))
    return WindowShape(size, strides, padding).on((CHANNELS, *image), "layer")


def drawn(*shape: int) -> Doubles:
    return np.random.RandomState(sum(shape)).normal(size=shape)


@given(laid_out())
def test_windows_show_what_is_there_and_the_padding_value_outside(windows: Windows) -> None:
    _, height, width = windows.image
    inputs = drawn(CHANNELS * height * width, COLUMNS)
    image = inputs.reshape(CHANNELS, height, width, COLUMNS)
    shown = windows.of(inputs, padding_value=7)
    (down, across), (pad_h, pad_w) = windows.shape.strides, windows.shape.padding
    for row, column, p, q in np.ndindex(*windows.shape.size, *windows.counts):
        y, x = p * down + row - pad_h, q * across + column - pad_w
        inside = 0 <= y < height and 0 <= x < width
        np.testing.assert_array_equal(shown[:, row, column, p, q], image[:, y, x] if inside else 7)


@given(laid_out())
def test_windows_are_as_many_as_fit(windows: Windows) -> None:
    for side, extent, stride, pad, count in zip(
        windows.image[1:],
        windows.shape.size,
        windows.shape.strides,
        windows.shape.padding,
        windows.counts,
        strict=True,
    ):
        starts = [first for first in range(0, side + 2 * pad, stride) if first + extent <= side + 2 * pad]
        assert count == len(starts)


@given(laid_out())
def test_adding_up_is_the_transpose_of_showing(windows: Windows) -> None:
    _, height, width = windows.image
    inputs = drawn(CHANNELS * height * width, COLUMNS)
    shown = windows.of(inputs)
    by_window = drawn(*shown.shape)
    np.testing.assert_allclose((shown * by_window).sum(), (inputs * windows.add_up(by_window)).sum())


@pytest.mark.parametrize("shape", [64, (64,), (8, 8), (1, 1, 8, 8)], ids=repr)
def test_samples_that_are_no_images_are_refused(shape: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"layer: inputs of shape .* are no images.*lshape="):
        WindowShape((2, 2), (1, 1), (0, 0)).on(shape, "layer")


@pytest.mark.parametrize("size", [(6, 1), (1, 6)], ids=repr)
def test_window_that_is_larger_than_the_padded_image_is_refused(size: tuple[int, int]) -> None:
    assert WindowShape(size, (1, 1), (1, 1)).on((1, 4, 4), "layer").counts in ((1, 6), (6, 1))
    with pytest.raises(ConfigurationError, match="does not fit into an image"):
        WindowShape(size, (1, 1), (1, 1)).on((1, 3, 3), "layer")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2, (2, 2)),
        (np.int64(2), (2, 2)),
        ((2, 3), (2, 3)),
        ({"str_h": 2, "str_w": 3}, (2, 3)),
        ({"str_w": 3}, (1, 3)),
        ({}, (1, 1)),
    ],
    ids=repr,
)
def test_both_directions_are_read_from_any_of_neons_forms(value: Any, expected: tuple[int, int]) -> None:
    assert pair(value, "strides", ("str_h", "str_w"), least=1) == expected


@pytest.mark.parametrize(
    "value", [0, -1, 1.5, True, "2", (1,), (1, 2, 3), (1, 0), {"str_h": 0}, {"stride": 2}, None], ids=repr
)
def test_what_has_no_meaning_as_a_size_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"strides=.*expected an integer of at least 1.*'str_h'"):
        pair(value, "strides", ("str_h", "str_w"), least=1)
