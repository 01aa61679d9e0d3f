"""Arrays that answer as neon's tensors."""

from __future__ import annotations

import numpy as np
import pytest

from trainsignal.models.numpy_net.arrays import HostTensor


@pytest.fixture
def cost() -> HostTensor:
    return np.full((1, 1), 0.25, np.float32).view(HostTensor)


def test_one_number_is_taken_in_every_way_that_callbacks_in_use_take_it(cost: HostTensor) -> None:
    assert cost[0][0] == cost[0, 0] == 0.25
    assert cost.get()[0, 0] == 0.25
    assert float(cost) == 0.25
    assert "%f" % cost == "0.250000"  # noqa: UP031  # as people wrote it
    assert f"{cost:f}" == "0.250000"
    assert float(cost - 0.125) == 0.125
    assert float(cost - cost) == 0.0
    assert f"{cost}" == "[[0.25]]"


def test_what_get_returns_is_a_plain_copy(cost: HostTensor) -> None:
    taken = cost.get()
    cost[...] = 1

    assert type(taken) is np.ndarray
    assert taken[0, 0] == 0.25


def test_several_numbers_are_not_one() -> None:
    with pytest.raises(ValueError, match="size 1"):
        float(np.zeros((2, 1), np.float32).view(HostTensor))
