from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from tests.support.runs import quiet
from trainsignal import Callbacks, MetricCallback
from trainsignal.errors import CheckpointError, ConfigurationError, CostError
from trainsignal.models.sklearn import SklearnModel, wrapper_hint

PIXELS, DIGITS = load_digits(return_X_y=True)
PIXELS = PIXELS / 16
CLASSES = np.arange(10)
BATCHES = [(PIXELS[start : start + 100], DIGITS[start : start + 100]) for start in range(0, 600, 100)]
VALID = [(PIXELS[1000:1400], DIGITS[1000:1400]), (PIXELS[1400:], DIGITS[1400:])]


def classifier(**options: Any) -> SGDClassifier:
    return SGDClassifier(random_state=0, **options)


def digits_model(**options: Any) -> SklearnModel:
    return SklearnModel(classifier(loss="log_loss"), loss=partial(log_loss, labels=CLASSES), **options)


def train(callbacks: Callbacks, epochs: int, estimator: Any) -> None:
    with callbacks.training(epochs) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(BATCHES):
                estimator.partial_fit(x, y, classes=CLASSES)
                run.cost = log_loss(y, estimator.predict_proba(x), labels=CLASSES)


# -- outputs and losses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "outputs", "expected"),
    [
        (SGDClassifier(loss="log_loss"), None, "predict_proba"),
        (SGDClassifier(loss="hinge"), None, "decision_function"),
        (LinearRegression(), None, "predict"),
        (SGDClassifier(loss="log_loss"), "predict", "predict"),
        (SGDClassifier(loss="log_loss"), "predict_log_proba", "predict_log_proba"),
        (StandardScaler(), "transform", "transform"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_outputs_are_what_says_most_unless_the_user_chooses(
    estimator: Any, outputs: str | None, expected: str
) -> None:
    model = SklearnModel(estimator, outputs=outputs)
    estimator.fit(PIXELS, DIGITS)

    assert model.outputs == expected
    np.testing.assert_array_equal(model.predict(PIXELS), getattr(estimator, expected)(PIXELS))


def test_the_loss_takes_what_is_true_first_as_scikit_learn_does() -> None:
    given: list[Any] = []

    def loss(y_true: Any, y_pred: Any) -> float:
        given.extend([y_true, y_pred])
        return 3.0

    assert SklearnModel(LinearRegression(), loss=loss).loss("outputs", "targets") == 3.0
    assert given == ["targets", "outputs"]


def test_an_evaluation_gives_what_scikit_learn_computes_on_the_whole_set() -> None:
    model = digits_model()
    callbacks = quiet(model, eval_set=VALID, eval_freq=1)
    callbacks.add_callback(MetricCallback(VALID, model.metric(accuracy_score, direction="max")))
    callbacks.add_callback(
        MetricCallback(VALID, model.metric(partial(roc_auc_score, multi_class="ovr"), of="outputs"))
    )

    train(callbacks, 2, model.estimator)

    inputs, targets = PIXELS[1000:], DIGITS[1000:]
    probabilities = model.estimator.predict_proba(inputs)
    data = callbacks.callback_data
    assert data["cost/loss"][1] == pytest.approx(log_loss(targets, probabilities), rel=1e-5)
    assert data["metrics/accuracy_score"][1] == pytest.approx(
        accuracy_score(targets, probabilities.argmax(axis=1)), rel=1e-6
    )
    assert data["metrics/accuracy_score"].attrs["direction"] == "max"
    assert data["metrics/roc_auc_score"][1] == pytest.approx(
        roc_auc_score(targets, probabilities, multi_class="ovr"), rel=1e-6
    )


@pytest.mark.parametrize(
    ("estimator", "outputs"),
    [
        (classifier(loss="log_loss"), None),
        (classifier(loss="hinge"), None),
        (classifier(), "predict"),
        (LinearRegression(), None),
    ],
    ids=["probabilities", "decisions", "labels", "regression"],
)
@pytest.mark.parametrize("names", [("even", "odd"), ("a", "b", "c")], ids=["two", "three"])
def test_labels_are_what_the_estimator_predicts(estimator: Any, outputs: str | None, names: Any) -> None:
    is_regression = isinstance(estimator, LinearRegression)
    estimator.fit(PIXELS, DIGITS if is_regression else np.array(names)[DIGITS % len(names)])
    model = SklearnModel(estimator, outputs=outputs)

    np.testing.assert_array_equal(model.labels(model.predict(PIXELS)), estimator.predict(PIXELS))


def test_another_estimator_can_stand_for_the_one_that_is_being_fitted() -> None:
    given, current = (LinearRegression().fit(PIXELS, factor * DIGITS) for factor in (1, 2))
    model = SklearnModel(given)

    model.set_fitted(current)
    np.testing.assert_array_equal(model.predict(PIXELS), current.predict(PIXELS))
    np.testing.assert_array_equal(model.serialize()["learned"]["coef_"]["value"], current.coef_)

    model.set_fitted(None)
    np.testing.assert_array_equal(model.predict(PIXELS), given.predict(PIXELS))


def test_neon_names_are_offered() -> None:
    model = SklearnModel(LinearRegression().fit(PIXELS, DIGITS), loss=mean_squared_error)

    np.testing.assert_array_equal(model.fprop(PIXELS), model.estimator.predict(PIXELS))
    np.testing.assert_array_equal(model.get_outputs(VALID), model.estimator.predict(PIXELS[1000:]))


def test_an_estimator_that_was_not_trained_says_so() -> None:
    with pytest.raises(NotFittedError):
        digits_model().predict(PIXELS)


def test_a_loss_that_is_no_number_is_refused() -> None:
    model = SklearnModel(classifier(loss="log_loss"), loss=lambda y_true, y_pred: y_pred)
    callbacks = quiet(model, eval_set=VALID, eval_freq=1)

    with pytest.raises(CostError, match="expected one number"):
        train(callbacks, 1, model.estimator)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SGDClassifier,), "expected an instance"),
        ((np.mean,), "expected an instance"),
        ((StandardScaler(),), "StandardScaler has none of predict_proba, decision_function, predict"),
        (
            (SGDClassifier(), None, "predict_proba"),
            "no method 'predict_proba'; it has decision_function, predict",
        ),
        ((StandardScaler(), None, "with_mean"), "no method 'with_mean'"),
        ((LinearRegression(), "log_loss"), "loss='log_loss': expected a function"),
    ],
    ids=["class", "function", "no outputs", "no such method", "no method", "no function"],
)
def test_what_cannot_work_is_refused_at_once(arguments: Any, message: str) -> None:
    estimator, loss, outputs = (*arguments, None, None)[:3]
    with pytest.raises(ConfigurationError, match=message):
        SklearnModel(estimator, loss=loss, outputs=outputs)


def test_a_metric_of_something_else_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="of='probabilities': expected 'labels' or 'outputs'"):
        digits_model().metric(accuracy_score, of="probabilities")  # type: ignore[arg-type]  # what a user may do


# -- saving --------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


def kill() -> None:
    raise Killed


@pytest.mark.parametrize(
    "make",
    [
        partial(SGDClassifier, "log_loss", random_state=3),
        partial(SGDClassifier, "log_loss", average=True, learning_rate="adaptive", eta0=0.01),
        partial(MLPClassifier, (8,), random_state=3),
        partial(MLPClassifier, (8,), solver="sgd", learning_rate_init=0.01),
    ],
    ids=["SGD", "averaged SGD", "MLP, Adam", "MLP, SGD"],
)
def test_a_resumed_run_is_identical_to_one_that_was_not_cut(make: Any, tmp_path: Any) -> None:
    def new(name: str, **options: Any) -> tuple[Callbacks, Any]:
        np.random.seed(8)
        estimator = make()
        callbacks = quiet(SklearnModel(estimator), save_path=tmp_path / f"{name}.h5", **options)
        return callbacks, estimator

    whole, expected = new("whole")
    train(whole, 3, expected)
    cut, _ = new("cut", checkpoint_every=2)
    cut.bus.subscribe("minibatch_begin", kill, at=[3], when=lambda epoch: epoch == 1)
    with pytest.raises(Killed):
        train(cut, 3, cut.model().estimator)

    resumed, estimator = new("cut", checkpoint_every=2, resume=True)
    train(resumed, 3, estimator)

    np.testing.assert_array_equal(estimator.predict_proba(PIXELS), expected.predict_proba(PIXELS))
    assert estimator.t_ == expected.t_


def test_a_model_file_trains_an_estimator_that_was_not(tmp_path: Any) -> None:
    first = digits_model()
    train(quiet(first, save_path=tmp_path / "digits.npz"), 1, first.estimator)
    second = digits_model()
    callbacks = quiet(second, model_file=tmp_path / "digits.npz")

    with callbacks.training(0):
        pass

    np.testing.assert_array_equal(second.predict(PIXELS), first.predict(PIXELS))


def test_a_checkpoint_of_another_estimator_is_refused() -> None:
    saved = SklearnModel(LogisticRegression()).serialize()

    with pytest.raises(CheckpointError, match="of a LogisticRegression, the model is a SGDClassifier"):
        digits_model().deserialize(saved)


# -- the hint ------------------------------------------------------------------------------------------


def test_a_bare_estimator_is_told_of_the_wrapper() -> None:
    hint = wrapper_hint(LinearRegression())

    assert hint is not None and "SklearnModel(estimator, loss=...)" in hint
    assert wrapper_hint(np.mean) is None
