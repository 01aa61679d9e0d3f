"""Callbacks as neon's users wrote them, in `fit` and in neon's recorded calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix

from tests.support import neon_reference
from tests.support.neon_trace import replay
from tests.support.user_callbacks import (
    CachedLoss,
    ConfusionMatrix,
    CostPlotter,
    Histograms,
    InitialWeights,
    MacroEpochs,
    Outputs,
    Patience,
    Prune,
    TimedLoss,
    TrainByStage,
    ValidationLoss,
    WeightHistory,
    WeightNorms,
)
from trainsignal import Callbacks
from trainsignal.models.numpy_net import (
    Accuracy,
    ArrayIterator,
    CrossEntropyMulti,
    GeneralizedCost,
    GradientDescentMomentum,
    Misclassification,
    Model,
)

REFERENCE = neon_reference.arrays("mlp")


def digits(part: str, samples: int) -> ArrayIterator:
    return ArrayIterator(
        REFERENCE[f"X_{part}"][:samples], REFERENCE[f"y_{part}"][:samples], nclass=10, name=part
    )


def trained(way: str, callback: Any) -> Callbacks:
    """Train neon's MLP for two epochs of two minibatches, with neon's defaults and this callback."""
    model, train_set = neon_reference.initialized_mlp(REFERENCE), digits("train", 64)
    callbacks = Callbacks(
        model, eval_set=digits("valid", 100), eval_freq=1, metric=Accuracy(), progress_bar=False
    )
    callbacks.add_callback(callback)
    if way == "fit":
        cost, optimizer = GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.1, 0.9)
        model.fit(train_set, cost=cost, optimizer=optimizer, num_epochs=2, callbacks=callbacks)
    else:
        replay(callbacks, model, train_set)
    assert callbacks.run.exit_reason in ("completed", "stopped")
    return callbacks


USERS: list[Callable[[], Any]] = [
    lambda: InitialWeights(digits("valid", 100)),
    lambda: TimedLoss(digits("valid", 100)),
    lambda: ValidationLoss(digits("valid", 100)),
    lambda: ConfusionMatrix(digits("valid", 100), nclass=10),
    Patience,
    CachedLoss,
    CostPlotter,
    lambda: TrainByStage(digits("valid", 100), Misclassification()),
    lambda: Prune(0.5),
    WeightHistory,
    Histograms,
    WeightNorms,
    lambda: MacroEpochs(2),
    lambda: Outputs(digits("valid", 100)),
]


def assert_alike(one: Any, other: Any) -> None:
    if isinstance(one, str):
        assert one == other
    elif isinstance(one, tuple):
        for ours, theirs in zip(one, other, strict=True):
            assert_alike(ours, theirs)
    else:
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", USERS, ids=lambda make: type(make()).__name__)
def test_callback_of_a_user_finds_the_same_in_fit_and_in_neons_calls(make: Callable[[], Any]) -> None:
    in_fit, in_replay = make(), make()
    trained("fit", in_fit)
    trained("replay", in_replay)
    assert len(in_fit.notes) > 0
    assert len(in_fit.notes) == len(in_replay.notes)
    for one, other in zip(in_fit.notes, in_replay.notes, strict=True):
        assert_alike(one, other)


def infer(model: Model, data: ArrayIterator) -> Any:
    """Return the outputs for all samples, (samples, classes), by arithmetic."""
    first, first_bias, _, second, second_bias, _ = model.layers.layers
    hidden = np.maximum(first.W @ REFERENCE["X_valid"][: data.ndata].T + first_bias.W, 0)  # type: ignore[attr-defined]
    scores = np.exp(second.W @ hidden + second_bias.W)  # type: ignore[attr-defined]
    return np.asarray(scores / scores.sum(axis=0)).T


WAYS = pytest.mark.parametrize("way", ["fit", "replay"])


@WAYS
def test_loss_that_a_user_sums_up_is_ours(way: str) -> None:
    callback = ValidationLoss(digits("valid", 100))
    data = trained(way, callback).callback_data
    np.testing.assert_allclose(callback.notes, data["cost/loss"][:], rtol=1e-6)


@WAYS
def test_confusion_that_a_user_counts_is_that_of_scikit_learn(way: str) -> None:
    valid = digits("valid", 100)
    callback = ConfusionMatrix(valid, nclass=10)
    model = trained(way, callback).model()
    labels = REFERENCE["y_valid"][:100].reshape(-1)
    predicted = infer(model, valid).argmax(axis=1)
    np.testing.assert_array_equal(callback.notes[-1], confusion_matrix(labels, predicted, labels=range(10)))


@WAYS
def test_outputs_that_a_user_keeps_are_those_of_the_network(way: str) -> None:
    valid = digits("valid", 100)
    callback = Outputs(valid)
    model = trained(way, callback).model()
    np.testing.assert_allclose(callback.notes[0], infer(model, valid), rtol=1e-5, atol=1e-7)


@WAYS
def test_norms_that_a_user_computes_are_those_of_the_weights(way: str) -> None:
    callback = WeightNorms()
    model = trained(way, callback).model()
    last = [
        number
        for layer in model.layers_to_optimize
        for number in (np.linalg.norm(layer.W), np.abs(layer.W).max())
    ]
    np.testing.assert_allclose(callback.notes[-8:], last, rtol=1e-6)
    assert len(callback.notes) == 2 * 8


@WAYS
def test_weights_that_a_user_prunes_stay_zero(way: str) -> None:
    callback = Prune(0.5)
    trained(way, callback)
    shares = dict(note.rsplit(" ", 1) for note in callback.notes)
    assert (shares["Linear_0"], shares["Linear_1"]) == ("0.50", "0.50")


@WAYS
def test_archive_of_a_users_histograms_counts_every_weight(way: str) -> None:
    callback = Histograms()
    trained(way, callback)
    assert [histogram.sum(axis=0).tolist() for histogram in callback.notes] == [
        [32 * 64] * 2, [32] * 2, [10 * 32] * 2, [10] * 2,
    ]  # fmt: skip


@WAYS
def test_patience_of_a_user_ends_the_run(way: str) -> None:
    callback = Patience()
    callback.best_state, callback.patience = 0.0, 1  # type: ignore[assignment]
    callbacks = trained(way, callback)
    assert callbacks.model().finished is True
    assert len(callback.notes) == (1 if way == "fit" else 2)  # the recorded calls go on
