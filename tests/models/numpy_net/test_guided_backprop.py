from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import neon_reference
from tests.support.finite_differences import gradient
from trainsignal.errors import DataError, RunStateError
from trainsignal.models.numpy_net import (
    Activation,
    Affine,
    ArrayIterator,
    BatchNorm,
    Constant,
    Conv,
    Gaussian,
    Layer,
    Model,
    Pooling,
    Rectlin,
    Tanh,
)
from trainsignal.models.numpy_net.layers import WeightLayer

Doubles = npt.NDArray[np.floating[Any]]


@pytest.mark.parametrize("position", [0, 2, 4])
def test_pictures_of_a_plain_stack_are_those_of_neon_but_for_its_mask(position: int) -> None:
    reference = neon_reference.arrays("deconv")
    projector = neon_reference.trained_deconv(reference).feature_projector()
    group = f"h5_deconv/max_act/{position:04}"
    places = reference[f"{group}/batch_img"]
    images = np.stack(
        [reference[f"deconv_inputs/batch{batch}"][:, column] for batch, column in places], axis=1
    )

    pictures = projector.project_back(
        images, position, np.arange(len(places)), reference[f"{group}/fm_loc"][:, 0].astype(np.intp)
    )

    neons = reference[f"deconv_vis_float/layer{position:02}"].reshape(len(places), -1).T
    np.testing.assert_allclose(np.where(images > 0, pictures, 0), neons, rtol=0, atol=1e-6)
    assert (pictures[images <= 0] != 0).any()  # what neon's mask takes away


def network(activation: Any = Rectlin) -> tuple[Model, Doubles]:
    """Return a network with every kind of layer, in float64, and inputs for it."""
    init = Gaussian(scale=0.5)
    model = Model(
        [
            Conv((3, 3, 3), init, padding=1, batch_norm=True, activation=activation()),
            Pooling(2),
            Conv((2, 2, 4), init, bias=Gaussian(scale=0.3), activation=activation()),
            Pooling(2, "avg", strides=1),
            Conv((2, 2, 3), init, strides=2, padding=1, activation=activation()),
            Affine(2, init),
        ],
        seed=3,
    )
    rng = np.random.RandomState(4)
    x = rng.normal(size=(72, 3))
    model.initialize(ArrayIterator(x.T, None, lshape=(2, 6, 6)))
    for layer in model.layers.layers:
        if isinstance(layer, WeightLayer):
            layer.W = layer.W.astype(np.float64)
        if isinstance(layer, BatchNorm):
            layer.gmean, layer.gvar, layer.gamma = (rng.uniform(0.5, 2, (3, 1)) for _ in range(3))
    return model, x


def differentiated(layer: Layer, inputs: Doubles, error: Doubles) -> Doubles:
    """Return the error taken back through a layer, by finite differences of what inference computes."""
    return gradient(lambda: float((layer.fprop(inputs, inference=True) * error).sum()), inputs)


CONVOLUTIONS = {0: (3, 6, 6), 4: (4, 2, 2), 8: (3, 1, 1)}
MAPS, LOCATIONS = np.array([0, 1, 2]), np.array([0, 0, 0])


@pytest.mark.parametrize("position", CONVOLUTIONS)
def test_only_what_is_positive_passes_a_rectifier_and_all_else_is_the_derivative(position: int) -> None:
    model, x = network()
    layers = model.layers.layers
    rows = MAPS * np.prod(CONVOLUTIONS[position][1:]) + LOCATIONS
    inputs = [x]
    for layer in layers[: position + 1]:
        inputs.append(layer.fprop(inputs[-1], inference=True))
    error = np.zeros_like(inputs[-1])
    error[rows, range(3)] = np.maximum(inputs[-1][rows, range(3)], 0)
    for layer, seen in zip(layers[position::-1], inputs[position::-1], strict=True):
        if isinstance(layer, Activation):
            error = error * (error > 0) * (seen > 0)
        else:
            error = differentiated(layer, seen.copy(), error)

    pictures = model.feature_projector().project_back(x, position, MAPS, LOCATIONS)

    np.testing.assert_allclose(pictures, error, atol=1e-8)
    assert error.any()


def test_other_activations_are_differentiated_as_they_are() -> None:
    model, x = network(Tanh)
    layers = model.layers.layers[:9]

    def output(column: int) -> float:
        values = x
        for layer in layers:
            values = layer.fprop(values, inference=True)
        return float(values[MAPS[column], column])

    pictures = model.feature_projector().project_back(x, 8, MAPS, LOCATIONS)

    for column in range(3):
        slopes = gradient(lambda column=column: output(column), x)[:, column]  # type: ignore[misc]
        np.testing.assert_allclose(pictures[:, column], slopes * max(output(column), 0), atol=1e-8)


def test_map_that_is_not_positive_gives_a_blank_picture() -> None:
    model = Model([Conv((1, 1, 1), Constant(-1))])
    model.initialize(ArrayIterator([[1.0, 2.0]], None, lshape=(1, 1, 2)))
    picture = model.feature_projector().project_back(
        np.array([[1.0], [2.0]]), 0, np.array([0]), np.array([1])
    )
    assert not picture.any()


def test_convolutions_are_listed_with_their_sizes_and_outputs() -> None:
    model, x = network()
    projector = model.feature_projector()
    assert projector.in_shape == (2, 6, 6)
    assert projector.convolutions == CONVOLUTIONS
    seen = dict(projector.outputs(x))
    assert {position: outputs.shape for position, outputs in seen.items()} == {
        0: (3, 36, 3), 4: (4, 4, 3), 8: (3, 1, 3),
    }  # fmt: skip
    first = model.layers.layers[0].fprop(x, inference=True)
    np.testing.assert_array_equal(seen[0].reshape(108, 3), first)


def test_network_without_convolutions_lists_none() -> None:
    model = Model([Affine(2, Gaussian())])
    model.initialize(ArrayIterator([[1.0, 2.0]], None))
    projector = model.feature_projector()
    assert projector.convolutions == {}
    assert list(projector.outputs(np.ones((2, 1)))) == []


def test_looking_at_features_between_fprop_and_bprop_changes_nothing() -> None:
    (model, x), (untouched, _) = network(), network()
    error = np.ones_like(untouched.fprop(x))
    untouched.bprop(error)
    model.fprop(x)
    projector = model.feature_projector()
    list(projector.outputs(x + 1))
    projector.project_back(x + 1, 8, MAPS, LOCATIONS)
    model.bprop(error)
    for layer, expected in zip(model.layers.layers, untouched.layers.layers, strict=True):
        for ours, theirs in ((layer.params, expected.params), (layer.gradients, expected.gradients)):
            np.testing.assert_equal(dict(ours), dict(theirs))


def test_inputs_of_another_size_are_refused() -> None:
    model, x = network()
    with pytest.raises(DataError, match=r"expected \(72, columns\)"):
        list(model.feature_projector().outputs(x[:-1]))


def test_model_without_parameters_is_refused() -> None:
    with pytest.raises(RunStateError, match="no parameters yet"):
        neon_reference.deconv().feature_projector()
