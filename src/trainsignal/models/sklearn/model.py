"""`SklearnModel`: what callbacks need of an estimator of scikit-learn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final, Literal

import numpy as np

from trainsignal.abilities import Array, State
from trainsignal.errors import ConfigurationError
from trainsignal.models.sklearn.fitted import FittedState
from trainsignal.models.sklearn.framework import base
from trainsignal.models.sklearn.metric import SklearnMetric
from trainsignal.wrapped_model import PredictingModel

_OUTPUTS: Final = ("predict_proba", "decision_function", "predict")
"""Methods that give outputs, the first that an estimator has counting unless the user names one."""


class SklearnModel(PredictingModel):
    """Evaluates and saves an estimator.

        model = SklearnModel(SGDClassifier(loss="log_loss"), loss=partial(log_loss, labels=classes))
        ...
        for X, y in run.minibatches(batches):
            model.estimator.partial_fit(X, y, classes=classes)

    Attributes:
        estimator: the one that was given.
        outputs: name of the estimator's method that gives the outputs.
        loss: function (outputs, targets); no attribute where no loss was given.
    """

    loss: Callable[[Any, Any], Any]

    def __init__(
        self,
        estimator: Any,
        *,
        loss: Callable[[Any, Any], Any] | None = None,
        outputs: str | None = None,
    ) -> None:
        """Store the estimator, fitted or not.

        Args:
            estimator: an instance.
            loss: function (y_true, y_pred) of the mean loss over the samples, in the order of
                `sklearn.metrics`; `y_pred` is what `outputs` gives. It is called for each minibatch of an
                evaluation set: name the labels where not each has all, `partial(log_loss, labels=classes)`.
                None: the model computes none for `LossCallback`.
            outputs: name of the method that gives the outputs; None: the first that the estimator has of
                `predict_proba`, `decision_function` and `predict`.

        Raises:
            ConfigurationError: it is no estimator, or has no such method.
        """
        super().__init__()
        if not isinstance(estimator, base.BaseEstimator) or isinstance(estimator, type):
            raise ConfigurationError(
                f"estimator={estimator!r}: expected an instance of a scikit-learn estimator"
            )
        if loss is not None and not callable(loss):
            raise ConfigurationError(f"loss={loss!r}: expected a function (y_true, y_pred), such as log_loss")
        self.estimator = estimator
        self.outputs = _method(estimator, outputs)
        self._fitted: Any = None
        if loss is not None:
            self.loss = lambda outputs, targets: loss(targets, outputs)

    def set_fitted(self, estimator: Any) -> None:
        """Evaluate and save this estimator from now on, as during a `fit` that has not set anything yet.

        Args:
            estimator: of the same class; None: the one that was given.
        """
        self._fitted = estimator

    def evaluating(self) -> AbstractContextManager[object]:
        """Be in evaluation mode; estimators have no other."""
        return contextlib.nullcontext()

    def predict(self, inputs: Any) -> Any:
        """Return what the method `outputs` gives: (samples,), or (samples, classes) of several.

        Raises:
            NotFittedError: the estimator was not trained yet.
        """
        return getattr(self._current, self.outputs)(inputs)

    def to_host(self, value: Any) -> Array:
        """Return an array."""
        return np.asarray(value)

    def labels(self, outputs: Array) -> Array:
        """Return the class of the greatest output of each sample; of a regressor, the outputs.

        That is what the estimator's `predict` gives, but where outputs are equal: several probabilities of
        1.0, say.
        """
        if self.outputs == "predict" or not hasattr(self._current, "classes_"):
            return outputs
        columns = np.argmax(outputs, axis=1) if outputs.ndim == 2 else (outputs > 0).astype(int)
        classes: Array = np.asarray(self._current.classes_)
        return np.take(classes, columns)

    def metric(
        self,
        metric: Callable[[Any, Any], Any],
        *,
        of: Literal["labels", "outputs"] = "labels",
        direction: Literal["min", "max"] | None = None,
    ) -> SklearnMetric:
        """Return a metric of `sklearn.metrics` for `MetricCallback`, called once with the whole set.

        Args:
            metric: function (y_true, y_pred) of one number, such as `accuracy_score`.
            of: what it is given as `y_pred`: the predicted classes, or the outputs, as for `roc_auc_score`.
            direction: which values are better; None: not told.

        Raises:
            ConfigurationError: `of` is neither.
        """
        if of not in ("labels", "outputs"):
            raise ConfigurationError(f"of={of!r}: expected 'labels' or 'outputs'")
        return SklearnMetric(metric, self.labels if of == "labels" else np.asarray, direction)

    def serialize(self, *, keep_states: bool = True) -> State:
        """Return what the estimator has learned, as plain values.

        Args:
            keep_states: with the state of its optimizer and its random generators.

        Raises:
            CheckpointError: it holds something that no checkpoint can hold.
        """
        return FittedState.of(self._current).to_plain(keep_states=keep_states)

    def deserialize(self, state: State, *, load_states: bool = True) -> None:
        """Give the estimator what was learned; one that was not fitted yet is so then.

        Raises:
            CheckpointError: it was learned by another estimator, or with other parameters; says which.
        """
        saved = FittedState.from_plain(state)
        saved.check(self.estimator)
        saved.give_to(self.estimator, load_states=load_states)

    @property
    def _current(self) -> Any:
        return self.estimator if self._fitted is None else self._fitted


def wrapper_hint(model: object) -> str | None:
    """Return how to wrap an estimator, as code; None for another object."""
    if not isinstance(model, base.BaseEstimator):
        return None
    return "SklearnModel(estimator, loss=...) from trainsignal.models.sklearn"


def _method(estimator: Any, outputs: str | None) -> str:
    """Return the name of the method that gives the outputs."""
    there = [name for name in _OUTPUTS if hasattr(estimator, name)]
    if outputs is None and there:
        return there[0]
    if outputs is None or not callable(getattr(estimator, outputs, None)):
        wanted = f"no method {outputs!r}" if outputs else f"none of {', '.join(_OUTPUTS)}"
        instead = f"; it has {', '.join(there)}" if there else ""
        raise ConfigurationError(f"{type(estimator).__name__} has {wanted}{instead}")
    return outputs
