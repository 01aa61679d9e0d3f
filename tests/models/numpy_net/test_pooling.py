from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.finite_differences import gradient
from trainsignal.errors import ConfigurationError
from trainsignal.models.numpy_net import Affine, Gaussian, Model, Pooling

Doubles = npt.NDArray[np.float64]
Operation = Literal["max", "avg"]

IMAGE = (2, 5, 4)


class Case(NamedTuple):
    """Arguments, and what they mean."""

    arguments: dict[str, Any]
    size: tuple[int, int]
    strides: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


CASES = [
    Case({"fshape": 2}, (2, 2), (2, 2)),
    Case({"fshape": 3, "strides": 1}, (3, 3), (1, 1)),
    Case({"fshape": (3, 2), "strides": (2, 1), "padding": 1}, (3, 2), (2, 1), (1, 1)),
    Case(
        {"fshape": {"R": 2, "S": 3}, "strides": {"str_h": 2, "str_w": 3}, "padding": {"pad_w": 2}},
        (2, 3), (2, 3), (0, 2),
    ),
]  # fmt: skip


def configured(op: Operation = "max", image: tuple[int, int, int] = IMAGE, **arguments: Any) -> Pooling:
    layer = Pooling(op=op, name="p", **arguments)
    layer.configure(image, np.random.RandomState(0))
    return layer


def drawn(rows: int, seed: int) -> Doubles:
    """Return numbers that are all below zero, so that zeros from outside the image would show."""
    return -np.random.RandomState(seed).uniform(1, 2, size=(rows, 3))


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.arguments))
def test_each_window_becomes_the_largest_or_mean_pixel_that_it_shows(op: Operation, case: Case) -> None:
    layer, inputs = configured(op, **case.arguments), drawn(40, seed=1)
    outputs = layer.fprop(inputs).reshape(*layer.out_shape or (), 3)
    reduce = np.max if op == "max" else np.mean
    for p, q in np.ndindex(outputs.shape[1:3]):
        top, left = p * case.strides[0] - case.padding[0], q * case.strides[1] - case.padding[1]
        shown = inputs.reshape(*IMAGE, 3)[
            :, max(top, 0) : top + case.size[0], max(left, 0) : left + case.size[1]
        ]
        np.testing.assert_allclose(outputs[:, p, q], reduce(shown, axis=(1, 2)))


@pytest.mark.parametrize("op", ["max", "avg"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.arguments))
def test_error_passed_back_equals_the_finite_difference(op: Operation, case: Case) -> None:
    layer, inputs = configured(op, **case.arguments), drawn(40, seed=1)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    slopes = gradient(lambda: float((layer.fprop(inputs) * error).sum()), inputs)
    layer.fprop(inputs)
    np.testing.assert_allclose(layer.bprop(error), slopes, atol=1e-7)


def test_error_goes_to_the_first_of_equal_maxima_by_rows() -> None:
    layer = configured(fshape=2, image=(1, 2, 2))
    layer.fprop(np.array([[0.0], [3.0], [3.0], [3.0]]))
    np.testing.assert_array_equal(layer.bprop(np.array([[5.0]])), [[0], [5], [0], [0]])


def test_pixels_at_the_end_that_fill_no_window_are_left_out() -> None:
    layer = configured(fshape=2, image=(1, 5, 5))
    assert layer.out_shape == (1, 2, 2)
    layer.fprop(np.ones((25, 1)))
    passed_back = layer.bprop(np.ones((4, 1))).reshape(5, 5)
    assert not passed_back[4].any()
    assert not passed_back[:, 4].any()


def test_nan_in_a_window_is_seen() -> None:
    layer = configured(fshape=2, image=(1, 2, 2))
    assert np.isnan(layer.fprop(np.array([[1.0], [np.nan], [2.0], [3.0]]))).all()


@pytest.mark.parametrize("op", ["max", "avg"])
def test_inference_between_fprop_and_bprop_leaves_the_error_alone(op: Operation) -> None:
    layer, inputs = configured(op, fshape=2), drawn(40, seed=1)
    error = drawn(len(layer.fprop(inputs)), seed=2)
    expected = layer.bprop(error)
    layer.fprop(drawn(40, seed=3), inference=True)
    layer.bprop_inference(drawn(40, seed=4), error)
    np.testing.assert_array_equal(layer.bprop(error), expected)


@pytest.mark.parametrize("op", ["max", "avg"])
def test_single_precision_stays_single(op: Operation) -> None:
    layer = configured(op, fshape=3, strides=2, padding=1)
    outputs = layer.fprop(np.ones((40, 2), np.float32))
    assert outputs.dtype == np.float32
    assert layer.bprop(outputs).dtype == np.float32


def test_line_of_the_layer_is_that_of_neon() -> None:
    layer = Pooling(2, name="Pooling_0")
    assert str(layer) == "Pooling Layer 'Pooling_0': ? inputs, ? outputs"
    layer.configure((8, 8, 8), np.random.RandomState(0))
    assert str(layer) == "Pooling Layer 'Pooling_0': 8 x (8x8) inputs, 8 x (4x4) outputs"


def test_config_says_what_makes_the_layer() -> None:
    assert Pooling((2, 3), "avg", padding=1, name="p").config() == {
        "name": "p", "fshape": (2, 3), "op": "avg", "strides": None, "padding": 1,
    }  # fmt: skip


def test_flat_samples_are_refused() -> None:
    model = Model([Affine(4, Gaussian()), Pooling(2)])
    with pytest.raises(ConfigurationError, match="Pooling 'Pooling_0': inputs of shape 4 are no images"):
        model.layers.configure((1, 4, 4), np.random.RandomState(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fshape": 2, "op": "min"}, "op='min': expected 'max' or 'avg'"),
        ({"fshape": 0}, "fshape=0: expected an integer of at least 1"),
        ({"fshape": 2, "strides": 0}, "strides=0: expected an integer of at least 1"),
        ({"fshape": 2, "padding": -1}, "padding=-1: expected an integer of at least 0"),
        ({"fshape": (3, 2), "padding": (0, 2)}, "show nothing of the image"),
    ],
    ids=lambda value: str(value),
)
def test_arguments_without_a_meaning_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Pooling(**arguments)
