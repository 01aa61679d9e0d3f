"""A loop written by hand around `callbacks.training`, over NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.support.linear_problem import FEATURES, descend
from tests.support.loop_subjects import Plan, Subject
from trainsignal import Callbacks


class LinearModel:
    """Weights, (3, 1) float64, that can be saved and loaded."""

    def __init__(self) -> None:
        self.weights = np.zeros((FEATURES, 1))

    def serialize(self, *, keep_states: bool = True) -> dict[str, Any]:
        return {"weights": self.weights}

    def deserialize(self, state: Mapping[str, Any], *, load_states: bool = True) -> None:
        self.weights = np.array(state["weights"])


def train(callbacks: Callbacks, plan: Plan) -> None:
    model, loader = callbacks.model(), plan.loader()
    with callbacks.training(plan.epochs) as run:
        for _ in run.epochs():
            for x, y in run.minibatches(loader):
                model.weights, run.cost = descend(model.weights, x, y)


SUBJECT = Subject("hand-written", LinearModel, train, has_loss=False)
