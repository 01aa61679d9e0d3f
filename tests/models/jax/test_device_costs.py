from __future__ import annotations

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.loops.subjects.jax_loop import SUBJECT
from tests.support.linear_problem import expected_costs
from tests.support.loop_subjects import Plan
from tests.support.runs import quiet
from trainsignal import TrainCostCallback
from trainsignal.errors import CostError
from trainsignal.models.jax import device_costs
from trainsignal.models.jax.device_costs import TOGETHER


def test_arrays_are_held_and_numbers_are_not() -> None:
    assert device_costs.holds(jnp.ones(()))
    assert not any(device_costs.holds(value) for value in (1.0, np.float32(1), np.ones(()), None))


@pytest.mark.parametrize("count", [1, TOGETHER - 1, TOGETHER, 2 * TOGETHER + 3])
def test_costs_come_in_order_whatever_their_number(count: int) -> None:
    gathered = device_costs.gather([jnp.float32(number) for number in range(count)])

    assert gathered.numbers() == list(range(count))
    assert gathered.is_ready()


def test_costs_of_all_types_and_shapes_come_together() -> None:
    values = [jnp.bfloat16(0.5), jnp.float32(0.1), jnp.ones((1, 1)), jnp.int32(3), jnp.float16(0.25)]

    assert device_costs.gather([device_costs.keeper(one)(one) for one in values]).numbers() == [
        0.5, float(np.float32(0.1)), 1.0, 3.0, 0.25,
    ]  # fmt: skip


def test_costs_of_several_devices_come_in_order() -> None:
    placed = jax.device_put(jnp.float32(2), jax.sharding.SingleDeviceSharding(jax.devices()[0]))
    mesh = jax.make_mesh((1,), ("batch",))
    spread = jax.device_put(jnp.float32(3), jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec()))

    gathered = device_costs.gather([jnp.float32(1), spread, placed, spread])

    assert gathered.numbers() == [1, 3, 2, 3]


@pytest.mark.parametrize(
    "value", [jnp.ones(2), jnp.zeros(0), jnp.array(1j), jnp.array(True), jax.random.key(0)],
    ids=["two", "none", "complex", "bool", "key"],
)  # fmt: skip
def test_what_is_not_one_real_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="is not one real number"):
        device_costs.keeper(value)


def test_a_cost_that_was_donated_to_a_later_step_is_refused_with_what_to_do() -> None:
    step = jax.jit(lambda state: {"loss": state["loss"] + 1}, donate_argnums=0)
    callbacks = quiet()

    with (
        pytest.raises(CostError, match="return the loss as a result of its own"),
        callbacks.training(1) as run,
    ):
        state = {"loss": jnp.float32(0)}
        for _ in run.epochs():
            for _ in run.minibatches(range(3)):
                state = step(state)
                run.cost = state["loss"]


def test_a_value_inside_a_traced_function_is_refused() -> None:
    with pytest.raises(TypeError, match="inside a function that JAX traces"):
        jax.jit(lambda value: device_costs.keeper(value)(value))(1.0)


def count(monkeypatch: pytest.MonkeyPatch, *names: str) -> Counter[str]:
    """Return how often these methods of JAX's arrays, and `jax.device_get`, are called from now on."""
    calls: Counter[str] = Counter()

    def counted(name: str, owner: Any) -> None:
        original = getattr(owner, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, wrapper)

    for name in names:
        counted(name, type(jnp.ones(())))
    counted("device_get", jax)
    return calls


WAITS = ("__float__", "__int__", "__bool__", "__array__", "item", "tolist", "block_until_ready")


def test_costs_are_sent_at_once_and_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [jnp.float32(number) for number in range(TOGETHER + 1)]
    calls = count(monkeypatch, *WAITS, "copy_to_host_async")

    gathered = device_costs.gather(values)

    assert calls == {"copy_to_host_async": 2}
    assert gathered.numbers() == list(range(TOGETHER + 1))


def test_nobody_waits_for_the_device_at_a_minibatch(monkeypatch: pytest.MonkeyPatch) -> None:
    callbacks = quiet(SUBJECT.new_model())
    callbacks.callbacks = [TrainCostCallback(wsz=1)]
    at_the_last: list[int] = []
    calls = count(monkeypatch, *WAITS)
    callbacks.bus.subscribe("minibatch_end", lambda: at_the_last.append(calls.total()), at=[199])

    SUBJECT.train(callbacks, Plan(epochs=1, minibatches=200))

    assert at_the_last == [0]
    assert 0 < calls["device_get"] < 10
    monkeypatch.undo()
    np.testing.assert_allclose(callbacks.callback_data["cost/train"][:], expected_costs(200, 1), rtol=1e-5)
