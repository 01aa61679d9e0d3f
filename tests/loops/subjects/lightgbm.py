"""LightGBM: `lightgbm.train` with a squared error of our own, which can fail; no randomness, one thread."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np

from tests.support.linear_problem import problem
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks
from trainsignal.loops.lightgbm import LightGBMLoop
from trainsignal.models.lightgbm import LightGBMModel, saved_booster


def train(callbacks: Callbacks, plan: Plan) -> None:
    """Train as many rounds as the plan has epochs."""
    inputs, targets = problem(max(1, plan.minibatches))
    data = lightgbm.Dataset(inputs, targets[:, 0])
    valid = lightgbm.Dataset(inputs, targets[:, 0], reference=data)
    rounds = 0

    def squared_error(outputs: Any, data: Any) -> tuple[Any, Any]:
        nonlocal rounds
        rounds += 1
        plan.fail_if_due(rounds - 1, 0)
        return outputs - data.get_label(), np.ones_like(outputs)

    parameters = {"objective": squared_error, "metric": "l2", "min_data_in_leaf": 1, "num_leaves": 4}
    lightgbm.train(
        {**parameters, "num_threads": 1, "deterministic": True, "verbosity": -1},
        data,
        num_boost_round=plan.epochs,
        valid_sets=[valid],
        init_model=None if callbacks.save_path is None else saved_booster(callbacks.save_path),
        callbacks=[*LightGBMLoop(callbacks)],
    )


SUBJECT = Subject("lightgbm", LightGBMModel, train, has_minibatches=False, has_loss=False, needs_guard=True)
