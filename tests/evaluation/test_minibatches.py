from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.evaluating import Batches, Scaling
from trainsignal.errors import DataError
from trainsignal.evaluation import (
    check_evaluation_set,
    check_is_dataset,
    check_not_empty,
    from_first_sample,
    minibatches,
)
from trainsignal.models.numpy_net import ArrayIterator


class Sequences:
    """Sequences of `steps` numbered steps, in minibatches of `batch` samples that wrap around.

    The column of a sample at a step holds `10 * sample + step`.
    """

    def __init__(self, samples: int, steps: int, batch: int, *, batch_size: int | None = None) -> None:
        self.ndata = samples
        self._steps, self._batch = steps, batch
        if batch_size is not None:
            self.batch_size = batch_size

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        for first in range(0, self.ndata, self._batch):
            samples = np.arange(first, first + self._batch) % self.ndata
            columns = (np.arange(self._steps)[:, np.newaxis] + 10 * samples).reshape(1, -1)
            yield columns, columns


def same(x: Any) -> Any:
    return x


def counted(dataset: Any, batch_size: int | None = None) -> list[list[int]]:
    """Return the columns that count, minibatch for minibatch."""
    return [one.outputs[0, one.columns].tolist() for one in minibatches(same, dataset, batch_size)]


@pytest.mark.parametrize("dataset, expected", [
    (Batches(4, [1, 2], [3, 4]), [[1, 2], [3, 4]]),
    (Batches(3, [1, 2], [3, 1]), [[1, 2], [3]]),
    (Batches(3, [1, 2], [3]), [[1, 2], [3]]),
    (Batches(2, [1, 2, 1, 2]), [[1, 2]]),
    (Batches(2, [1, 2], [1, 2]), [[1, 2]]),
], ids=["even", "wrapped", "short", "larger than the set", "more than the set"])  # fmt: skip
def test_each_sample_counts_once(dataset: Batches, expected: list[list[int]]) -> None:
    assert counted(dataset) == expected


def test_steps_of_a_sequence_count_for_each_sample_not_yet_seen() -> None:
    ragged = Sequences(samples=3, steps=3, batch=2, batch_size=2)
    assert counted(ragged) == [[0, 10, 1, 11, 2, 12], [20, 21, 22]]
    assert [(one.samples, one.steps) for one in minibatches(same, ragged)] == [(2, 3), (1, 3)]


def test_batch_size_of_the_model_serves_where_the_data_set_has_none() -> None:
    assert counted(Sequences(samples=3, steps=2, batch=2), batch_size=2)[1] == [20, 21]


def test_batch_size_of_the_data_set_goes_before_that_of_the_model() -> None:
    assert counted(Sequences(samples=3, steps=2, batch=2, batch_size=2), batch_size=4)[1] == [20, 21]


def test_adjacent_columns_are_a_slice_as_neons_metrics_expect() -> None:
    whole, ragged = minibatches(same, Sequences(samples=3, steps=1, batch=2, batch_size=2))
    assert (whole.columns, ragged.columns) == (slice(0, 2), slice(0, 1))
    (both_steps,) = minibatches(same, Sequences(samples=2, steps=2, batch=2, batch_size=2))
    assert both_steps.columns == slice(0, 4)


def test_columns_that_are_no_whole_steps_are_refused() -> None:
    with pytest.raises(DataError, match="3 columns, which are no whole steps of 2 samples"):
        counted(Batches(3, [1, 2, 3]), batch_size=2)


def test_columns_of_branches_are_those_of_the_first() -> None:
    (one,) = minibatches(lambda x: [(x, x), x[:, :1]], Batches(2, [1, 2, 1]))
    assert one.columns == slice(0, 2)


def test_model_is_not_asked_for_minibatches_beyond_the_set() -> None:
    model = Scaling()
    list(minibatches(lambda x: model.fprop(x, inference=True), Batches(2, [1, 2], [1, 2])))
    assert model.forwards == 1


def test_data_set_that_yields_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="Batches yielded no minibatch to evaluate on"):
        counted(Batches(3))


@pytest.mark.parametrize("data_set, message", [
    (None, "eval_set=None: expected a data set"),
    (3, "eval_set=3: expected a data set"),
    ([], "list does not tell its size; give it an attribute `ndata`"),
    (iter(()), "tuple_iterator does not tell its size"),
])  # fmt: skip
def test_what_cannot_be_evaluated_on_is_refused(data_set: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_evaluation_set(data_set, "eval_set")


def test_data_set_begins_with_its_first_sample_and_goes_back() -> None:
    train_set = ArrayIterator(np.eye(3, 2, dtype=np.float32), [0, 1, 0], nclass=2, batch_size=2)
    list(train_set)  # ragged: the next epoch starts after one sample of this one
    with from_first_sample(train_set):
        assert train_set.start == 0
    assert train_set.start == 1


def test_data_set_goes_back_when_the_block_raises() -> None:
    train_set = ArrayIterator(np.eye(3, 2, dtype=np.float32), [0, 1, 0], nclass=2, batch_size=2)
    list(train_set)
    with pytest.raises(ZeroDivisionError), from_first_sample(train_set):
        raise ZeroDivisionError
    assert train_set.start == 1


def test_data_set_that_can_only_be_reset_is() -> None:
    batches = Batches(1, [1])
    with from_first_sample(batches):
        pass
    assert batches.resets == 1


def test_data_set_without_reset_will_do() -> None:
    with from_first_sample([1]):
        pass


@pytest.mark.parametrize("dataset", [[], [1], {1: 2}, Batches(2, [1, 2]), range(3)], ids=repr)
def test_what_is_iterated_anew_each_time_may_be_a_data_set(dataset: Any) -> None:
    check_is_dataset(dataset, "eval_set")


@pytest.mark.parametrize("dataset, message", [
    (None, r"eval_set=None: expected a data set that yields \(inputs, targets\) minibatches"),
    (3, "eval_set=3: expected a data set"),
    (iter([1]), "eval_set: a list_iterator can be iterated only once"),
    ((number for number in [1]), "eval_set: a generator can be iterated only once"),
], ids=["none", "number", "iterator", "generator"])  # fmt: skip
def test_what_is_none_or_can_be_iterated_once_only_is_no_data_set(dataset: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_is_dataset(dataset, "eval_set")


def test_set_that_tells_that_it_is_empty_is_refused_where_it_is_no_part_of_one() -> None:
    with pytest.raises(DataError, match="eval_set: Batches is empty; evaluating needs at least one sample"):
        check_not_empty(Batches(0), "eval_set")
    check_not_empty(Batches(1, [1]), "eval_set")
    check_not_empty([], "eval_set")  # it does not tell


def test_part_of_a_set_may_be_empty() -> None:
    for part in (Batches(0), Batches(0, [1]), Batches(3)):
        assert not list(minibatches(lambda x: x, part, may_be_empty=True))


def test_iterator_that_tells_its_size_begins_anew_by_itself() -> None:
    class Restarting(Batches):
        def __next__(self) -> Any:
            raise StopIteration

    check_is_dataset(Restarting(2, [1, 2]), "eval_set")
