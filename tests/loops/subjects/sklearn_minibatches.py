"""scikit-learn's own callbacks, in an estimator that tells of its minibatches; none of its own does."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sklearn.metrics import mean_squared_error

from tests.support.linear_problem import FEATURES
from tests.support.loop_subjects import Plan, Subject
from tests.support.sklearn_estimators import EpochRegressor
from trainsignal import Callbacks
from trainsignal.loops.sklearn import SklearnLoop
from trainsignal.models.sklearn import SklearnModel


def new_model() -> SklearnModel:
    return SklearnModel(EpochRegressor(features=FEATURES, warm_start=True), loss=mean_squared_error)


def train(callbacks: Callbacks, plan: Plan) -> None:
    batches: Iterable[Any] = callbacks.serve(plan.loader())
    estimator = callbacks.model().estimator.set_params(max_iter=plan.epochs)
    estimator.set_callbacks(SklearnLoop(callbacks, cost=lambda estimator: estimator.loss_))
    estimator.fit(batches, plan.minibatches if plan.is_length_known else None)


SUBJECT = Subject("sklearn-minibatches", new_model, train)
