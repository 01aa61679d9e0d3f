from __future__ import annotations

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.training.train_state import TrainState

from tests.support.runs import quiet
from trainsignal import Callbacks, HistCallback, LossCallback, MetricCallback
from trainsignal.checkpoint.formats import load_state, save_state
from trainsignal.errors import CheckpointError, ConfigurationError, MissingAbilityError
from trainsignal.models.jax import JaxModel

RNG = np.random.default_rng(2)
INPUTS = RNG.normal(size=(50, 4)).astype(np.float32)
TARGETS = (INPUTS @ np.array([[1.0], [-2.0], [0.5], [0.0]]) > 0).astype(np.float32)
BATCHES = [(INPUTS[start : start + 10], TARGETS[start : start + 10]) for start in range(0, 50, 10)]
RAGGED = [(INPUTS[:30], TARGETS[:30]), (INPUTS[30:], TARGETS[30:])]


def loss(outputs: Any, targets: Any) -> Any:
    return jnp.mean((outputs - targets) ** 2)


# Two loops that keep the same kinds of things in their states: one bare, one of Flax.

OPTIMIZER = optax.adam(optax.cosine_decay_schedule(0.05, 20))


def hidden(params: Any, inputs: Any) -> Any:
    return jnp.tanh(inputs @ params["w"] + params["b"])


@jax.jit  # type: ignore[untyped-decorator]  # untyped framework
def bare_step(state: Any, x: Any, y: Any) -> Any:
    key, dropout_key = jax.random.split(state["key"])

    def loss_of(params: Any) -> Any:
        kept = jax.random.bernoulli(dropout_key, 0.8, x.shape)
        return loss(hidden(params, x * kept), y)

    cost, gradients = jax.value_and_grad(loss_of)(state["params"])
    updates, opt_state = OPTIMIZER.update(gradients, state["opt_state"])
    return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state, "key": key}, cost


def bare_model() -> JaxModel:
    params = {"w": jnp.full((4, 1), 0.1), "b": jnp.zeros(1)}
    state = {"params": params, "opt_state": OPTIMIZER.init(params), "key": jax.random.key(0)}
    return JaxModel(state, lambda state, x: hidden(state["params"], x), loss=loss)


class Net(nn.Module):  # type: ignore[misc]  # untyped framework
    @nn.compact  # type: ignore[untyped-decorator]  # untyped framework
    def __call__(self, x: Any, is_training: bool = False) -> Any:
        x = nn.Dropout(0.2, deterministic=not is_training)(nn.Dense(5)(x))
        return nn.Dense(1, param_dtype=jnp.bfloat16)(x)


class KeyedState(TrainState):  # type: ignore[misc]  # untyped framework
    key: Any = None


@jax.jit  # type: ignore[untyped-decorator]  # untyped framework
def flax_step(state: Any, x: Any, y: Any) -> Any:
    def loss_of(params: Any) -> Any:
        key = jax.random.fold_in(state.key, state.step)
        return loss(state.apply_fn({"params": params}, x, True, rngs={"dropout": key}), y)

    cost, gradients = jax.value_and_grad(loss_of)(state.params)
    return state.apply_gradients(grads=gradients), cost


NET = Net()
PARAMS = NET.init(jax.random.key(1), INPUTS)["params"]


def flax_model() -> JaxModel:
    state = KeyedState.create(apply_fn=NET.apply, params=PARAMS, tx=OPTIMIZER, key=jax.random.key(2))
    return JaxModel(state, lambda state, x: state.apply_fn({"params": state.params}, x), loss=loss)


LOOPS = [(bare_model, bare_step), (flax_model, flax_step)]
both = pytest.mark.parametrize(("new_model", "step"), LOOPS, ids=["bare", "Flax"])


def train(callbacks: Callbacks, epochs: int, step: Any) -> None:
    model = callbacks.model()
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(BATCHES):
                model.state, run.cost = step(model.state, x, y)


def assert_same(state: Any, expected: Any) -> None:
    """Check structure, types and every bit."""
    assert jax.tree_util.tree_structure(state) == jax.tree_util.tree_structure(expected)
    for one, other in zip(jax.tree_util.tree_leaves(state), jax.tree_util.tree_leaves(expected), strict=True):
        assert one.dtype == other.dtype
        if jax.dtypes.issubdtype(one.dtype, jax.dtypes.prng_key):
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        np.testing.assert_array_equal(one, other)


# -- evaluating ----------------------------------------------------------------------------------------


@both
def test_an_evaluation_gives_what_the_loss_is_of_the_whole_set(new_model: Any, step: Any) -> None:
    model = new_model()
    callbacks = quiet(model, eval_set=RAGGED, eval_freq=1)

    def accuracy(outputs: Any, targets: Any) -> Any:
        return jnp.mean((outputs > 0.5) == targets)

    callbacks.add_callback(MetricCallback(RAGGED, accuracy))
    train(callbacks, 2, step)

    outputs = np.asarray(model.predict(INPUTS), np.float64)
    data = callbacks.callback_data
    assert data["cost/loss"][1] == pytest.approx(np.mean((outputs - TARGETS) ** 2), rel=1e-3)
    assert data["metrics/accuracy"][1] == pytest.approx(np.mean((outputs > 0.5) == TARGETS))


def test_each_shape_is_compiled_once_whatever_the_number_of_epochs() -> None:
    traced: list[Any] = []

    def apply(state: Any, x: Any) -> Any:
        traced.append(x.shape)
        return hidden(state["params"], x)

    model = bare_model()
    callbacks = quiet(JaxModel(model.state, apply, loss=loss), eval_set=RAGGED, eval_freq=1)
    train(callbacks, 4, bare_step)

    assert traced == [(30, 4), (20, 4)]


def test_outputs_come_to_the_host() -> None:
    model = bare_model()

    outputs = model.get_outputs(RAGGED)

    assert type(outputs) is np.ndarray
    np.testing.assert_allclose(outputs, np.tanh(INPUTS.sum(axis=1, keepdims=True) * 0.1), rtol=1e-5)


def test_numbers_that_numpy_lacks_become_float32() -> None:
    assert bare_model().to_host(jnp.ones(2, jnp.bfloat16)).dtype == np.float32
    assert bare_model().to_host(jnp.ones(2, jnp.float16)).dtype == np.float16


def test_a_model_without_a_loss_is_refused_where_one_is_needed() -> None:
    model = bare_model()
    callbacks = quiet(JaxModel(model.state, hidden))
    callbacks.add_callback(LossCallback(RAGGED))

    with pytest.raises(MissingAbilityError, match="loss"):
        train(callbacks, 1, bare_step)


# -- saving --------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def kill() -> None:
    raise Killed


@both
def test_a_resumed_run_is_identical_to_one_that_was_not_cut(
    new_model: Any, step: Any, tmp_path: Path
) -> None:
    whole = quiet(new_model())
    train(whole, 3, step)
    options = {"save_path": tmp_path / "model.h5", "checkpoint_every": 2}
    cut = quiet(new_model(), **options)
    cut.bus.subscribe("minibatch_begin", kill, at=[3], when=lambda epoch: epoch == 1)
    with pytest.raises(Killed):
        train(cut, 3, step)

    resumed = quiet(new_model(), resume=True, **options)
    train(resumed, 3, step)

    assert_same(resumed.model().state, whole.model().state)
    np.testing.assert_array_equal(
        resumed.callback_data["cost/train"][:][12:], whole.callback_data["cost/train"][:][12:]
    )


@both
@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_a_state_comes_back_from_a_file(new_model: Any, step: Any, suffix: str, tmp_path: Path) -> None:
    model, other = new_model(), new_model()
    model.state, _ = step(model.state, *BATCHES[0])
    save_state(model.serialize(), tmp_path / f"model{suffix}")

    other.deserialize(load_state(tmp_path / f"model{suffix}"))

    assert_same(other.state, model.state)


def test_parameters_can_be_saved_and_loaded_alone() -> None:
    model = bare_model()
    model.state, _ = bare_step(model.state, *BATCHES[0])
    others = [bare_model(), bare_model()]

    others[0].deserialize(model.serialize(keep_states=False), load_states=False)
    others[1].deserialize(model.serialize(), load_states=False)

    assert model.serialize(keep_states=False).keys() == {"params"}
    for other in others:
        assert_same(other.state["params"], model.state["params"])
        assert_same(other.state["opt_state"], bare_model().state["opt_state"])


def test_a_saved_state_outlives_the_arrays_that_were_given_away() -> None:
    step = jax.jit(lambda state: jax.tree_util.tree_map(lambda leaf: leaf + 1, state), donate_argnums=0)
    model = JaxModel({"params": {"w": jnp.arange(3.0)}}, hidden)
    saved = model.serialize()

    model.state = step(model.state)

    np.testing.assert_array_equal(saved["params"]["w"], [0, 1, 2])
    model.deserialize(saved)
    np.testing.assert_array_equal(model.state["params"]["w"], [0, 1, 2])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "has no 'params'"),
        ({"params": {}}, "has no 'training'"),
        ({"params": {}, "training": {}}, "another architecture.* params/b"),
        (
            JaxModel({"params": {"w": jnp.zeros((4, 2)), "b": jnp.zeros(2)}}, hidden).serialize(),
            r"params/w is float32",
        ),
    ],
    ids=["of something else", "without states", "empty", "larger"],
)
def test_a_checkpoint_of_another_model_is_refused_and_changes_nothing(state: Any, message: str) -> None:
    model = bare_model()
    before = model.state

    with pytest.raises(CheckpointError, match=message):
        model.deserialize(state)

    assert model.state is before


def test_another_optimizer_is_told_apart() -> None:
    model = bare_model()
    params = model.state["params"]
    other = JaxModel({**model.state, "opt_state": optax.sgd(0.1, momentum=0.9).init(params)}, hidden)

    with pytest.raises(CheckpointError, match=r"or of another optimizer: opt_state/0/trace/b .* is not in"):
        other.deserialize(model.serialize())


# -- layers --------------------------------------------------------------------------------------------


@both
def test_histograms_of_the_parameters_are_archived(new_model: Any, step: Any) -> None:
    callbacks = quiet(new_model())
    callbacks.add_callback(HistCallback(False, ["W", "b"]))
    train(callbacks, 2, step)

    hist = callbacks.callback_data["hist"]
    leaves = jax.tree_util.tree_leaves(
        callbacks.model().state.params if new_model is flax_model else callbacks.model().state["params"]
    )
    assert sorted(hist[name][:, 1].sum() for name in hist) == sorted(leaf.size for leaf in leaves)


# -- what a user may do wrong --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [{"w": jnp.zeros(2)}, {"params": {}}, jnp.zeros(2), Net(), None],
    ids=["bare parameters", "empty", "array", "module", "nothing"],
)
def test_a_state_without_parameters_is_refused(state: Any) -> None:
    with pytest.raises(ConfigurationError, match="without parameters: expected a pytree"):
        JaxModel(state, hidden)


@pytest.mark.parametrize("name", ["apply", "loss"])
def test_what_is_no_function_is_refused(name: str) -> None:
    arguments: dict[str, Any] = {"apply": hidden, "loss": loss, name: 0.1}

    with pytest.raises(ConfigurationError, match=f"{name}=0.1: expected a function"):
        JaxModel({"params": jnp.zeros(2)}, **arguments)
