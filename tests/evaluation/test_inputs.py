from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pytest

from trainsignal.errors import DataError
from trainsignal.evaluation.inputs import as_columns, column_inputs, first_inputs, reading
from trainsignal.models.numpy_net import ArrayIterator

SAMPLES = np.arange(20.0).reshape(5, 2, 2)


class OfPairs:
    """A model of a framework, whose arrays are lists."""

    def __init__(self) -> None:
        self.is_evaluating = False

    @contextlib.contextmanager
    def evaluating(self) -> Generator[None]:
        self.is_evaluating = True
        yield
        self.is_evaluating = False

    def predict(self, inputs: Any) -> Any:
        raise AssertionError

    def to_host(self, value: Any) -> Any:
        return np.asarray(value)


class Unsized:
    """Pairs of nobody knows how many."""

    def __iter__(self) -> Iterator[tuple[Any, None]]:
        yield SAMPLES[:3].tolist(), None
        yield SAMPLES[3:].tolist(), None


@pytest.mark.parametrize("dataset", [Unsized(), list(Unsized())], ids=["unsized", "sized"])
def test_pairs_become_columns_all_of_which_are_samples(dataset: Any) -> None:
    first, second = column_inputs(OfPairs(), dataset)

    np.testing.assert_array_equal(first[0], SAMPLES[:3].reshape(3, 4).T)
    assert first[1:] == (3, 2)
    np.testing.assert_array_equal(second[0], SAMPLES[3:].reshape(2, 4).T)
    assert second[1:] == (2, 2)


def test_columns_that_only_fill_up_a_minibatch_do_not_count() -> None:
    dataset = ArrayIterator(SAMPLES.reshape(5, 4), None, batch_size=3)

    counted = [(x.shape, samples, in_all) for x, samples, in_all in column_inputs(object(), dataset)]

    assert counted == [((4, 3), 3, 2), ((4, 3), 2, 2)]


def test_inputs_with_neons_layout_are_left_alone() -> None:
    x = np.ones((4, 2))

    assert as_columns(object(), x) is x


def test_a_data_set_is_read_in_evaluation_mode_from_its_first_sample_and_put_back() -> None:
    model, dataset = OfPairs(), ArrayIterator(SAMPLES.reshape(5, 4), None, batch_size=3)
    dataset.start = 1

    with reading(model, dataset):
        assert model.is_evaluating
        assert dataset.start == 0

    assert dataset.start == 1
    assert not model.is_evaluating


def test_first_inputs_are_as_the_data_set_has_them() -> None:
    assert first_inputs(OfPairs(), Unsized(), "valid_set") == SAMPLES[:3].tolist()


def test_a_set_without_minibatches_has_no_first() -> None:
    with pytest.raises(DataError, match="valid_set: list yielded no minibatch to search"):
        first_inputs(OfPairs(), [], "valid_set")


@pytest.mark.parametrize("model", [OfPairs(), object()], ids=["of pairs", "of neon's layout"])
def test_a_set_that_yields_no_pairs_is_refused(model: Any) -> None:
    triples = [(SAMPLES, None, None)]

    with pytest.raises(DataError, match=r"list yielded a tuple of 3: .* pairs \(inputs, targets\)"):
        first_inputs(model, triples, "valid_set")
    with pytest.raises(DataError, match=r"list yielded a tuple of 3: .* pairs \(inputs, targets\)"):
        list(column_inputs(model, triples))
