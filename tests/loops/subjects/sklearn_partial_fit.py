"""A loop around `partial_fit` of scikit-learn."""

from __future__ import annotations

from sklearn.metrics import mean_squared_error

from tests.support.linear_problem import FEATURES
from tests.support.loop_subjects import Plan, Subject
from tests.support.sklearn_estimators import BatchRegressor
from trainsignal import Callbacks
from trainsignal.models.sklearn import SklearnModel


def new_model() -> SklearnModel:
    return SklearnModel(BatchRegressor(features=FEATURES), loss=mean_squared_error)


def train(callbacks: Callbacks, plan: Plan) -> None:
    estimator, loader = callbacks.model().estimator, plan.loader()
    with callbacks.training(plan.epochs) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(loader):
                estimator.partial_fit(x, y)
                run.cost = estimator.loss_


SUBJECT = Subject("sklearn-partial-fit", new_model, train)
