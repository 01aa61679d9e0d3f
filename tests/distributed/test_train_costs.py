"""The costs of an epoch's minibatches, of which the mean over the ranks counts."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.ranks import ThreadCommunicator, run_ranks
from trainsignal import SharedData, keys
from trainsignal.cost import MinibatchCost
from trainsignal.distributed.communicator import Numbers, gather_bytes, wait
from trainsignal.distributed.train_costs import TrainCosts
from trainsignal.minibatch_series import create_minibatch_series


class Others:
    """The ranks, over a communicator of threads; counts what they are asked."""

    def __init__(self, communicator: ThreadCommunicator) -> None:
        self.communicator = communicator
        self.gathers = 0

    def sum(self, values: Numbers) -> Numbers:
        return wait(self.communicator.start_sum(values), lambda: None)

    def gather(self, content: bytes) -> list[bytes]:
        self.gathers += 1
        return gather_bytes(self.communicator, content, lambda: None)


def series_of(data: SharedData, key: str, columns: tuple[int, ...] = ()) -> Any:
    data.require_group(keys.CONFIG)
    return create_minibatch_series(data, key, columns=columns, dtype="f8")


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.lists(st.floats(-10, 10), max_size=5), min_size=2, max_size=4),
    st.integers(0, 6),
    st.integers(0, 3),
)
def test_rows_become_the_means_of_the_ranks_that_have_them(
    costs: list[list[float]], room: int, first: int
) -> None:
    def rank(communicator: ThreadCommunicator) -> tuple[list[float], float | None]:
        communicator.open()
        data, mine = SharedData(None), costs[communicator.rank]
        series, cost = series_of(data, keys.TRAIN_COST), MinibatchCost(None)
        for row in range(first):
            series[row] = -1.0
        for row, value in enumerate(mine):
            series[first + row] = value
            cost.set(value)
        others = Others(communicator)
        costs_of_run = TrainCosts(data, cost, others)
        costs_of_run.agree(room)
        costs_of_run.exchange(first, len(mine), others.sum)
        assert all(series[row] == -1.0 for row in range(first)), "earlier epochs stay"
        return [float(series[first + row]) for row in range(len(mine))], cost.epoch_mean

    told = run_ranks(len(costs), rank, timeout_s=60)
    everything = [value for mine in costs for value in mine]
    for mine, (rows, mean) in zip(costs, told, strict=True):
        expected = [np.mean([one[row] for one in costs if row < len(one)]) for row in range(len(mine))]
        assert rows == pytest.approx(expected)
        assert mean == (pytest.approx(np.mean(everything)) if everything else None)


def test_what_was_agreed_on_lasts_until_a_rank_has_more() -> None:
    def rank(communicator: ThreadCommunicator) -> list[int]:
        communicator.open()
        data = SharedData(None)
        series = series_of(data, keys.TRAIN_COST)
        for row in range(12):
            series[row] = float(row)
        others = Others(communicator)
        costs = TrainCosts(data, MinibatchCost(None), others)
        costs.agree(2 if communicator.rank else 0)
        gathers = []
        for epoch, count in enumerate((2, 3, 3)):
            if epoch == 2 and communicator.rank:
                series_of(data, keys.MULTICOST_TRAIN, columns=(2,))
            costs.exchange(3 * epoch, count, others.sum)
            gathers.append(others.gathers)
        return gathers

    assert run_ranks(2, rank, timeout_s=60) == [[1, 2, 3]] * 2


def test_a_cost_that_is_no_number_on_a_rank_is_none_in_the_mean() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        communicator.open()
        data = SharedData(None)
        series = series_of(data, keys.MULTICOST_TRAIN, columns=(2,))
        series[0] = [1.0, 2.0] if communicator.rank else [3.0, np.nan]
        series[1] = [np.nan, np.nan]
        others = Others(communicator)
        costs = TrainCosts(data, MinibatchCost(None), others)
        costs.agree(2)
        costs.exchange(0, 2, others.sum)
        return series[:2]

    for rows in run_ranks(2, rank, timeout_s=60):
        np.testing.assert_array_equal(rows, [[2.0, np.nan], [np.nan, np.nan]])


def test_series_and_window_that_a_rank_has_not_are_those_of_the_others() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        communicator.open()
        data, others = SharedData(None), Others(communicator)
        costs = TrainCosts(data, MinibatchCost(None), others)
        window = deque([4.0, 6.0], maxlen=3)
        if communicator.rank != 1:
            series = series_of(data, keys.TRAIN_COST)
            series[0], series[1] = communicator.rank, 1.0
            costs.share(lambda: window)
        costs.agree(2)
        costs.exchange(0, 2, others.sum)
        return None if communicator.rank == 1 else (series[:2].tolist(), list(window))

    assert run_ranks(3, rank, timeout_s=60) == [([1.0, 1.0], [4.0, 6.0]), None, ([1.0, 1.0], [4.0, 6.0])]


def test_what_differs_in_its_shape_stays_what_it_is_on_each_rank() -> None:
    def rank(communicator: ThreadCommunicator) -> Any:
        communicator.open()
        number = communicator.rank
        data, others = SharedData(None), Others(communicator)
        series = series_of(data, keys.MULTICOST_TRAIN, columns=(2 + number,))
        series[0] = np.full(2 + number, float(number))
        window = deque([float(number)], maxlen=3 + number)
        costs = TrainCosts(data, MinibatchCost(None), others)
        costs.share(lambda: window)
        costs.agree(0)
        costs.exchange(0, 1, others.sum)
        return series[0].tolist(), list(window)

    assert run_ranks(2, rank, timeout_s=60) == [([0.0, 0.0], [0.0]), ([1.0, 1.0, 1.0], [1.0])]


def test_run_without_series_of_costs_has_nothing_to_exchange_but_the_mean() -> None:
    def rank(communicator: ThreadCommunicator) -> float | None:
        communicator.open()
        cost = MinibatchCost(None)
        cost.set(float(communicator.rank))
        others = Others(communicator)
        TrainCosts(SharedData(None), cost, others).exchange(0, 1, others.sum)
        return cost.epoch_mean

    assert run_ranks(2, rank, timeout_s=60) == [0.5, 0.5]


@pytest.mark.parametrize("costs", [[[], []], [[1.0], [3.0]], [[1.0, 2.0, 5.0], [3.0, 4.0, 7.0]]])
def test_what_a_smoothing_goes_on_with_becomes_the_mean_too(costs: list[list[float]]) -> None:
    def rank(communicator: ThreadCommunicator) -> list[float]:
        communicator.open()
        window = deque(costs[communicator.rank], maxlen=3)
        others = Others(communicator)
        together = TrainCosts(SharedData(None), MinibatchCost(None), others)
        together.share(lambda: window)
        together.agree(0)
        together.exchange(0, 0, others.sum)
        return list(window)

    means = [sum(pair) / 2 for pair in zip(*costs, strict=True)]
    assert run_ranks(2, rank, timeout_s=60) == [means, means]


def test_ranks_with_fewer_costs_than_others_take_over_the_newest() -> None:
    def rank(communicator: ThreadCommunicator) -> list[float]:
        communicator.open()
        window = deque([1.0, 2.0] if communicator.rank else [4.0], maxlen=3)
        others = Others(communicator)
        together = TrainCosts(SharedData(None), MinibatchCost(None), others)
        together.share(lambda: window)
        together.agree(0)
        together.exchange(0, 0, others.sum)
        return list(window)

    assert run_ranks(2, rank, timeout_s=60) == [[3.0], [1.0, 3.0]]
