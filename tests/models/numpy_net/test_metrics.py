from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score, top_k_accuracy_score

from tests.support import neon_reference
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.numpy_net import (
    Accuracy,
    Metric,
    Misclassification,
    PrecisionRecall,
    Softmax,
    TopKMisclassification,
)

CLASSES = 4
LABELS = np.arange(40) % CLASSES
TARGETS = np.eye(CLASSES, dtype=np.float32)[:, LABELS]


def outputs() -> npt.NDArray[np.float32]:
    scores = np.random.RandomState(0).normal(size=(CLASSES, len(LABELS))) + TARGETS
    return Softmax()(scores).astype(np.float32)


def metrics() -> list[Metric]:
    return [
        Misclassification(),
        Accuracy(),
        TopKMisclassification(2),
        PrecisionRecall(CLASSES, binarize=True),
    ]


def metric_name(metric: Metric) -> str:
    return type(metric).__name__


@pytest.mark.parametrize(
    ("metric", "directions"),
    [
        (Misclassification(), {"Top1Misclass": "min"}),
        (Accuracy(), {"Accuracy": "max"}),
        (TopKMisclassification(5), {"LogLoss": "min", "Top1Misclass": "min", "Top5Misclass": "min"}),
        (PrecisionRecall(3), {"Precision": "max", "Recall": "max"}),
    ],
    ids=["misclassification", "accuracy", "topk", "precision_recall"],
)
def test_names_are_those_of_neon_and_tell_which_direction_is_better(
    metric: Metric, directions: dict[str, str]
) -> None:
    assert metric.metric_names == list(directions)
    assert metric.directions == directions


def test_accuracy_and_misclassification_are_those_of_scikit_learn() -> None:
    accuracy = accuracy_score(LABELS, outputs().argmax(axis=0))
    assert Accuracy()(outputs(), TARGETS) == pytest.approx([accuracy])
    assert Misclassification()(outputs(), TARGETS) == pytest.approx([1 - accuracy])


def test_top_k_values_are_those_of_scikit_learn() -> None:
    y = outputs()
    expected = [log_loss(LABELS, y.T)] + [1 - top_k_accuracy_score(LABELS, y.T, k=k) for k in (1, 2)]
    np.testing.assert_allclose(TopKMisclassification(2)(y, TARGETS), expected, rtol=1e-5)


def test_classes_that_tie_share_the_places_that_are_left() -> None:
    y = np.array([[0.1], [0.3], [0.3], [0.3]], np.float32)
    t = np.array([[0], [0], [1], [0]], np.float32)
    np.testing.assert_allclose(
        TopKMisclassification(2)(y, t), [-np.log(0.3), 1 - 1 / 3, 1 - 2 / 3], rtol=1e-6
    )


def test_class_that_ties_for_a_place_already_taken_is_wrong() -> None:
    y = np.array([[0.5], [0.3], [0.1], [0.1]], np.float32)
    t = np.array([[0], [0], [1], [0]], np.float32)
    np.testing.assert_allclose(TopKMisclassification(2)(y, t)[1:], [1, 1])


def test_precision_and_recall_are_the_macro_averages_of_scikit_learn() -> None:
    metric = PrecisionRecall(CLASSES, binarize=True)
    predicted = outputs().argmax(axis=0)
    scores = (precision_score, recall_score)
    means = [score(LABELS, predicted, average="macro") for score in scores]
    by_class = np.stack([score(LABELS, predicted, average=None) for score in scores], axis=1)
    np.testing.assert_allclose(metric(outputs(), TARGETS), means, atol=1e-5)
    np.testing.assert_allclose(metric.outputs, by_class, atol=1e-5)


@pytest.mark.parametrize("epoch", range(4))
def test_precision_and_recall_of_each_class_are_those_of_neon(epoch: int) -> None:
    reference = neon_reference.arrays("mlp")
    metric = PrecisionRecall(10, binarize=True)
    minibatches = zip(
        reference[f"eval_outputs/epoch{epoch:02}"],
        reference[f"eval_targets/epoch{epoch:02}"],
        reference[f"prec_recall_per_batch/epoch{epoch:02}"],
        strict=True,
    )
    for y, t, expected in minibatches:
        means = metric(y, t)
        np.testing.assert_allclose(metric.outputs, expected, atol=1e-6)
        np.testing.assert_allclose(means, expected.mean(axis=0), atol=1e-6)


def test_outputs_that_are_not_binarized_count_in_shares() -> None:
    y = np.array([[0.75, 0.25], [0.25, 0.75]], np.float32)
    metric = PrecisionRecall(2)
    metric(y, np.eye(2, dtype=np.float32))
    np.testing.assert_allclose(metric.outputs, np.full((2, 2), 0.75), atol=1e-5)


def test_class_that_does_not_occur_counts_as_zero() -> None:
    y = t = np.array([[1, 1], [0, 0]], np.float32)
    metric = PrecisionRecall(2, binarize=True)
    metric(y, t)
    np.testing.assert_allclose(metric.outputs, [[1, 1], [0, 0]], atol=1e-5)


@pytest.mark.parametrize(
    "bad",
    [[np.nan] * 3, [np.inf] * 3, [-np.inf] * 3, [0.9, np.nan, 0.1], [np.inf, 0, 0]],
    ids=["nan", "inf", "minus_inf", "one_nan", "one_inf"],
)
def test_column_of_a_network_that_diverged_is_wrong_in_each_metric(bad: list[float]) -> None:
    """Of two columns of class 0 the first is right; no metric may call the other one right, or warn."""
    y = np.array([[0.5, 0.2, 0.3], bad], np.float32).T
    t = np.array([[1, 0, 0], [1, 0, 0]], np.float32).T
    topk, binarized = TopKMisclassification(2), PrecisionRecall(3, binarize=True)

    assert Misclassification()(y, t) == [0.5]
    assert Accuracy()(y, t) == [0.5]
    np.testing.assert_array_equal(topk(y, t), [np.nan, 0.5, 0.5])
    binarized(y, t)
    np.testing.assert_allclose(binarized.outputs, [[1.0, 0.5], [0.0, 0.0], [0.0, 0.0]], atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_precision_that_counts_in_shares_is_nan_where_the_network_diverged(bad: float) -> None:
    y = np.array([[1, bad], [0, bad]], np.float32)
    assert np.isnan(PrecisionRecall(2)(y, np.eye(2, dtype=np.float32))[0])


def test_outputs_of_minus_infinity_beside_finite_ones_are_predictions() -> None:
    y = np.array([[-np.inf], [-1.0]], np.float32)
    t = np.array([[0], [1]], np.float32)
    assert Misclassification()(y, t) == [0]


@pytest.mark.parametrize("metric", metrics(), ids=metric_name)
def test_only_the_columns_in_the_range_count(metric: Metric) -> None:
    expected = metric(outputs()[:, 3:7], TARGETS[:, 3:7])
    np.testing.assert_array_equal(metric(outputs(), TARGETS, calcrange=slice(3, 7)), expected)
    assert not np.array_equal(metric(outputs(), TARGETS), expected)


@pytest.mark.parametrize("metric", metrics(), ids=metric_name)
def test_metric_changes_nothing_that_it_is_given(metric: Metric) -> None:
    y, t = outputs(), TARGETS.copy()
    y.flags.writeable = t.flags.writeable = False
    values = metric(y, t)
    assert values.shape == (len(metric.metric_names),)
    assert values.dtype == np.float32


@pytest.mark.parametrize("metric", metrics(), ids=metric_name)
def test_targets_of_another_shape_are_refused(metric: Metric) -> None:
    with pytest.raises(DataError, match=r"\(4, 40\).*\(1, 40\)"):
        metric(outputs(), TARGETS[:1])


def test_best_of_fewer_than_two_classes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"k=1 .*Misclassification\(\)"):
        TopKMisclassification(1)


def test_metric_for_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="num_classes=4"):
        PrecisionRecall(3)(outputs(), TARGETS)


def test_metric_without_classes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="num_classes=0"):
        PrecisionRecall(0)


def test_epsilon_of_zero_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="epsilon=0"):
        PrecisionRecall(3, epsilon=0)
