"""XGBoost: `xgboost.train` with a squared error of our own, which can fail; no randomness, one thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost

from tests.support.linear_problem import problem
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.loops.xgboost import XGBoostLoop
from trainsignal.models.xgboost import XGBoostModel


def train(callbacks: Callbacks, plan: Plan) -> None:
    """Train as many rounds as the plan has epochs."""
    inputs, targets = problem(max(1, plan.minibatches))
    data = xgboost.DMatrix(inputs, targets[:, 0])
    rounds = 0

    def squared_error(outputs: Any, data: xgboost.DMatrix) -> tuple[Any, Any]:
        nonlocal rounds
        rounds += 1
        plan.fail_if_due(rounds - 1, 0)
        return outputs - data.get_label(), np.ones_like(outputs)

    xgboost.train(
        {"max_depth": 2, "nthread": 1, "base_score": 0, "disable_default_eval_metric": 1},
        data,
        num_boost_round=plan.epochs,
        obj=squared_error,
        evals=[(data, "train")],
        custom_metric=lambda outputs, data: ("mse", float(np.mean((outputs - data.get_label()) ** 2))),
        verbose_eval=False,
        callbacks=[XGBoostLoop(callbacks, epochs=plan.epochs, loss="train-mse")],
    )


SUBJECT = Subject("xgboost", XGBoostModel, train, has_minibatches=False, has_loss=False, needs_guard=True)
