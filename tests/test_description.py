from __future__ import annotations

import sys
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
from trainsignal.checkpoint import save_state
from trainsignal.description import describe, read_description, rebuild
from trainsignal.errors import CheckpointError, ConfigurationError, UntrustedPickleError
from trainsignal.models.numpy_net import Accuracy, Misclassification


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


class Described(Callback):
    """One that is loaded, with arguments of its own."""

    def __init__(self, first: int, *, second: str = "b", function: Any = None) -> None:
        super().__init__()
        if first < 0:
            raise ValueError("first is negative")
        self.first = first
        self.second = second
        self.function = function


def description(*callbacks: Callback) -> dict[str, Any]:
    return {"epoch_marker": 0, "output_file": None, "callbacks": [describe(one) for one in callbacks]}


def test_callbacks_are_rebuilt_with_the_arguments_that_are_described() -> None:
    described = description(TrainCostCallback(wsz=3), Described(1, second="c"), Callback(epoch_freq=[0, 2]))
    first, second, third = rebuild(described)
    assert [type(one) for one in (first, second, third)] == [TrainCostCallback, Described, Callback]
    assert cast("TrainCostCallback", first).wsz == 3
    assert (cast("Described", second).first, cast("Described", second).second) == (1, "c")
    assert third.epoch_freq == [0, 2]


def test_objects_that_are_only_named_are_taken_from_data() -> None:
    data, metric = tiny_set(), Accuracy()
    described = description(
        LossCallback(data), MetricCallback(data, metric), EarlyStopCallback(stop_at_once), Described(1)
    )
    again = rebuild(described, [stop_at_once, Misclassification(), metric, data])
    loss, measured, stopping = cast("list[Any]", again[:3])
    assert loss.eval_set is data
    assert (measured.eval_set, measured.metric) == (data, metric)
    assert stopping.stop_func is stop_at_once


def test_description_of_neons_own_callbacks_makes_ours() -> None:
    # As neon 2.6.0 describes them; no metric, which neon cannot rebuild either.
    described = {"callbacks": [
        {"type": "neon.callbacks.callbacks.LossCallback",
         "config": {"eval_set": {"type": "Data", "name": "tiny"}, "epoch_freq": 2}},
        {"type": "neon.callbacks.callbacks.TrainCostCallback", "config": {}},
        {"type": "neon.callbacks.callbacks.MetricCallback", "config": {
            "eval_set": {"type": "Data", "name": "tiny"},
            "metric": {"type": "neon.transforms.cost.Accuracy", "config": {}},
        }},
    ]}  # fmt: skip
    data = tiny_set()
    loss, train_cost, metric = cast("list[Any]", rebuild(described, [data, Accuracy()]))
    assert (type(loss), type(train_cost), type(metric)) == (LossCallback, TrainCostCallback, MetricCallback)
    assert (loss.eval_set, loss.epoch_freq, metric.eval_set) == (data, 2, data)
    assert isinstance(metric.metric, Accuracy)


@pytest.mark.parametrize("data, message", [
    ([], r"LossCallback\(eval_set=...\) was a .*ArrayIterator called 'tiny', and data holds none"),
    ([tiny_set(), tiny_set()], "data holds 2 of these"),
])  # fmt: skip
def test_data_set_that_is_missing_or_ambiguous_is_refused(data: list[Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rebuild(description(LossCallback(tiny_set())), data)


def test_metric_that_is_missing_is_refused_by_its_type() -> None:
    data = tiny_set()
    with pytest.raises(
        ConfigurationError, match=r"metric=...\) was a trainsignal.*Accuracy, and data holds none"
    ):
        rebuild(description(MetricCallback(data, Accuracy())), [data, Misclassification()])


@pytest.mark.parametrize("name", [
    "os.system", "trainsignal.callbacks.loss.os", "tests.not_imported.Mine", "neon.callbacks.callbacks.Mine",
    "trainsignal.container.Callbacks", "trainsignal.models.numpy_net.data.ArrayIterator",
])  # fmt: skip
def test_class_that_is_no_loaded_callback_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no callback '{name}' is loaded.*Import the module"):
        rebuild({"callbacks": [{"type": name, "config": {}}]})


def test_nothing_is_imported_because_a_description_names_it() -> None:
    assert "this" not in sys.modules
    with pytest.raises(ConfigurationError):
        rebuild({"callbacks": [{"type": "this.Callback", "config": {"a": {"type": "this.b"}}}]})
    assert "this" not in sys.modules


def test_misspelt_class_is_told_of_its_like() -> None:
    with pytest.raises(ConfigurationError, match=r"Did you mean 'trainsignal.callbacks.loss.LossCallback'\?"):
        rebuild({"callbacks": [{"type": "trainsignal.callbacks.loss.LosCallback", "config": {}}]})


def test_of_classes_that_share_a_name_the_latest_counts() -> None:
    def cell(mark: int) -> type[Callback]:
        class Mine(Callback):
            number = mark

        return Mine

    older, newer = cell(1), cell(2)
    (again,) = rebuild(description(older()))
    assert type(again) is newer


def test_error_of_a_constructor_says_what_was_made() -> None:
    with pytest.raises(ValueError, match="first is negative") as caught:
        rebuild({"callbacks": [{"type": f"{__name__}.Described", "config": {"first": -1}}]})
    assert caught.value.__notes__ == ["while a Described was made as its description says"]


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_description_is_read_from_a_file(suffix: str, tmp_path: Path) -> None:
    described = description(TrainCostCallback(wsz=3), LossCallback(tiny_set(), epoch_freq=[0, 2]))
    path = save_state(described, tmp_path / f"callbacks{suffix}")
    found = read_description(path)
    assert dict(found) == described
    assert cast("Any", rebuild(found, [tiny_set()])[1]).epoch_freq == [0, 2]


def test_pickle_is_read_only_where_it_is_trusted(tmp_path: Path) -> None:
    path = save_state(description(TrainCostCallback()), tmp_path / "callbacks.pkl")
    with pytest.raises(UntrustedPickleError):
        read_description(path)
    assert rebuild(read_description(str(path), trust_pickle=True))


def test_description_itself_needs_no_reading() -> None:
    described = description(TrainCostCallback())
    assert read_description(described) is described


@pytest.mark.parametrize("found", [{"model": {}}, {"callbacks": "LossCallback"}])
def test_what_describes_no_callbacks_is_refused(found: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="dict without a list 'callbacks' is no description"):
        read_description(found)


def test_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    path = save_state([1, 2], tmp_path / "list.h5")
    with pytest.raises(ConfigurationError, match="list without a list 'callbacks'"):
        read_description(path)
    with pytest.raises(CheckpointError, match="no such file"):
        read_description(tmp_path / "missing.h5")
