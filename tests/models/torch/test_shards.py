from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, DistributedSampler, SequentialSampler, TensorDataset

from tests.support.exchanging import ExchangingRank, on_ranks, trained_on
from trainsignal import LossCallback, MetricCallback
from trainsignal.abilities import KnowsOwnSamples
from trainsignal.models.torch import TorchModel

MODEL = TorchModel(torch.nn.Identity())


def dataset(samples: int) -> TensorDataset:
    """Return samples that are their own numbers, as are their targets."""
    numbers = torch.arange(float(samples))
    return TensorDataset(numbers, numbers)


def loader(samples: int, replicas: int, rank: int, *, batch_size: int = 2, **options: Any) -> Any:
    data = dataset(samples)
    sampler = DistributedSampler(data, replicas, rank, **options)
    return DataLoader(data, batch_size=batch_size, sampler=sampler)


@pytest.mark.parametrize("shuffle", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("replicas", range(1, 6))
@pytest.mark.parametrize("samples", range(14))
def test_own_samples_of_all_ranks_are_the_data_set_each_once(
    samples: int, replicas: int, shuffle: bool
) -> None:
    counted: list[float] = []
    for rank in range(replicas):
        one = loader(samples, replicas, rank, shuffle=shuffle)
        own = MODEL.own_samples(one)
        assert own is not None
        counted += [number for inputs, _ in one for number in inputs.tolist()][:own] if samples else []
    assert sorted(counted) == list(range(samples))


def test_torch_model_knows_own_samples() -> None:
    assert isinstance(MODEL, KnowsOwnSamples)


def of_batches(samples: int) -> Any:
    data = dataset(samples)
    sampler = DistributedSampler(data, 2, 1)
    return DataLoader(data, batch_sampler=BatchSampler(sampler, 2, drop_last=False))


def test_sampler_may_be_that_of_a_sampler_of_batches() -> None:
    assert MODEL.own_samples(of_batches(5)) == 2


class Elsewhere(DistributedSampler):  # type: ignore[misc]  # untyped framework
    """A sampler with an order of its own, as Lightning's for a user's sampler."""

    def __iter__(self) -> Iterator[Any]:
        return iter([9 - index for index in super().__iter__()])


class Unrepeated(DistributedSampler):  # type: ignore[misc]  # untyped framework
    """A sampler that repeats nothing, as Lightning's for predictions."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.num_samples = len(range(self.rank, len(self.dataset), self.num_replicas))
        self.total_size = len(self.dataset)

    def __iter__(self) -> Iterator[Any]:
        return iter(range(self.rank, self.total_size, self.num_replicas))


class Short(DistributedSampler):  # type: ignore[misc]  # untyped framework
    """A sampler that gives fewer than it was dealt."""

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize("kind, own", [(Elsewhere, 4), (Unrepeated, None), (Short, None)])
def test_subclass_is_trusted_where_its_numbers_are_those_of_the_class(kind: Any, own: int | None) -> None:
    data = dataset(9)
    assert MODEL.own_samples(DataLoader(data, sampler=kind(data, 2, 1))) == own


class Grouped(BatchSampler):  # type: ignore[misc]  # untyped framework
    """A sampler of batches with an order of its own."""

    def __iter__(self) -> Iterator[list[int]]:
        yield from reversed([*super().__iter__()])


DATA = dataset(5)


@pytest.mark.parametrize("given", [
    [(1, 2)],
    DataLoader(DATA, batch_size=2),
    DataLoader(DATA, batch_size=2, shuffle=True),
    DataLoader(DATA, sampler=DistributedSampler(DATA, 2, 0, drop_last=True)),
    DataLoader(DATA, batch_size=None, sampler=DistributedSampler(DATA, 2, 0)),
    DataLoader(DATA, batch_sampler=Grouped(DistributedSampler(DATA, 2, 0), 2, drop_last=False)),
    DataLoader(DATA, batch_sampler=[[0, 1], [2]]),
    DataLoader(DATA, batch_sampler=BatchSampler(SequentialSampler(DATA), 2, drop_last=False)),
], ids=[
    "list", "all", "shuffled", "nothing repeated", "no batches", "batches in another order",
    "a list of batches", "a sampler of all",
])  # fmt: skip
def test_all_samples_count_where_nothing_is_known_of_repetitions(given: Any) -> None:
    assert MODEL.own_samples(given) is None


@pytest.mark.parametrize("samples, replicas", [(7, 3), (5, 4), (2, 4), (8, 4)])
def test_loss_and_metric_of_ranks_with_repeated_samples_are_those_of_the_set(
    samples: int, replicas: int
) -> None:
    def mean_output(outputs: Any, targets: Any) -> Any:
        assert len(outputs) == len(targets)
        return outputs.mean()

    def work(rank: ExchangingRank) -> Any:
        model = TorchModel(torch.nn.Identity(), loss=lambda outputs, targets: (outputs + targets).mean())
        data = loader(samples, replicas, rank.rank, shuffle=True)
        callbacks = [LossCallback(data), MetricCallback(data, mean_output)]
        series = trained_on(rank, model, callbacks)[0].callback_data
        return [series["cost/loss"][0], series["metrics/mean_output"][0]]

    mean = (samples - 1) / 2
    assert on_ranks(replicas, work) == [[pytest.approx(2 * mean), pytest.approx(mean)]] * replicas
