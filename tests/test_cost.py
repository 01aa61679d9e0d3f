from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.runs import Bare, Costly
from trainsignal.cost import MinibatchCost
from trainsignal.errors import CostError


def test_cost_that_the_loop_sets_counts_before_the_models() -> None:
    cost = MinibatchCost(Costly(7.0))
    assert cost.get() == 7.0
    cost.set(2.0)
    assert cost.get() == 2.0


def test_mean_is_that_of_what_the_loop_set_in_the_epoch() -> None:
    cost = MinibatchCost(Bare())
    assert cost.epoch_mean is None
    for value in (1.0, np.float32(2.0), np.array([[6.0]])):
        cost.set(value)
    assert cost.epoch_mean == 3.0
    cost.new_epoch()
    assert cost.epoch_mean is None


@pytest.mark.parametrize("value", ["1", [1, 2], None], ids=repr)
def test_what_is_not_one_number_is_refused(value: object) -> None:
    with pytest.raises(CostError, match=r"run\.cost was set to something that is not one number"):
        MinibatchCost(Bare()).set(value)


def test_cost_that_nobody_ever_set_is_refused_and_one_that_is_missing_is_none() -> None:
    cost = MinibatchCost(Bare())
    with pytest.raises(CostError, match=r"set run\.cost = loss"):
        cost.get()
    cost.set(1.0)
    cost.forget()
    assert cost.get() is None


def test_cost_of_the_model_that_is_no_number_is_refused() -> None:
    with pytest.raises(CostError, match=r"model\.cost\.cost is not one number"):
        MinibatchCost(Costly("high")).get()


def costs_that_follow(cost: MinibatchCost) -> tuple[Any, ...]:
    cost.set(4.0)
    mean = cost.epoch_mean
    cost.forget()
    return mean, cost.get()


def test_resumed_mean_goes_on_within_the_epoch() -> None:
    before, after = MinibatchCost(Bare()), MinibatchCost(Bare())
    before.set(1.0)
    before.set(1.0)
    after.load_state_dict(before.state_dict())
    assert after.get() == 1.0
    assert costs_that_follow(after) == (2.0, None)


def test_resumed_loop_that_had_set_costs_still_counts_as_one_that_does() -> None:
    before, after = MinibatchCost(Bare()), MinibatchCost(Bare())
    before.set(1.0)
    before.forget()
    after.load_state_dict(before.state_dict())
    assert after.get() is None
