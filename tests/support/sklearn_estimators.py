"""Estimators that follow the gradient of a batch; those of scikit-learn go sample by sample."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks

from tests.support.linear_problem import descend


class BatchRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # untyped framework
    """Least squares by gradient descent.

    Attributes:
        coef_: (features, 1) float64.
        loss_: mean squared error of the last batch, before the step.
    """

    def __init__(self, features: int = 3) -> None:
        self.features = features

    def partial_fit(self, X: Any, y: Any) -> Self:
        weights = getattr(self, "coef_", np.zeros((self.features, 1)))
        self.coef_, self.loss_ = descend(weights, X, y)
        return self

    def predict(self, X: Any) -> Any:
        return X @ self.coef_


class EpochRegressor(CallbackSupportMixin, BatchRegressor):  # type: ignore[misc]  # untyped framework
    """The same, in a `fit` over an iterable of batches, which tells callbacks of epochs and minibatches.

    Args:
        features: of the inputs.
        max_iter: epochs.
        warm_start: begin with the coefficients of an earlier fit.
        is_deaf: take no notice of a callback that wants to stop.
    """

    def __init__(
        self, features: int = 3, max_iter: int = 1, warm_start: bool = False, is_deaf: bool = False
    ) -> None:
        super().__init__(features)
        self.max_iter = max_iter
        self.warm_start = warm_start
        self.is_deaf = is_deaf

    @with_callbacks  # type: ignore[untyped-decorator]  # untyped framework
    def fit(self, X: Iterable[Any], minibatches: int | None = None) -> Self:
        """Fit to batches, each iteration an epoch; `minibatches`: how many, if that is known."""
        fit = self._init_callback_context(max_subtasks=self.max_iter)
        fit.call_on_fit_task_begin(estimator=self)
        if not self.warm_start:
            self.__dict__.pop("coef_", None)
        for _ in range(self.max_iter):
            epoch = fit.subcontext("epoch", max_subtasks=minibatches)
            epoch.call_on_fit_task_begin(estimator=self)
            for x, y in X:
                minibatch = epoch.subcontext("minibatch").call_on_fit_task_begin(estimator=self, X=x, y=y)
                self.partial_fit(x, y)
                if self._is_to_stop(minibatch, x, y):
                    break
            if self._is_to_stop(epoch):
                break
        fit.call_on_fit_task_end(estimator=self, reconstruction_attributes={})
        return self

    def _is_to_stop(self, task: Any, X: Any = None, y: Any = None) -> bool:
        state = {"coef_": self.coef_} if hasattr(self, "coef_") else None
        wanted = task.call_on_fit_task_end(estimator=self, X=X, y=y, reconstruction_attributes=state)
        return bool(wanted) and not self.is_deaf
