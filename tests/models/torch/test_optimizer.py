from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.runs import hand_loop, quiet
from trainsignal import LearningRateScheduleCallback
from trainsignal.errors import ConfigurationError
from trainsignal.models.torch import TorchModel
from trainsignal.models.torch.optimizer import JointOptimizer


def optimizers(*rates: float) -> tuple[torch.optim.Optimizer, ...]:
    return tuple(torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=rate) for rate in rates)


def test_setting_the_rate_sets_it_in_all_groups_of_all_optimizers() -> None:
    linear = torch.nn.Linear(1, 1)
    groups: list[dict[str, Any]] = [{"params": [linear.weight]}, {"params": [linear.bias]}]
    first = torch.optim.SGD(groups, lr=0.1)
    (second,) = optimizers(0.1)
    joint = JointOptimizer((first, second))
    assert joint.learning_rate == 0.1

    joint.learning_rate = 0.5

    assert [group["lr"] for one in (first, second) for group in one.param_groups] == [0.5] * 3


def test_a_rate_that_is_a_tensor_is_set_in_place() -> None:
    rate = torch.tensor(0.5)
    optimizer = torch.optim.Adam(torch.nn.Linear(1, 1).parameters(), lr=rate)
    joint = JointOptimizer((optimizer,))
    assert joint.learning_rate == 0.5

    joint.learning_rate = 0.25

    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25


def test_one_rate_does_not_take_the_place_of_different_ones() -> None:
    joint = JointOptimizer(optimizers(0.1, 0.2))
    assert joint.learning_rate == 0.1

    with pytest.raises(ConfigurationError, match=r"different learning rates, \[0\.1, 0\.2\]"):
        joint.learning_rate = 0.3

    assert [group["lr"] for one in joint.optimizers for group in one.param_groups] == [0.1, 0.2]


def test_a_schedule_sets_the_rate_of_pytorchs_optimizer() -> None:
    module = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    callbacks = quiet(TorchModel(module, optimizer=optimizer))
    callbacks.add_callback(LearningRateScheduleCallback(lambda epoch: 0.5**epoch))
    seen: list[float] = []
    callbacks.bus.subscribe("minibatch_begin", lambda: seen.append(optimizer.param_groups[0]["lr"]))

    hand_loop(callbacks, epochs=3, minibatches=1)

    assert seen == [1.0, 0.5, 0.25]
