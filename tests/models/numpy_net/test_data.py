from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import neon_reference
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.numpy_net import ArrayIterator


def numbered(samples: int, batch_size: int) -> ArrayIterator:
    """Return a set whose sample i is the single number i."""
    return ArrayIterator(np.arange(samples).reshape(-1, 1), batch_size=batch_size)


def epoch(dataset: ArrayIterator) -> list[list[int]]:
    """Return the samples of each minibatch of one epoch."""
    return [columns(x) for x, _ in dataset]


def columns(x: Any) -> list[int]:
    """Return the samples of one minibatch."""
    return [int(sample) for sample in x[0]]


def test_last_minibatch_goes_on_with_the_first_samples() -> None:
    assert epoch(numbered(5, 2)) == [[0, 1], [2, 3], [4, 0]]


def test_next_epoch_begins_after_the_samples_used_to_fill_up() -> None:
    dataset = numbered(5, 2)
    epoch(dataset)
    assert dataset.start == 1
    assert epoch(dataset) == [[1, 2], [3, 4]]


def test_epoch_that_came_out_even_is_followed_by_one_from_the_first_sample() -> None:
    dataset = numbered(5, 2)
    epoch(dataset)
    epoch(dataset)
    assert epoch(dataset) == [[0, 1], [2, 3], [4, 0]]


def test_reset_begins_with_the_first_sample() -> None:
    dataset = numbered(5, 2)
    epoch(dataset)
    dataset.reset()
    assert epoch(dataset) == [[0, 1], [2, 3], [4, 0]]


def test_minibatch_larger_than_the_set_goes_round_it() -> None:
    dataset = numbered(3, 8)
    assert dataset.nbatches == 1
    assert epoch(dataset) == [[0, 1, 2, 0, 1, 2, 0, 1]]
    assert epoch(dataset) == [[2, 0, 1, 2, 0, 1, 2, 0]]


def test_number_of_minibatches_varies_as_in_neon() -> None:
    reference = neon_reference.arrays("mlp")
    dataset = neon_reference.data_set(reference, "train")
    counts = []
    for _ in range(4):
        counts.append(dataset.nbatches)
        assert len(list(dataset)) == counts[-1]
    assert counts == list(reference["model_nbatches_at_epoch_end"])


@given(samples=st.integers(1, 30), batch_size=st.integers(1, 40), epochs=st.integers(1, 6))
def test_samples_follow_each_other_in_a_circle_however_many_epochs(
    samples: int, batch_size: int, epochs: int
) -> None:
    dataset = numbered(samples, batch_size)
    seen: list[int] = []
    for _ in range(epochs):
        minibatches = dataset.nbatches
        served = epoch(dataset)
        assert len(served) == minibatches
        seen += [sample for minibatch in served for sample in minibatch]
    assert seen == [index % samples for index in range(len(seen))]


def test_iteration_that_is_broken_off_leaves_the_start_alone() -> None:
    dataset = numbered(5, 2)
    next(iter(dataset))
    assert epoch(dataset) == [[0, 1], [2, 3], [4, 0]]


def test_position_can_be_saved_and_restored() -> None:
    dataset, other = numbered(5, 2), numbered(5, 2)
    epoch(dataset)
    other.load_state_dict(dataset.state_dict())
    assert epoch(other) == [[1, 2], [3, 4]]


@given(
    samples=st.integers(1, 12), batch_size=st.integers(1, 15), epochs=st.integers(0, 3),
    done=st.integers(0, 12),
)  # fmt: skip
def test_position_within_an_epoch_is_gone_on_from(
    samples: int, batch_size: int, epochs: int, done: int
) -> None:
    dataset, other = numbered(samples, batch_size), numbered(samples, batch_size)
    for _ in range(epochs):
        epoch(dataset)
    iteration = iter(dataset)
    for _ in range(min(done, dataset.nbatches)):
        next(iteration)

    other.load_state_dict(dataset.state_dict())

    assert other.nbatches == dataset.nbatches
    assert epoch(other) == [columns(x) for x, _ in iteration]
    assert epoch(other) == epoch(dataset)


def test_only_the_next_iteration_goes_on_from_a_position() -> None:
    dataset = numbered(6, 2)
    dataset.load_state_dict({"start": 0, "minibatch": 2})
    iteration = iter(dataset)
    assert columns(next(iteration)[0]) == [4, 5]
    assert epoch(dataset) == [[0, 1], [2, 3], [4, 5]]


def test_loading_a_position_does_not_disturb_the_iteration_in_progress() -> None:
    dataset = numbered(6, 2)
    iteration = iter(dataset)
    next(iteration)
    dataset.load_state_dict({"start": 0, "minibatch": 2})
    assert [columns(x) for x, _ in iteration] == [[2, 3], [4, 5]]


def test_position_is_that_of_an_epochs_begin_where_nothing_is_iterated() -> None:
    dataset = numbered(5, 2)
    assert dataset.state_dict() == {"start": 0, "minibatch": 0}
    epoch(dataset)
    assert dataset.state_dict() == {"start": 1, "minibatch": 0}
    iteration = iter(dataset)
    next(iteration)
    assert dataset.state_dict() == {"start": 1, "minibatch": 1}
    dataset.reset()
    assert dataset.state_dict() == {"start": 0, "minibatch": 0}


def test_minibatches_are_feature_major_with_one_hot_targets() -> None:
    dataset = ArrayIterator([[1, 2, 3], [4, 5, 6]], [2, 0], nclass=3, batch_size=2)
    ((x, t),) = dataset
    np.testing.assert_array_equal(x, [[1, 4], [2, 5], [3, 6]])
    np.testing.assert_array_equal(t, [[0, 1], [0, 0], [1, 0]])
    assert x.dtype == t.dtype == np.float32


def test_validation_minibatches_are_those_of_neon() -> None:
    reference = neon_reference.arrays("mlp")
    targets = [t for _, t in neon_reference.data_set(reference, "valid")]
    np.testing.assert_array_equal(targets, reference["eval_targets/epoch00"])


def test_labels_may_stand_in_one_column() -> None:
    ((_, t),) = ArrayIterator([[1.0], [2.0]], [[1], [0]], nclass=2, batch_size=2)
    np.testing.assert_array_equal(t, [[0, 1], [1, 0]])


def test_inputs_are_the_targets_where_none_are_given() -> None:
    ((x, t),) = ArrayIterator([[1, 2], [3, 4]], batch_size=2)
    np.testing.assert_array_equal(x, t)


@pytest.mark.parametrize(
    ("y", "expected"),
    [([0.5, 1.5], [[0.5, 1.5]]), ([[1, 2, 3], [4, 5, 6]], [[1, 4], [2, 5], [3, 6]])],
    ids=["one", "several"],
)
def test_targets_that_are_no_labels_are_taken_as_they_are(y: Any, expected: Any) -> None:
    ((_, t),) = ArrayIterator([[1.0], [2.0]], y, make_onehot=False, batch_size=2)
    np.testing.assert_array_equal(t, expected)
    assert t.dtype == np.float32


def test_minibatch_is_a_copy_that_may_be_changed() -> None:
    X = np.ones((4, 2), np.float32)
    for x, t in ArrayIterator(X, batch_size=2):
        x[...] = 0
        assert t.all()
    assert X.all()


def test_shape_is_that_of_a_sample() -> None:
    X = np.zeros((2, 12))
    assert ArrayIterator(X).shape == 12
    assert ArrayIterator(X, lshape=(3, 2, 2)).shape == (3, 2, 2)


X = [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"X": np.zeros((0, 3))}, "nothing to train"),
        ({"X": np.zeros((3, 0))}, "nothing to train"),
        ({"X": [1.0, 2.0]}, r"shape \(2,\).*reshape"),
        ({"X": np.zeros((2, 4, 4))}, r"shape \(2, 4, 4\).*reshape"),
        ({"X": [[1.0], [1.0, 2.0]]}, "cannot be made an array"),
        ({"X": [["a"], ["b"]]}, "convert it to numbers"),
        ({"X": X, "lshape": (3, 1, 1)}, "lshape=.* holds 3 features"),
        ({"X": X, "batch_size": 0}, "batch_size=0"),
        ({"X": X, "y": [0], "nclass": 2}, r"y has shape \(1,\)"),
        ({"X": X, "y": [[0, 1], [1, 0]], "nclass": 2}, r"y has shape \(2, 2\)"),
        ({"X": X, "y": [0.0, 1.0], "nclass": 2}, "expected integer labels"),
        ({"X": X, "y": [0, 2], "nclass": 2}, r"y\[1\] is 2, expected labels from 0 to 1"),
        ({"X": X, "y": [-1, 0], "nclass": 2}, r"y\[0\] is -1"),
        ({"X": X, "y": [0.0], "make_onehot": False}, r"y has shape \(1,\)"),
        ({"X": X, "y": 1.0, "make_onehot": False}, r"y has shape \(\)"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        ArrayIterator(**kwargs)


def test_labels_without_a_number_of_classes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="without nclass"):
        ArrayIterator(X, [0, 1])
