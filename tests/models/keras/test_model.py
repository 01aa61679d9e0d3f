"""`KerasModel`, on the backend that Keras was imported with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import torch

from tests.support.runs import quiet
from trainsignal import HistCallback, abilities
from trainsignal.errors import CheckpointError, ConfigurationError
from trainsignal.models.keras import KerasModel, wrapper_hint

# NumPy, of how Keras converts PyTorch's tensors.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def compiled(*layers: Any, **options: Any) -> Any:
    model = keras.Sequential([keras.Input((3,)), *layers])
    model.compile(**{"optimizer": keras.optimizers.SGD(0.1, momentum=0.9), "loss": "mse"} | options)
    return model


def dropping() -> Any:
    return compiled(keras.layers.Dropout(0.5, seed=3), keras.layers.Dense(2, kernel_initializer="ones"))


def inputs(samples: int = 6) -> Any:
    return np.random.default_rng(1).normal(size=(samples, 3)).astype("f4")


# -- what it is made of ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ability",
    [
        abilities.EvaluatesPairs, abilities.HasLoss, abilities.CanInfer, abilities.CanEvaluate,
        abilities.CanSerialize, abilities.CanLoad, abilities.HasRandomState, abilities.HasLayers,
        abilities.HasLearningRate, abilities.CanFinish, abilities.FollowsRun,
    ],
)  # fmt: skip
def test_it_has_the_ability(ability: type) -> None:
    assert isinstance(KerasModel(dropping()), ability)


def test_something_else_than_a_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"KerasModel\(Dense\): expected a keras.Model"):
        KerasModel(keras.layers.Dense(1))


def test_a_model_that_was_not_compiled_is_refused() -> None:
    model = keras.Sequential([keras.layers.Dense(1)], name="raw")

    with pytest.raises(ConfigurationError, match=r"'raw' is not compiled: call model.compile\("):
        KerasModel(model)


def test_the_hint_is_for_models_of_keras_alone() -> None:
    assert wrapper_hint(dropping()) == "KerasModel(model) from trainsignal.models.keras"
    assert wrapper_hint(keras.layers.Dense(1)) is None


# -- evaluating --------------------------------------------------------------------------------------------


def test_evaluating_is_inference() -> None:
    wrapped, x = KerasModel(dropping()), inputs()

    outputs = wrapped.fprop(x, inference=True)

    np.testing.assert_allclose(wrapped.to_host(outputs), np.repeat(x.sum(1, keepdims=True), 2, 1), rtol=1e-5)


def test_outside_of_it_a_prediction_is_as_in_training() -> None:
    wrapped, x = KerasModel(dropping()), inputs(100)

    outputs = wrapped.to_host(wrapped.fprop(x))

    assert not np.allclose(outputs, np.repeat(x.sum(1, keepdims=True), 2, 1), rtol=1e-2)


@pytest.mark.parametrize("fails", [False, True])
def test_all_is_as_before_after_evaluating(fails: bool) -> None:
    x = inputs()
    first, second = keras.layers.Dense(1, name="first"), keras.layers.Dense(1, name="second")
    source = keras.Input((3,))
    model = keras.Model(source, [first(source), second(source)])
    model.compile(optimizer="sgd", loss=["mse", "mse"], metrics=["mae", "mae"])
    model.fit(x, [x[:, :1], x[:, 1:2]], verbose=0)
    wrapped = KerasModel(model)
    before = [np.array(one) for one in model.get_metrics_result().values()], wrapped.get_random_state()

    with pytest.raises(KeyError) if fails else wrapped.evaluating(), wrapped.evaluating():
        wrapped.loss(
            wrapped.predict(x), [x[:, :1], x[:, 1:2]]
        )  # which Keras counts in a mean for each output
        if fails:
            raise KeyError

    after = [np.array(one) for one in model.get_metrics_result().values()], wrapped.get_random_state()
    np.testing.assert_array_equal(after[0], before[0])
    assert after[1].keys() == before[1].keys()
    assert all(np.array_equal(after[1][key], before[1][key]) for key in after[1])
    assert not wrapped._is_evaluating


def test_gradients_of_pytorch_are_off_where_keras_computes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wrapped, own = KerasModel(dropping()), keras.backend.backend()
    with wrapped.evaluating():
        assert torch.is_grad_enabled() == (own != "torch")

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with wrapped.evaluating():
        assert torch.is_grad_enabled()


def test_the_seeds_of_layers_are_as_before_after_evaluating() -> None:
    wrapped = KerasModel(dropping())
    seeds = wrapped.serialize()["seeds"][0]["value"]

    with wrapped.evaluating():
        wrapped.keras_model(inputs(), training=True)

    np.testing.assert_array_equal(wrapped.serialize()["seeds"][0]["value"], seeds)


def test_the_loss_is_that_of_the_model_with_regularization() -> None:
    dense = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.5)
    )
    wrapped, x = KerasModel(compiled(dense)), inputs()
    y = np.zeros((6, 1), "f4")

    with wrapped.evaluating():
        loss = wrapped.to_host(wrapped.loss(wrapped.predict(x), y))

    np.testing.assert_allclose(loss, np.mean(x.sum(1) ** 2) + 0.5 * 3, rtol=1e-5)


def test_it_computes_metrics_of_keras_and_functions() -> None:
    wrapped, x = KerasModel(dropping()), inputs()
    pairs = [(x[:4], np.zeros((4, 2), "f4")), (x[4:], np.zeros((2, 2), "f4"))]

    def mean_output(outputs: Any, targets: Any) -> Any:
        return keras.ops.mean(outputs)

    expected = x.sum(1)
    np.testing.assert_allclose(
        wrapped.eval(pairs, keras.metrics.MeanSquaredError()), [np.mean(expected**2)], rtol=1e-5
    )
    np.testing.assert_allclose(wrapped.eval(pairs, mean_output), [expected.mean()], rtol=1e-5)
    np.testing.assert_allclose(wrapped.get_outputs(pairs)[:, 0], expected, rtol=1e-5)


# -- saving, loading, learning rate ------------------------------------------------------------------------


def test_what_it_serialized_it_takes_back() -> None:
    wrapped, other = KerasModel(dropping()), KerasModel(dropping())
    x = inputs()
    wrapped.keras_model.fit(x, x[:, :2], verbose=0)

    other.deserialize(wrapped.serialize())

    for part in ("weights", "seeds"):
        for one, two in zip(wrapped.serialize()[part], other.serialize()[part], strict=True):
            np.testing.assert_array_equal(one["value"], two["value"])


def test_a_checkpoint_of_another_model_is_refused() -> None:
    wrapped, other = KerasModel(dropping()), KerasModel(compiled(keras.layers.Dense(4)))

    with pytest.raises(
        CheckpointError, match=r"of shape \(3, 2\) where the model has '.*kernel' of shape \(3, 4\)"
    ):
        other.deserialize(wrapped.serialize())


def test_the_learning_rate_is_that_of_keras() -> None:
    wrapped = KerasModel(dropping())
    assert wrapped.optimizer.learning_rate == pytest.approx(0.1)

    wrapped.optimizer.learning_rate = 0.25

    assert float(wrapped.keras_model.optimizer.learning_rate) == 0.25


def test_a_learning_rate_that_a_schedule_sets_is_nobody_elses() -> None:
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    wrapped = KerasModel(compiled(keras.layers.Dense(1), optimizer=keras.optimizers.SGD(schedule)))

    assert not isinstance(wrapped, abilities.HasLearningRate)


def test_a_model_without_an_optimizer_has_no_learning_rate() -> None:
    wrapped = KerasModel(compiled(keras.layers.Dense(1), optimizer=None))

    assert not isinstance(wrapped, abilities.HasLearningRate)
    assert "optimizer" not in wrapped.serialize()


def test_a_fit_draws_the_same_random_numbers_again() -> None:
    wrapped, x = KerasModel(dropping()), inputs(8)

    def fit() -> Any:
        wrapped.keras_model.fit(x, x[:, :2], batch_size=2, shuffle=True, verbose=0)
        return wrapped.serialize()["weights"][0]["value"]

    fit()
    state, random, numpy_random = wrapped.serialize(), wrapped.get_random_state(), np.random.get_state()
    once = fit()

    wrapped.deserialize(state)
    wrapped.set_random_state(random)
    np.random.set_state(numpy_random)

    np.testing.assert_array_equal(fit(), once)


def test_histograms_are_of_its_layers() -> None:
    callbacks = quiet(KerasModel(compiled(keras.layers.Dense(2, name="only"))))
    callbacks.add_callback(HistCallback(False, ["W", "b"]))

    with callbacks.training(1) as run:
        list(run.epochs())

    counts = {name: group[:].sum() for name, group in callbacks.callback_data["hist"].items()}
    assert counts == {"only_0_W": 6, "only_0_b": 2}
