from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.support.runs import tiny_set
from trainsignal import (
    Callback,
    EarlyStopCallback,
    LossCallback,
    MetricCallback,
    ProgressBarCallback,
    SerializeModelCallback,
    TrainCostCallback,
)
from trainsignal.description import describe
from trainsignal.models.numpy_net import Accuracy


def stop_at_once(state: object, loss: float) -> tuple[object, bool]:
    return state, True


@pytest.mark.parametrize("callback, config", [
    (TrainCostCallback(), {}),
    (TrainCostCallback(wsz=3), {"wsz": 3}),
    (Callback(epoch_freq=2, minibatch_freq=None), {"epoch_freq": 2, "minibatch_freq": None}),
    (Callback(epoch_freq=[0, 2]), {"epoch_freq": [0, 2]}),
    (Callback(epoch_freq=(0, 2)), {"epoch_freq": [0, 2]}),
    (Callback(epoch_freq=cast("Any", np.int64(2))), {"epoch_freq": 2}),
    (SerializeModelCallback("m.h5", history=2), {"save_path": "m.h5", "history": 2}),
    (SerializeModelCallback(Path("..") / "m.h5"), {"save_path": str(Path("..") / "m.h5")}),
    (ProgressBarCallback(update_thresh_s=0.5), {"update_thresh_s": 0.5}),
    (EarlyStopCallback(stop_at_once), {"stop_func": {"type": f"{__name__}.stop_at_once"}}),
])  # fmt: skip
def test_arguments_that_differ_from_the_default_are_described(
    callback: Callback, config: dict[str, Any]
) -> None:
    described = describe(callback)
    assert described["config"] == config
    assert {type(value) for value in described["config"].values()} == {type(one) for one in config.values()}


def test_type_is_the_full_name_of_the_class() -> None:
    assert describe(TrainCostCallback())["type"] == "trainsignal.callbacks.train_cost.TrainCostCallback"


def test_data_set_and_metric_are_described_by_type_and_name() -> None:
    data_set = {"type": "trainsignal.models.numpy_net.data.ArrayIterator", "name": "tiny"}
    metric = {"type": "trainsignal.models.numpy_net.metrics.Accuracy"}
    assert describe(LossCallback(tiny_set()))["config"] == {"eval_set": data_set}
    assert describe(MetricCallback(tiny_set(), Accuracy()))["config"] == {
        "eval_set": data_set, "metric": metric,
    }  # fmt: skip


def test_callback_of_a_users_own_is_described_whatever_its_constructor() -> None:
    class Mine(Callback):
        def __init__(self, *values: int, kept: int, lost: int = 0, **options: int) -> None:
            super().__init__()
            self.kept = kept

    assert describe(Mine(1, 2, kept=3, lost=4, other=5))["config"] == {"kept": 3}


def test_array_is_described_by_its_type() -> None:
    class Mine(Callback):
        def __init__(self, weights: Any = None) -> None:
            super().__init__()
            self.weights = weights

    assert describe(Mine(np.zeros(3)))["config"] == {"weights": {"type": "numpy.ndarray"}}
