from __future__ import annotations

from typing import Any

import pytest

from tests.support.pairs import PairModel, batch
from tests.support.runs import Bare, quiet, tiny_set
from trainsignal import Callbacks
from trainsignal.defaults import default_callbacks
from trainsignal.errors import ConfigurationError, DataError
from trainsignal.models.numpy_net import Misclassification

LOSS, COST, BAR, METRIC, SAVE, LOGGER, TIMER = (
    "LossCallback", "TrainCostCallback", "ProgressBarCallback", "MetricCallback", "SerializeModelCallback",
    "TrainLoggerCallback", "RunTimerCallback",
)  # fmt: skip
NOTHING: dict[str, Any] = {
    "model": Bare(),
    "eval_freq": None, "eval_set": None, "metric": None, "progress_bar": False, "save_path": None,
    "serialize": 0, "checkpoint_every": None, "history": 1, "multicost": False,
}  # fmt: skip


@pytest.mark.parametrize("options, names", [
    ({}, [COST, LOGGER, TIMER]),
    ({"progress_bar": True}, [COST, BAR, LOGGER, TIMER]),
    ({"eval_set": tiny_set()}, [COST, LOGGER, TIMER]),
    ({"eval_set": tiny_set(), "eval_freq": 1}, [LOSS, COST, LOGGER, TIMER]),
    ({"eval_set": tiny_set(), "metric": Misclassification()}, [COST, LOGGER, TIMER]),
    ({"save_path": "model.h5"}, [COST, SAVE, LOGGER, TIMER]),
    (
        {"eval_set": tiny_set(), "eval_freq": 1, "metric": Misclassification(), "progress_bar": True,
         "save_path": "model.h5"},
        [LOSS, COST, BAR, METRIC, SAVE, LOGGER, TIMER],
    ),
])  # fmt: skip
def test_callbacks_are_neons_in_its_order(options: dict[str, Any], names: list[str]) -> None:
    assert [type(one).__name__ for one in default_callbacks(**{**NOTHING, **options})] == names


@pytest.mark.parametrize("serialize, frequency", [(0, 1), (1, 1), (5, 5)])
def test_checkpoints_are_saved_every_nth_epoch_and_0_counts_as_1(serialize: int, frequency: int) -> None:
    saving = default_callbacks(**{**NOTHING, "save_path": "model.h5", "serialize": serialize, "history": 3})[
        1
    ]
    assert saving.epoch_freq == frequency
    assert vars(saving)["history"] == 3


@pytest.mark.parametrize("frequency", [3, [0, 2]], ids=repr)
def test_evaluation_frequency_is_that_of_loss_and_metric(frequency: Any) -> None:
    options = {"eval_set": tiny_set(), "eval_freq": frequency, "metric": Misclassification()}
    by_name = {type(one).__name__: one for one in default_callbacks(**{**NOTHING, **options})}
    assert by_name[LOSS].epoch_freq == by_name[METRIC].epoch_freq == frequency


def test_progress_bar_is_shown_unless_it_is_not_wanted() -> None:
    assert BAR in [type(one).__name__ for one in Callbacks(Bare()).callbacks]
    assert BAR not in [type(one).__name__ for one in quiet().callbacks]


def test_evaluation_without_a_set_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"eval_freq=\[0\] without eval_set: pass the data set"):
        default_callbacks(**{**NOTHING, "eval_freq": [0]})


NO_EFFECT = ("WARNING", "metric=Misclassification has no effect without eval_freq: pass eval_freq=1 to ")
NO_FREQUENCY = ("INFO", "nothing is evaluated on eval_set: eval_freq is not given")


@pytest.mark.parametrize("options, expected", [
    ({"metric": Misclassification()}, [NO_EFFECT]),
    ({"metric": Misclassification(), "eval_set": tiny_set()}, [NO_EFFECT]),
    ({"eval_set": tiny_set()}, [NO_FREQUENCY]),
    ({"eval_set": tiny_set(), "metric": Misclassification(), "eval_freq": 1}, []),
    ({}, []),
], ids=["metric", "both", "set", "all", "nothing"])  # fmt: skip
def test_what_is_not_evaluated_without_a_frequency_is_told_of(
    options: dict[str, Any], expected: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="trainsignal"):
        Callbacks(Bare(), **options)
    told = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert [level for level, _ in told] == [level for level, _ in expected]
    assert all(text.startswith(start) for (_, text), (_, start) in zip(told, expected, strict=True))


@pytest.mark.parametrize("every", [None, 5, "30m"])
def test_checkpoints_within_epochs_are_saved_as_often_as_asked(every: Any) -> None:
    saving = default_callbacks(**{**NOTHING, "save_path": "model.h5", "checkpoint_every": every})[1]
    assert vars(saving)["every"] == every


@pytest.mark.parametrize("options, message", [
    ({"serialize": 2}, "serialize=2 without save_path"),
    ({"checkpoint_every": "30m"}, "checkpoint_every='30m' without save_path"),
])  # fmt: skip
def test_checkpoints_without_a_path_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Callbacks(object(), **options)


def test_costs_of_several_branches_take_the_place_of_the_one() -> None:
    names = [type(one).__name__ for one in default_callbacks(**{**NOTHING, "multicost": True})]
    assert names == ["TrainMulticostCallback", LOGGER, TIMER]


def test_set_that_the_model_cannot_be_evaluated_on_is_refused_at_once() -> None:
    with pytest.raises(DataError, match="eval_set: list does not tell its size"):
        Callbacks(Bare(), eval_set=[batch(1.0)], eval_freq=1)


def test_set_of_pairs_is_fine_for_a_model_of_a_framework() -> None:
    options = {"model": PairModel(), "eval_set": [batch(1.0)], "eval_freq": 1}
    assert type(default_callbacks(**{**NOTHING, **options})[0]).__name__ == LOSS
