"""scikit-learn's own callbacks, in the `fit` of `LogisticRegression`, whose iterations are epochs."""

from __future__ import annotations

from typing import Any

from sklearn.linear_model import LogisticRegression

from tests.support.linear_problem import problem
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.loops.sklearn import SklearnLoop
from trainsignal.models.sklearn import SklearnModel


class Failing:
    """A callback of scikit-learn's that raises where the plan says so, in the middle of an iteration."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def setup(self, estimator: Any, context: Any) -> None: ...

    def teardown(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        if context.parent is not None:
            self.plan.fail_if_due(context.task_id, 0)


def new_model() -> SklearnModel:
    return SklearnModel(LogisticRegression(C=1e6, tol=1e-12, warm_start=True))


def train(callbacks: Callbacks, plan: Plan) -> None:
    """Tell which targets are positive, in as many iterations as the plan has epochs."""
    inputs, targets = problem(max(1, plan.minibatches))
    estimator = callbacks.model().estimator.set_params(max_iter=plan.epochs)
    estimator.set_callbacks(Failing(plan), SklearnLoop(callbacks))
    estimator.fit(inputs, targets[:, 0] > 0)


SUBJECT = Subject(
    "sklearn", new_model, train, has_minibatches=False, has_loss=False, warns=("lbfgs failed to converge",)
)
