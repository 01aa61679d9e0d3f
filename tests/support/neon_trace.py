"""The calls that neon's `Model.fit` made on its callbacks, and a loop that makes them anew.

Section 1 of the trace: calls of `fit` on the container, of two epochs of two minibatches. Section 2: calls of
the container on callbacks A, B, C and D.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.support.neon_reference import NEON_DATA
from trainsignal.models.numpy_net import (
    ArrayIterator,
    CrossEntropyMulti,
    GeneralizedCost,
    GradientDescentMomentum,
    Model,
)

_SECTIONS = (NEON_DATA / "fit_call_trace.txt").read_text().split("\n# 2. ")
FIT_CALLS: list[tuple[str, tuple[int, ...]]] = [
    (method, tuple(int(one) for one in arguments.split(", ") if one))
    for method, arguments in re.findall(r"^CALL callbacks\.(\w+)\((.*)\)$", _SECTIONS[0], flags=re.MULTILINE)
]
CALLBACK_CALLS = [
    re.sub(r"  \[.*$", "", line).strip()
    for line in _SECTIONS[1].splitlines()[1:]
    if re.match(r" *[ABCD]\.", line)
]
MARKERS = re.findall(r"^set  callbacks\.(\w+) = (\d+)$", _SECTIONS[1], flags=re.MULTILINE)


def replay(callbacks: Any, model: Model, dataset: ArrayIterator) -> None:
    """Make neon's recorded calls, and train between them as neon's `fit` does: 64 samples, 2 minibatches."""
    cost, optimizer = GeneralizedCost(CrossEntropyMulti()), GradientDescentMomentum(0.1, 0.9)
    model.initialize(dataset, cost)
    model.optimizer = optimizer
    model.nbatches, model.ndata = dataset.nbatches, dataset.ndata
    minibatches: Iterator[Any] = iter(())
    for method, arguments in FIT_CALLS:
        if method == "on_minibatch_end":
            x, t = next(minibatches)
            outputs = model.fprop(x)
            model.total_cost[:] += cost.get_cost(outputs, t)
            model.bprop(cost.get_errors(outputs, t))
            optimizer.optimize(model.layers_to_optimize, epoch=arguments[0], batch_size=x.shape[1])
        elif method == "on_epoch_end":
            next(minibatches, None)  # lets the data set know that its epoch is over
            model.total_cost[:] /= model.nbatches
        getattr(callbacks, method)(*arguments)
        if method == "on_epoch_begin":
            minibatches = iter(dataset)
            model.total_cost[:] = 0
        elif method == "on_epoch_end":
            model.epoch_index += 1
