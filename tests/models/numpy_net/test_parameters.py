"""The parameters of layers as neon's callbacks see and set them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal.backend import Backend
from trainsignal.errors import ConfigurationError, RunStateError, UnknownBatchSizeError
from trainsignal.models.numpy_net import (
    Affine,
    BatchNorm,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    GradientDescentMomentum,
    Linear,
    Model,
    Softmax,
)
from trainsignal.models.numpy_net.parameters import Parameter
from trainsignal.tensor import HostTensor


def normalizing_model() -> Model:
    """Return Linear, BatchNorm, Linear, Activation for `tiny_set`."""
    init = Gaussian(scale=0.5)
    model = Model([Affine(3, init, batch_norm=True), Affine(2, init, activation=Softmax())])
    model.initialize(tiny_set(), GeneralizedCost(CrossEntropyMulti()))
    return model


@pytest.fixture
def linear() -> Any:
    return normalizing_model().layers.layers[0]


@pytest.fixture
def norm() -> Any:
    return normalizing_model().layers.layers[1]


def test_parameter_answers_as_a_tensor(linear: Any) -> None:
    assert isinstance(linear.W, HostTensor)
    assert linear.W.shape == (3, 2)
    assert type(linear.W.get()) is np.ndarray
    np.testing.assert_array_equal(np.array(linear.W), linear.W.get())


def test_parameter_belongs_to_the_backend_of_the_model() -> None:
    model = normalizing_model()
    layer: Any = model.layers.layers[0]
    layer.W.hist("W")
    assert int(model.be.dump_hist_data()[0].sum()) == 6


def test_layer_that_is_part_of_no_model_has_no_backend() -> None:
    layer = Linear(2, Gaussian())
    layer.configure(3, np.random.RandomState(0))
    assert layer.W.backend is None


@pytest.mark.parametrize("change", [
    lambda layer: layer.W.__setitem__(slice(None), 2), lambda layer: layer.W.fill(2),
    lambda layer: layer.W.set(np.full(6, 2)), lambda layer: layer.W.copy_from(np.full((3, 2), 2)),
    lambda layer: setattr(layer, "W", np.full((3, 2), 2)),
    lambda layer: layer.set_params({"params": {"W": np.full((3, 2), 2)}}),
    lambda layer: layer.set_params({"W": np.full((3, 2), 2)}),
    lambda layer: layer.set_params(np.full((3, 2), 2)),
], ids=["slice", "fill", "set", "copy_from", "assigned", "params", "dict", "array"])  # fmt: skip
def test_change_counts_in_what_the_layer_computes(change: Callable[[Any], object], linear: Any) -> None:
    change(linear)
    outputs = linear.fprop(np.ones((2, 1), np.float32))
    np.testing.assert_array_equal(outputs, np.full((3, 1), 4, np.float32), strict=True)


def test_operators_that_assign_count_too(linear: Any) -> None:
    before = linear.W.get()
    linear.W *= 2
    linear.W += 1
    np.testing.assert_array_equal(linear.W, before * 2 + 1)


def test_assigned_array_stays_the_users_own(linear: Any) -> None:
    values = np.zeros((3, 2), np.float32)
    linear.W = values
    linear.W[:] = 1
    assert (values == 0).all()


def test_layer_computes_with_plain_arrays(linear: Any, norm: Any) -> None:
    x = np.ones((2, 4), np.float32)
    assert type(linear.fprop(x)) is np.ndarray
    assert type(norm.fprop(linear.fprop(x))) is np.ndarray
    assert all(type(values) is np.ndarray for values in (*linear.params.values(), *norm.params.values()))


def test_all_parameters_of_a_batch_norm_can_be_set(norm: Any) -> None:
    values = {name: np.full((3, 1), number) for number, name in enumerate(["beta", "gamma", "gmean", "gvar"])}
    norm.set_params({"params": values})
    for number, tensor in enumerate([norm.beta, norm.gamma, norm.gmean, norm.gvar]):
        assert isinstance(tensor, HostTensor)
        np.testing.assert_array_equal(tensor, np.full((3, 1), number))


@pytest.mark.parametrize("given, message", [
    ({"params": {"V": np.zeros((3, 1))}}, "has no parameter 'V'; it has beta, gamma, gmean, gvar"),
    ({"gamma": np.ones((3, 1)), "beta": np.zeros((2, 1))}, r"beta was given values of shape \(2, 1\)"),
    (np.zeros((3, 1)), r"parameters beta, gamma, gmean, gvar: say whose values"),
    ({"gamma": 3}, r"values of shape \(\)"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(given: Any, message: str, norm: Any) -> None:
    before = {name: values.copy() for name, values in norm.params.items()}
    with pytest.raises(ConfigurationError, match=message):
        norm.set_params(given)
    for name, values in before.items():
        np.testing.assert_array_equal(norm.params[name], values)


def test_assigned_array_of_another_shape_is_refused(linear: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"'Linear_0': W was given values of shape \(2, 3\)"):
        linear.W = np.zeros((2, 3))


def test_layer_without_parameters_takes_none() -> None:
    activation = normalizing_model().layers.layers[3]
    with pytest.raises(ConfigurationError, match="has the parameters none"):
        activation.set_params(np.zeros(1))
    assert activation.get_params_serialize() == {}


def test_layer_that_is_not_configured_says_what_to_do() -> None:
    layer = Linear(2, Gaussian(), name="mine")
    assert not hasattr(layer, "W")
    with pytest.raises(AttributeError, match="'mine' has no parameters yet: call model"):
        layer.W  # noqa: B018  # asking raises
    with pytest.raises(RunStateError, match="'mine' has no parameters yet: call model"):
        layer.set_params({"W": np.zeros((2, 2))})


def test_class_shows_the_attribute_itself() -> None:
    assert isinstance(Linear.W, Parameter)
    assert isinstance(BatchNorm.gamma, Parameter)


def test_what_is_saved_can_be_set_again() -> None:
    model = tiny_model()
    fit(model, quiet(model), 1)
    layer: Any = model.layers.layers[0]
    saved = layer.get_params_serialize(keep_states=True)
    expected = layer.W.get()
    layer.W.fill(0)
    layer.set_params(saved)
    np.testing.assert_array_equal(layer.W, expected)
    assert list(saved) == ["params", "states"]
    assert [state.shape for state in saved["states"]] == [(2, 2)]
    assert list(layer.get_params_serialize(keep_states=False)) == ["params"]


@pytest.mark.parametrize("duplicate", [
    lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy,
], ids=["pickle", "deepcopy"])  # fmt: skip
def test_copy_of_a_model_has_parameters_and_a_backend_of_its_own(duplicate: Callable[[Model], Model]) -> None:
    model = normalizing_model()
    twin = duplicate(model)
    layer: Any = twin.layers.layers[0]
    original: Any = model.layers.layers[0]
    layer.W.hist("W")
    layer.W.fill(9)
    assert not (original.W == 9).any()
    assert list(twin.be.dump_hist_data()[1]) == ["W"]
    assert model.be.dump_hist_data()[1] == {}
    assert twin.rng is twin.be.rng


def test_backend_knows_the_batch_size_of_the_training_set() -> None:
    model = tiny_model()
    assert isinstance(model.be, Backend)
    assert model.be.bsz == 2
    fit(model, quiet(model), 1)
    assert model.be.bsz == 2


def test_backend_draws_from_the_generator_of_the_model() -> None:
    model = tiny_model()
    other = tiny_model()
    other.be.rng.uniform()
    model.deserialize(other.serialize())
    assert model.be.rng.uniform() == other.be.rng.uniform()


def test_data_set_that_tells_no_batch_size_leaves_it_unknown() -> None:
    class Plain:
        ndata, nbatches, shape = 4, 1, 2

        def reset(self) -> None:
            pass

        def __iter__(self) -> Any:
            yield np.ones((2, 4), np.float32), np.ones((2, 4), np.float32) / 2

    model = Model([Affine(2, Gaussian(scale=0.1), activation=Softmax())])
    callbacks = quiet(model, eval_set=Plain(), eval_freq=1)
    model.fit(Plain(), GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.1, 0.9), 1, callbacks)
    assert callbacks.callback_data["cost/loss"][0] > 0  # can be evaluated on all the same
    with pytest.raises(UnknownBatchSizeError, match="batch size is not known"):
        model.be.bsz  # noqa: B018  # asking raises


def test_what_passes_through_the_model_answers_as_tensors() -> None:
    model, data = tiny_model(), tiny_set()
    for x, t in data:
        outputs = model.fprop(x, inference=True)
        assert model.cost is not None
        model.cost.get_cost(outputs, t)
        for tensor in (x, t, outputs, model.cost.outputs):
            assert isinstance(tensor, HostTensor)
            assert type(tensor.get()) is np.ndarray
    assert type(model.get_outputs(data)) is np.ndarray
