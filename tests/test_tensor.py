"""Arrays that answer as neon's tensors."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.neon_reference import arrays
from trainsignal.backend import Backend
from trainsignal.errors import ConfigurationError
from trainsignal.tensor import HostTensor


def tensor(values: Any) -> HostTensor:
    return np.array(values, np.float32).view(HostTensor)


@pytest.fixture
def cost() -> HostTensor:
    return tensor([[0.25]])


def test_one_number_is_taken_in_every_way_that_callbacks_in_use_take_it(cost: HostTensor) -> None:
    assert cost[0][0] == cost[0, 0] == 0.25
    assert cost.get()[0, 0] == 0.25
    assert float(cost) == 0.25
    assert int(tensor([[7.5]])) == 7
    assert bool(cost) and not bool(tensor([[0]]))
    assert "%f" % cost == "0.250000"  # noqa: UP031  # as people wrote it
    assert "%d" % tensor([[3]]) == "3"  # noqa: UP031  # as people wrote it
    assert f"{cost:f}" == "0.250000"
    assert float(cost - 0.125) == 0.125
    assert float(cost - cost) == 0.0
    assert f"{cost}" == "[[0.25]]"


@pytest.mark.parametrize("take", [HostTensor.get, HostTensor.asnumpyarray])
def test_what_is_taken_from_it_is_a_plain_copy(take: Callable[[HostTensor], Any]) -> None:
    weights = tensor([[1, 2]])
    taken = take(weights)
    weights[...] = 0

    assert type(taken) is np.ndarray
    np.testing.assert_array_equal(taken, [[1, 2]])


@pytest.mark.parametrize("take", [HostTensor.get, HostTensor.asnumpyarray])
def test_one_number_that_is_taken_from_it_is_one(take: Callable[[HostTensor], Any], cost: HostTensor) -> None:
    taken = take(cost)
    cost[...] = 1

    assert float(taken / 2) == 0.125
    assert "%.3f" % taken == "0.250"  # noqa: UP031  # as people wrote it


def test_rows_are_taken_by_an_index_that_is_a_tensor() -> None:
    rows = np.array([1, 0]).view(HostTensor)

    np.testing.assert_array_equal(tensor([[1, 2], [3, 4]])[rows], [[3, 4], [1, 2]])


@pytest.mark.parametrize("number", [float, int])
def test_several_numbers_are_not_one(number: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match="size 1"):
        number(tensor([[0], [1]]))


@pytest.mark.parametrize("put", [HostTensor.set, HostTensor.copy_from])
@pytest.mark.parametrize("values", [
    [[1, 2, 3], [4, 5, 6]], np.arange(1, 7), np.arange(1.0, 7.0).reshape(3, 2), tensor([[1, 2, 3, 4, 5, 6]]),
], ids=["as it is", "flat", "other shape", "tensor"])  # fmt: skip
def test_values_are_taken_over_in_place(put: Callable[[HostTensor, Any], HostTensor], values: Any) -> None:
    target = tensor(np.zeros((2, 3)))
    view = target[:]
    assert put(target, values) is target
    np.testing.assert_array_equal(view, [[1, 2, 3], [4, 5, 6]])
    assert target.dtype == np.float32


@pytest.mark.parametrize("value", [3, np.float64(3), [[3]], tensor([[3]])])
def test_one_number_goes_everywhere(value: Any) -> None:
    np.testing.assert_array_equal(tensor(np.zeros((2, 3))).set(value), np.full((2, 3), 3))


def test_filling_gives_the_tensor_back() -> None:
    target = tensor(np.zeros((2, 3)))
    assert target.fill(2) is target
    np.testing.assert_array_equal(target, np.full((2, 3), 2))


def test_another_number_of_values_is_refused_and_changes_nothing() -> None:
    target = tensor([[1, 2, 3]])
    with pytest.raises(ConfigurationError, match=r"shape \(1, 3\) was given 2 values .* expected 3 or one"):
        target.set([1, 2])
    np.testing.assert_array_equal(target, [[1, 2, 3]])


def test_views_and_results_are_tensors_too() -> None:
    target = tensor([[1, 2], [3, 4]])
    for made in (target.T, target.transpose(), target.reshape(4, 1), target[:, :1], target * 2, -target):
        assert isinstance(made, HostTensor)
        assert type(made.get()) is np.ndarray


@pytest.mark.parametrize("duplicate", [
    lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy, copy.copy,
], ids=["pickle", "deepcopy", "copy"])  # fmt: skip
def test_copy_is_a_tensor_of_its_own(duplicate: Callable[[Any], Any], cost: HostTensor) -> None:
    twin = duplicate(cost)
    cost[...] = 1
    assert type(twin) is HostTensor
    assert float(twin) == 0.25


def test_histogram_is_kept_in_the_backend_under_its_tag() -> None:
    be = Backend()
    weights = be.array(arrays("mlp")["w_epoch03/00.Linear_0.W"])
    other = be.array([[1.0, 2.0, 2.0]])
    counts = weights.hist("weights")
    other.hist("other")
    data, rows = be.dump_hist_data()
    assert rows == {"weights": 0, "other": 1}
    assert data.shape == (2, be.hist_bins)
    np.testing.assert_array_equal(data.get()[0], arrays("mlp")["h5_hist/Linear_0_0_W"][:, -1])
    np.testing.assert_array_equal(counts.get(), data.get()[:1])
    assert {bin_ + be.hist_offset: int(n) for bin_, n in enumerate(data[1]) if n} == {0: 1, 1: 2}
    assert be.dump_hist_data()[1] == {}


def test_histogram_of_what_belongs_to_no_backend_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"hist\('W'\).*which no backend keeps"):
        tensor([[1]]).hist("W")
