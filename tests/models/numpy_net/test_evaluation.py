from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tests.support import neon_reference
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.numpy_net import Accuracy, ArrayIterator, Misclassification, PrecisionRecall
from trainsignal.models.numpy_net.arrays import Floats
from trainsignal.models.numpy_net.evaluation import all_outputs, mean_values


class MeanOutput:
    """A metric in neon's way: the mean of the first feature over the columns that count."""

    metric_names = ("MeanOutput",)

    def __call__(self, y: Floats, t: Floats, calcrange: slice = slice(0, None)) -> list[float]:
        return [float(y[0, calcrange].mean())]


class WithoutPosition:
    """A data set with what the loops need and nothing more; all samples are 1, those that fill up are 9."""

    shape = 1
    nbatches = 2
    resets = 0

    def __init__(self, minibatches: list[list[float]], ndata: int) -> None:
        self.minibatches = minibatches
        self.ndata = ndata

    def reset(self) -> None:
        self.resets += 1

    def __iter__(self) -> Iterator[tuple[Floats, Floats]]:
        for minibatch in self.minibatches:
            yield np.array([minibatch], np.float32), np.array([minibatch], np.float32)


def same(x: Floats) -> Floats:
    return x


def numbered(samples: int, batch_size: int) -> ArrayIterator:
    return ArrayIterator(np.arange(samples).reshape(-1, 1), batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 8, 32])
def test_each_sample_counts_once_whatever_the_size_of_minibatches(batch_size: int) -> None:
    dataset = numbered(5, batch_size)
    np.testing.assert_allclose(mean_values(same, dataset, MeanOutput()), [2.0])
    np.testing.assert_array_equal(all_outputs(same, dataset), [[0], [1], [2], [3], [4]])


def test_minibatches_beyond_the_samples_do_not_count() -> None:
    dataset = WithoutPosition([[1, 1], [1, 9], [9, 9]], ndata=3)
    np.testing.assert_array_equal(all_outputs(same, dataset), [[1], [1], [1]])
    np.testing.assert_allclose(mean_values(same, dataset, MeanOutput()), [1.0])
    assert dataset.resets == 2


def test_evaluation_begins_with_the_first_sample_and_leaves_the_data_set_where_it_was() -> None:
    dataset = numbered(5, 2)
    list(dataset)
    assert dataset.start == 1
    np.testing.assert_array_equal(all_outputs(same, dataset)[0], [0])
    assert dataset.start == 1
    mean_values(same, dataset, MeanOutput())
    assert dataset.start == 1


def test_data_set_is_put_back_when_the_metric_raises() -> None:
    class Failing:
        def __call__(self, y: Floats, t: Floats, calcrange: slice) -> list[float]:
            raise ZeroDivisionError

    dataset = numbered(5, 2)
    list(dataset)
    with pytest.raises(ZeroDivisionError):
        mean_values(same, dataset, Failing())
    assert dataset.start == 1


def test_epoch_under_way_is_not_disturbed_by_an_evaluation_of_the_same_set() -> None:
    dataset = numbered(5, 2)
    samples = []
    for x, _ in dataset:
        samples.append(x[0].tolist())
        mean_values(same, dataset, MeanOutput())
    assert samples == [[0, 1], [2, 3], [4, 0]]
    assert dataset.start == 1


def test_metric_of_several_values_gives_the_mean_of_each() -> None:
    dataset = ArrayIterator(np.eye(2), [0, 1], nclass=2, batch_size=1)
    precision_recall = mean_values(same, dataset, PrecisionRecall(2, binarize=True))
    np.testing.assert_allclose(precision_recall, [0.5, 0.5], atol=1e-5)  # each minibatch lacks one class


@pytest.mark.parametrize("epoch", range(4))
def test_metrics_of_neons_outputs_are_those_of_neon(epoch: int) -> None:
    reference = neon_reference.arrays("mlp")
    recorded = iter(reference[f"eval_outputs/epoch{epoch:02}"])
    valid_set = neon_reference.data_set(reference, "valid")
    misclassified = mean_values(lambda x: next(recorded), valid_set, Misclassification())
    np.testing.assert_allclose(misclassified, reference["h5_metrics/Top1Misclass"][epoch], atol=1e-6)


def test_metric_class_instead_of_an_instance_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"pass an instance: Accuracy\(\)"):
        mean_values(same, numbered(2, 2), Accuracy)  # type: ignore[arg-type] # the mistake under test


def test_data_set_that_yields_nothing_is_refused() -> None:
    dataset = WithoutPosition([], ndata=3)
    with pytest.raises(DataError, match="no minibatch"):
        mean_values(same, dataset, MeanOutput())
    with pytest.raises(DataError, match="no minibatch"):
        all_outputs(same, dataset)
