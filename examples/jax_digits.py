"""Train a network in JAX, in a loop of one's own around a compiled step with Optax and dropout.

The whole state is one pytree, which each step replaces in `model.state`. So the checkpoint "jax_digits.h5"
has it all, the random key too: with `resume=True` another process goes on from it, bit by bit as this one.
"""

from typing import Any

import jax
import numpy as np
import optax
from sklearn.datasets import load_digits

from trainsignal import Callbacks
from trainsignal.models.jax import JaxModel

pixels, digits = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(digits))
pixels, digits = (pixels[order] / 16).astype(np.float32), digits[order]
train_set = [(pixels[at : at + 50], digits[at : at + 50]) for at in range(0, 1400, 50)]
valid_set = [(pixels[1400:], digits[1400:])]
optimizer = optax.adam(optax.cosine_decay_schedule(0.01, 280))


def network(params: Any, x: Any, kept: Any = 1.0) -> Any:
    """Return the logits; `kept`: factors of the hidden units."""
    return jax.nn.relu(x @ params["hidden"]) * kept @ params["output"]


def loss(logits: Any, labels: Any) -> Any:
    """Return the mean cross-entropy."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def accuracy(logits: Any, labels: Any) -> Any:
    """Return the share of images whose digit is found."""
    return (logits.argmax(axis=1) == labels).mean()


@jax.jit  # type: ignore[untyped-decorator]  # untyped framework
def train_step(state: Any, x: Any, y: Any) -> Any:
    """Return the state after a minibatch, and its cost."""
    key, dropout = jax.random.split(state["key"])
    kept = jax.random.bernoulli(dropout, 0.8, (len(x), 64)) / 0.8
    cost, gradients = jax.value_and_grad(lambda p: loss(network(p, x, kept), y))(state["params"])
    updates, opt_state = optimizer.update(gradients, state["opt_state"])
    return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state, "key": key}, cost


weights = jax.random.normal(jax.random.key(0), (64, 74)) / 8
params = {"hidden": weights[:, :64], "output": weights[:, 64:]}
state = {"params": params, "opt_state": optimizer.init(params), "key": jax.random.key(1)}
model = JaxModel(state, lambda state, x: network(state["params"], x), loss=loss)
callbacks = Callbacks(model, eval_set=valid_set, eval_freq=1, metric=accuracy, save_path="jax_digits.h5")
with callbacks.training(epochs=10) as run:
    for _ in run.epochs():
        for x, y in run.minibatches(train_set):
            model.state, run.cost = train_step(model.state, x, y)
print(callbacks.summary())
