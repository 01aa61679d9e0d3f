from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from tests.support.runs import quiet
from trainsignal import DeconvCallback
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models import numpy_net
from trainsignal.models.torch import TorchModel
from trainsignal.models.torch.guided_backprop import GuidedBackprop
from trainsignal.models.torch.state import states_of

Doubles = npt.NDArray[np.floating[Any]]

CONVOLUTIONS = {0: (3, 6, 6), 4: (4, 2, 2), 7: (3, 1, 1)}
REFERENCE_POSITIONS = dict(zip(CONVOLUTIONS, (0, 4, 8), strict=True))
"""Where the same convolution is among the layers of the reference network, which counts a bias as one."""

MAPS, LOCATIONS = np.array([0, 1, 2]), np.array([0, 0, 0])


def reference() -> tuple[numpy_net.Model, Doubles]:
    """Return the reference network with every kind of layer, in float64, and inputs (features, columns)."""
    init = numpy_net.Gaussian(scale=0.5)
    relu = numpy_net.Rectlin()
    model = numpy_net.Model(
        [
            numpy_net.Conv((3, 3, 3), init, padding=1, batch_norm=True, activation=relu),
            numpy_net.Pooling(2),
            numpy_net.Conv((2, 2, 4), init, bias=numpy_net.Gaussian(scale=0.3), activation=relu),
            numpy_net.Pooling(2, "avg", strides=1),
            numpy_net.Conv((2, 2, 3), init, strides=2, padding=1, activation=relu),
        ],
        seed=3,
    )
    rng = np.random.RandomState(4)
    x = rng.normal(size=(72, 3))
    model.initialize(numpy_net.ArrayIterator(x.T, None, lshape=(2, 6, 6)))
    norm: Any = model.layers.layers[1]
    norm.gmean, norm.gvar, norm.gamma = (rng.uniform(0.5, 2, (3, 1)) for _ in range(3))
    return model, x


def network(model: numpy_net.Model, *, in_place: bool) -> torch.nn.Sequential:
    """Return the same network with the same parameters, in float64."""
    relu = torch.nn.ReLU(inplace=in_place)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 3, 3, padding=1, bias=False), torch.nn.BatchNorm2d(3, eps=1e-3), relu,
        torch.nn.MaxPool2d(2), torch.nn.Conv2d(3, 4, 2), torch.nn.ReLU(inplace=in_place),
        torch.nn.AvgPool2d(2, stride=1), torch.nn.Conv2d(4, 3, 2, stride=2, padding=1, bias=False),
        torch.nn.Flatten(), torch.nn.Linear(3, 2),
    ).double()  # fmt: skip
    layers: list[Any] = model.layers.layers
    with torch.no_grad():
        for place, position in REFERENCE_POSITIONS.items():
            weight = module[place].weight
            weight.copy_(torch.from_numpy(np.asarray(layers[position].W.T)).reshape(weight.shape))
        module[4].bias.copy_(torch.from_numpy(np.asarray(layers[5].W[:, 0])))
        for name, neons in {"running_mean": "gmean", "running_var": "gvar", "weight": "gamma"}.items():
            getattr(module[1], name).copy_(torch.from_numpy(np.asarray(getattr(layers[1], neons)[:, 0])))
    return module


@pytest.fixture(params=[False, True], ids=["new tensors", "in place"])
def both(request: pytest.FixtureRequest) -> tuple[Any, GuidedBackprop, Doubles]:
    """Return the projectors of both, and inputs."""
    model, x = reference()
    module = network(model, in_place=request.param)
    return model.feature_projector(), GuidedBackprop(module, torch.from_numpy(x.T).reshape(3, 2, 6, 6)), x


def test_convolutions_are_listed_with_their_places_and_outputs(both: Any) -> None:
    _, projector, _ = both

    assert projector.in_shape == (2, 6, 6)
    assert projector.convolutions == CONVOLUTIONS


def test_outputs_are_those_of_the_reference_network(both: Any) -> None:
    theirs, projector, x = both
    expected = dict(theirs.outputs(x))

    found = dict(projector.outputs(x))

    assert list(found) == list(CONVOLUTIONS)
    for place, position in REFERENCE_POSITIONS.items():
        np.testing.assert_allclose(found[place], expected[position], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("place", CONVOLUTIONS)
def test_pictures_are_those_of_the_reference_network(place: int, both: Any) -> None:
    theirs, projector, x = both
    last = CONVOLUTIONS[place][1] * CONVOLUTIONS[place][2] - 1
    for locations in (LOCATIONS, np.array([last, 0, last])):
        expected = theirs.project_back(x, REFERENCE_POSITIONS[place], MAPS, locations)

        pictures = projector.project_back(x, place, MAPS, locations)

        np.testing.assert_allclose(pictures, expected, rtol=1e-5, atol=1e-6)
    assert pictures.any()


RECTIFIERS = {
    "ReLU": torch.nn.ReLU(), "functional": F.relu, "functional in place": F.relu_, "torch": torch.relu,
    "torch in place": torch.relu_, "method": torch.Tensor.relu, "method in place": torch.Tensor.relu_,
    "positional": lambda x: F.relu(x, True), "by keyword": lambda x: F.relu(input=x, inplace=True),
}  # fmt: skip


class Rectified(torch.nn.Module):  # type: ignore[misc]  # untyped framework
    """Two convolutions with a rectifier between them, after a change of the image in place."""

    def __init__(self, rectify: Any) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(1, 2, 1), torch.nn.Conv2d(2, 1, 1, bias=False)
        self.rectify = rectify
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([1.0, -1]).reshape(2, 1, 1, 1))
            self.first.bias.copy_(torch.tensor([0.0, 5]))
            self.second.weight.copy_(torch.tensor([1.0, -0.5]).reshape(1, 2, 1, 1))

    def forward(self, x: Any) -> Any:
        x.mul_(2)
        x = self.first(x)
        rectified = self.rectify(x)
        return self.second(rectified)


@pytest.mark.parametrize("name", RECTIFIERS)
def test_each_spelling_of_the_rectifier_lets_only_what_is_positive_pass(name: str) -> None:
    projector = GuidedBackprop(Rectified(RECTIFIERS[name]), torch.ones(1, 1, 1, 1))
    place = list(projector.convolutions)[1]

    picture = projector.project_back(np.full((1, 1), 1.5, "f4"), place, np.array([0]), np.array([0]))

    # 3 and -3 + 5 come to the second convolution, which has 3 - 1 = 2. On the way back 2 and -1 come to the
    # rectifier; only the 2 passes, and the image is doubled before: 4. The true derivative would be 2 * 3.
    assert picture.tolist() == [[4.0]]


def test_other_activations_are_differentiated_as_they_are() -> None:
    module = Rectified(torch.nn.Tanh()).double()
    projector = GuidedBackprop(module, torch.ones(1, 1, 1, 1, dtype=torch.float64))
    place = list(projector.convolutions)[1]

    def output(pixel: float) -> float:
        return float(np.tanh(2 * pixel) - 0.5 * np.tanh(5 - 2 * pixel))

    picture = projector.project_back(np.full((1, 1), 1.5), place, np.array([0]), np.array([0]))

    slope = (output(1.5 + 1e-6) - output(1.5 - 1e-6)) / 2e-6
    assert picture[0, 0] == pytest.approx(slope * output(1.5), rel=1e-6)


def test_a_map_that_is_not_positive_gives_a_blank_picture() -> None:
    projector = GuidedBackprop(Rectified(F.relu), torch.ones(1, 1, 1, 1))

    picture = projector.project_back(np.full((1, 1), 1.5, "f4"), 0, np.array([1]), np.array([0]))

    assert picture.tolist() == [[0.0]]  # -3, without the bias


class Twice(torch.nn.Module):  # type: ignore[misc]  # untyped framework
    """A convolution that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 1, 1, bias=False)
        torch.nn.init.constant_(self.convolution.weight, 3)

    def forward(self, x: Any) -> Any:
        return self.convolution(self.convolution(x))


def test_of_a_convolution_that_is_used_twice_the_first_time_counts() -> None:
    projector = GuidedBackprop(Twice(), torch.ones(1, 1, 1, 1))

    ((_, outputs),) = projector.outputs(np.ones((1, 1), "f4"))

    assert outputs.tolist() == [[[3.0]]]


@pytest.mark.parametrize(("example", "kind"), [
    (torch.ones(1, 1, 2, 2, dtype=torch.uint8), "not torch.uint8"), ([torch.ones(1)], "not list"),
], ids=["integers", "several"])  # fmt: skip
def test_what_no_gradient_goes_back_to_is_refused(example: Any, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=kind):
        GuidedBackprop(torch.nn.Conv2d(1, 1, 1), example)


def test_images_of_another_size_are_refused() -> None:
    projector = GuidedBackprop(torch.nn.Conv2d(1, 1, 1), torch.ones(1, 1, 2, 2))

    with pytest.raises(DataError, match=r"inputs of shape \(3, 1\): expected \(4, columns\)"):
        list(projector.outputs(np.ones((3, 1), "f4")))


# -- the callback --------------------------------------------------------------------------------------


def visualized(model: Any, valid_set: Any, **options: Any) -> Any:
    callbacks = quiet(model)
    callbacks.add_callback(DeconvCallback(None, valid_set, **options))
    with callbacks.training(1) as run:
        list(run.epochs())
    return callbacks.callback_data


def test_the_callback_writes_what_it_does_for_the_reference_network() -> None:
    model, _ = reference()
    images = np.random.RandomState(5).normal(size=(10, 72)).astype(np.float32)
    theirs = visualized(
        model, numpy_net.ArrayIterator(images, None, lshape=(2, 6, 6), batch_size=4), dataset_pct=60
    )
    module = network(model, in_place=True).float()
    dataset = TensorDataset(torch.from_numpy(images).reshape(10, 2, 6, 6), torch.zeros(10))

    ours = visualized(TorchModel(module), DataLoader(dataset, batch_size=4), dataset_pct=60)

    assert list(ours["deconv/max_act"]) == [f"{place:04}" for place in CONVOLUTIONS]
    for place, position in REFERENCE_POSITIONS.items():
        expected, found = theirs[f"deconv/max_act/{position:04}"], ours[f"deconv/max_act/{place:04}"]
        for name in ("batch_img", "fm_loc"):
            np.testing.assert_array_equal(found[name][...], expected[name][...])
        np.testing.assert_allclose(found["activation"][...], expected["activation"][...], rtol=1e-5)
        assert abs(found["vis"][...].astype(int) - expected["vis"][...].astype(int)).max() <= 1
    assert list(ours["deconv/img"]) == list(theirs["deconv/img"])


def test_the_callback_changes_nothing_in_the_model() -> None:
    model, _ = reference()
    module = network(model, in_place=True).float()
    module.train()
    module[1].eval()
    before = states_of(module, (), ())
    random = torch.get_rng_state()
    dataset = TensorDataset(torch.randn(6, 2, 6, 6), torch.zeros(6))
    random = torch.get_rng_state()

    visualized(TorchModel(module), DataLoader(dataset, batch_size=4, shuffle=True))

    np.testing.assert_equal(states_of(module, (), ()), before)
    assert torch.equal(torch.get_rng_state(), random)
    assert [one.training for one in module][:3] == [True, False, True]
    assert all(parameter.grad is None for parameter in module.parameters())
    assert not any(one._forward_hooks for one in module.modules())


def test_a_module_without_convolutions_is_refused_before_the_run() -> None:
    with pytest.raises(ConfigurationError, match="no convolution to visualize: leave DeconvCallback out"):
        visualized(TorchModel(torch.nn.Linear(2, 1)), [(torch.ones(1, 2), None)])
