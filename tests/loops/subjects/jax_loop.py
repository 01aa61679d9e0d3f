"""A loop written by hand around a compiled step of JAX, with an optimizer of Optax."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax

from tests.support.linear_problem import FEATURES, LEARNING_RATE
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.models.jax import JaxModel

OPTIMIZER = optax.sgd(LEARNING_RATE)


def apply(state: Any, inputs: Any) -> Any:
    return inputs @ state["params"]["w"]


def loss(outputs: Any, targets: Any) -> Any:
    return jnp.mean((outputs - targets) ** 2)


@jax.jit  # type: ignore[untyped-decorator]  # untyped framework
def step(state: Any, inputs: Any, targets: Any) -> Any:
    def loss_of(params: Any) -> Any:
        return loss(apply({"params": params}, inputs), targets)

    cost, gradients = jax.value_and_grad(loss_of)(state["params"])
    updates, opt_state = OPTIMIZER.update(gradients, state["opt_state"])
    return {"params": optax.apply_updates(state["params"], updates), "opt_state": opt_state}, cost


def new_model() -> JaxModel:
    params = {"w": jnp.zeros((FEATURES, 1))}
    return JaxModel({"params": params, "opt_state": OPTIMIZER.init(params)}, apply, loss=loss)


def train(callbacks: Callbacks, plan: Plan) -> None:
    model, loader = callbacks.model(), plan.loader()
    with callbacks.training(plan.epochs) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(loader):
                model.state, run.cost = step(model.state, x, y)


SUBJECT = Subject("JAX", new_model, train)
