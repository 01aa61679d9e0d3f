from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import neon_reference
from tests.support.pairs import PairModel
from tests.support.runs import fit, quiet, tiny_model, tiny_set
from trainsignal import BatchNormTuneCallback, LossCallback
from trainsignal.errors import ConfigurationError, DataError, MissingAbilityError
from trainsignal.models.numpy_net import (
    Affine,
    ArrayIterator,
    BatchNorm,
    CrossEntropyMulti,
    Gaussian,
    GeneralizedCost,
    Model,
    Rectlin,
    Softmax,
)

Doubles = npt.NDArray[np.float64]


def norms(model: Model) -> list[BatchNorm]:
    return [layer for layer in model.layers.layers if isinstance(layer, BatchNorm)]


def normalized_model(seed: int = 0) -> Model:
    """Return a network for `tiny_set` with two batch-normalization layers."""
    init = Gaussian(scale=0.5)
    model = Model(
        [
            Affine(3, init, batch_norm=True, activation=Rectlin()),
            Affine(2, init, batch_norm=True, activation=Softmax()),
        ],
        seed=seed,
    )
    model.initialize(tiny_set(), GeneralizedCost(CrossEntropyMulti()))
    return model


def tune(model: Any, tune_set: Any, epochs: int = 1, **options: Any) -> None:
    """Run a loop that does not train."""
    callbacks = quiet(model)
    callbacks.add_callback(BatchNormTuneCallback(tune_set, **options))
    with callbacks.training(epochs) as run:
        list(run.epochs())


def test_statistics_are_those_of_the_minibatches_that_neon_recorded_together() -> None:
    reference = neon_reference.arrays("convbn")
    inputs = np.concatenate(reference["bntune/tune_inputs_epoch00"], axis=1).T  # neon's 256 columns
    model = neon_reference.convbn()
    model.initialize(ArrayIterator(inputs, None, lshape=(1, 8, 8)))
    neon_reference.set_params(model, reference, "w_epoch00")

    tune(model, ArrayIterator(inputs, None, lshape=(1, 8, 8)))

    for index, norm in enumerate(norms(model)):
        means = reference[f"bntune/epoch00/bn{index}_batch_mean"].astype(np.float64)
        variances = reference[f"bntune/epoch00/bn{index}_batch_var"].astype(np.float64)
        np.testing.assert_allclose(norm.gmean, means.mean(axis=0), rtol=0, atol=1e-5)
        np.testing.assert_allclose(norm.gvar, variances.mean(axis=0) + means.var(axis=0), rtol=0, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 4, 7, 8, 16], ids=lambda size: f"batches of {size}")
def test_statistics_are_exact_for_any_number_of_minibatches_and_a_ragged_last_one(batch_size: int) -> None:
    X = np.random.RandomState(0).normal(3, 2, size=(7, 2)).astype(np.float32)
    model = normalized_model()

    tune(model, ArrayIterator(X, None, batch_size=batch_size))

    linear: Any = model.layers.layers[0]
    outputs = linear.W.astype(np.float64) @ X.T
    np.testing.assert_allclose(norms(model)[0].gmean, outputs.mean(axis=1, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(norms(model)[0].gvar, outputs.var(axis=1, keepdims=True), rtol=1e-5)


class Layer:
    """A batch-normalization layer as neon's: averages that move by rho, in tensors."""

    def __init__(self, name: str = "norm") -> None:
        self.name = name
        self.rho = 0.9
        self.gmean, self.gvar = Tensor(np.zeros((2, 1))), Tensor(np.ones((2, 1)))

    def train_on(self, x: Doubles) -> None:
        for average, batch in ((self.gmean, x.mean(1, keepdims=True)), (self.gvar, x.var(1, keepdims=True))):
            average[:] = self.rho * average.get() + (1 - self.rho) * batch


class Tensor:
    """An array behind `get()` and `[:] =`, as neon's on a device."""

    def __init__(self, values: Doubles) -> None:
        self.values = values
        self.shape = values.shape

    def get(self) -> Doubles:
        return self.values

    def __setitem__(self, key: slice, values: Any) -> None:
        self.values = np.broadcast_to(values, self.values.shape).copy()


class Container:
    """Layers, some of them containers."""

    def __init__(self, *layers: Any) -> None:
        self.layers = layers


class Fake:
    """A model whose layers each get its inputs; fails after `lives` minibatches."""

    finished = False

    def __init__(self, *layers: Any, lives: int = 1000) -> None:
        self.layers = Container(*layers)
        self.lives = lives
        self.columns: list[int] = []

    def fprop(self, x: Any, inference: bool = False) -> None:
        assert not inference
        self.columns.append(x.shape[1])
        for layer in flat(self.layers.layers):
            if isinstance(layer, Layer):
                layer.train_on(x.get() if isinstance(x, Tensor) else x)
        self.lives -= 1
        if self.lives < 0:
            raise ZeroDivisionError


def flat(layers: Any) -> Iterator[Any]:
    for layer in layers:
        yield from flat(layer.layers) if isinstance(layer, Container) else [layer]


class Batches:
    """A data set of given minibatches."""

    def __init__(self, minibatches: list[Any], ndata: int) -> None:
        self.minibatches = minibatches
        self.ndata = ndata

    def __iter__(self) -> Iterator[tuple[Any, None]]:
        return ((one, None) for one in self.minibatches)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=5), st.integers(0, 2**16))
def test_minibatches_of_any_sizes_are_pooled(sizes: list[int], seed: int) -> None:
    X = np.random.RandomState(seed).normal(5, 3, size=(2, sum(sizes)))
    layer = Layer()
    tune(Fake(layer), Batches(np.split(X, np.cumsum(sizes)[:-1], axis=1), sum(sizes)))
    np.testing.assert_allclose(layer.gmean.get(), X.mean(axis=1, keepdims=True), rtol=1e-10)
    np.testing.assert_allclose(layer.gvar.get(), X.var(axis=1, keepdims=True), rtol=1e-8, atol=1e-10)


def test_no_minibatch_is_computed_after_the_last_sample() -> None:
    model = Fake(Layer())
    tune(model, Batches([np.ones((2, 4))] * 5, ndata=6))
    assert model.columns == [4, 2]


def test_tensor_is_fed_whole() -> None:
    layer = Layer()
    model = Fake(layer)
    tune(model, Batches([Tensor(np.zeros((2, 4))), Tensor(np.full((2, 4), 2.0))], ndata=6))
    assert model.columns == [4, 4]
    np.testing.assert_array_equal(layer.gmean.get(), [[1], [1]])


def test_layers_are_found_in_nested_containers_and_by_what_they_have() -> None:
    class Own(Layer):
        pass

    found = [Layer(), Own(), Layer()]
    model = Fake(object(), found[0], Container(found[1], Container(found[2]), object()))
    tune(model, Batches([np.full((2, 4), 2.0)], ndata=4))
    assert [layer.gmean.get()[0, 0] for layer in found] == [2, 2, 2]


@pytest.mark.parametrize("failing_minibatch", [0, 1])
def test_error_leaves_everything_as_it_was(failing_minibatch: int) -> None:
    layer = Layer()
    layer.gmean[:], layer.gvar[:] = 7, 8
    model = Fake(layer, lives=failing_minibatch)
    dataset = ArrayIterator(np.ones((4, 2)), None, batch_size=2)
    dataset.start = 1
    with pytest.raises(ZeroDivisionError):
        tune(model, dataset)
    assert layer.rho == 0.9
    np.testing.assert_array_equal(np.hstack([layer.gmean.get(), layer.gvar.get()]), [[7, 8], [7, 8]])
    assert dataset.start == 1


def test_rho_and_the_data_set_are_left_as_they_were() -> None:
    model = normalized_model()
    for norm, rho in zip(norms(model), [0.5, 0.75], strict=True):
        norm.rho = rho
    dataset = ArrayIterator(np.ones((5, 2)), None, batch_size=2)
    dataset.start = 1
    tune(model, dataset)
    assert [norm.rho for norm in norms(model)] == [0.5, 0.75]
    assert dataset.start == 1


def test_training_is_the_same_with_it() -> None:
    tuned, alone = normalized_model(), normalized_model()
    callbacks = quiet(tuned)
    train_set = tiny_set()
    callbacks.add_callback(BatchNormTuneCallback(train_set))
    fit(tuned, callbacks, 3, train_set)
    fit(alone, quiet(alone), 3)
    for ours, theirs in zip(tuned.layers_to_optimize, alone.layers_to_optimize, strict=True):
        for name in ours.gradients:
            np.testing.assert_array_equal(ours.params[name], theirs.params[name])


def test_loss_that_was_added_after_it_sees_the_tuned_model() -> None:
    model = normalized_model()
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(tiny_set(), label="before"))
    callbacks.add_callback(BatchNormTuneCallback(tiny_set()))
    callbacks.add_callback(LossCallback(tiny_set(), label="after"))
    with callbacks.training(1) as run:
        list(run.epochs())
    losses = {label: callbacks.callback_data[f"cost/{label}"][0] for label in ("before", "after")}
    cost = GeneralizedCost(CrossEntropyMulti())
    targets = np.array([[1, 0, 1, 0], [0, 1, 0, 1]], np.float32)
    now = cost.get_cost(model.get_outputs(tiny_set()).T, targets)
    assert losses["after"] == pytest.approx(now, abs=1e-6)
    assert losses["before"] != pytest.approx(now, abs=1e-3)


@pytest.mark.parametrize("frequency, tuned", [(2, [1]), ([0, 2], [0, 2])], ids=repr)
def test_it_tunes_at_its_epochs_alone(frequency: Any, tuned: list[int]) -> None:
    model = Fake(Layer())
    callbacks = quiet(model)
    callbacks.add_callback(BatchNormTuneCallback(tiny_set(), epoch_freq=frequency))
    seen = []
    callbacks.bus.subscribe("epoch_end", lambda epoch: seen.append((epoch, len(model.columns))))
    with callbacks.training(3) as run:
        list(run.epochs())
    counts = [0, *(count for _, count in seen)]
    assert [epoch for epoch in range(3) if counts[epoch + 1] > counts[epoch]] == tuned


def test_two_sets_may_be_tuned_on_in_one_run() -> None:
    callbacks = quiet(normalized_model())
    for frequency in ([0], [1]):
        callbacks.add_callback(BatchNormTuneCallback(tiny_set(), epoch_freq=frequency))
    with callbacks.training(2) as run:
        list(run.epochs())
    assert callbacks.run.exit_reason == "completed"


def test_model_without_batch_normalization_is_refused_before_the_run() -> None:
    callbacks = quiet(tiny_model())
    callbacks.add_callback(BatchNormTuneCallback(tiny_set()))
    with pytest.raises(ConfigurationError, match=r"no batch normalization to tune.*batch_norm=True"):
        callbacks.on_train_begin(1)


def test_model_that_shows_no_layers_is_refused_before_the_run() -> None:
    callbacks = quiet()
    callbacks.add_callback(BatchNormTuneCallback(tiny_set()))
    with pytest.raises(MissingAbilityError, match="BatchNormTuneCallback needs a model with"):
        callbacks.on_train_begin(1)


def test_set_without_minibatches_is_refused() -> None:
    with pytest.raises(DataError, match="Batches yielded no minibatch to tune on"):
        tune(Fake(Layer()), Batches([], ndata=1))


class Tuned(PairModel):
    """A model of a framework that tells of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Container(Layer())

    def fprop(self, x: Any, inference: bool = False) -> Any:
        raise AssertionError

    def batch_statistics(self, inputs: Any) -> Any:
        raise AssertionError

    def set_batch_statistics(self, statistics: Any) -> None:
        raise AssertionError


@pytest.mark.parametrize("model", [Fake(Layer()), Tuned()], ids=["of neon's layout", "of pairs"])
def test_set_that_yields_no_pairs_is_refused(model: Any) -> None:
    class Triples(Batches):
        def __iter__(self) -> Iterator[Any]:
            return ((one, None, None) for one in self.minibatches)

    with pytest.raises(DataError, match=r"Triples yielded a tuple of 3: .* pairs \(inputs, targets\)"):
        tune(model, Triples([np.ones((2, 1))], ndata=1))


def test_missing_set_is_refused() -> None:
    with pytest.raises(DataError, match="tune_set=None"):
        BatchNormTuneCallback(None)
