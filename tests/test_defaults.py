from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.runs import Bare, quiet, tiny_model, tiny_set
from trainsignal import Callbacks
from trainsignal.checkpoint import save_state
from trainsignal.defaults import default_callbacks, load_model
from trainsignal.errors import CheckpointError, ConfigurationError, MissingAbilityError
from trainsignal.models.numpy_net import Misclassification

LOSS, COST, BAR, METRIC, SAVE, LOGGER, TIMER = (
    "LossCallback", "TrainCostCallback", "ProgressBarCallback", "MetricCallback", "SerializeModelCallback",
    "TrainLoggerCallback", "RunTimerCallback",
)  # fmt: skip
NOTHING: dict[str, Any] = {
    "eval_freq": None, "eval_set": None, "metric": None, "progress_bar": False, "save_path": None,
    "serialize": 0, "history": 1, "multicost": False,
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


@pytest.mark.parametrize("options, message", [
    ({"eval_freq": [0]}, r"eval_freq=\[0\] without eval_set: pass the data set"),
    ({"multicost": True}, "multicost=True: models with several costs"),
])  # fmt: skip
def test_arguments_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        default_callbacks(**{**NOTHING, **options})


def test_checkpoint_is_loaded_into_the_model(tmp_path: Any) -> None:
    saved, loaded = tiny_model(), tiny_model()
    saved.layers.layers[0].W[...] = 7  # type: ignore[attr-defined]
    save_state(saved.serialize(), tmp_path / "model.h5")
    load_model(loaded, tmp_path / "model.h5", trust_pickle=False)
    np.testing.assert_array_equal(loaded.layers.layers[0].W, 7)  # type: ignore[attr-defined]


def test_model_that_cannot_load_is_told_so() -> None:
    with pytest.raises(MissingAbilityError, match=r"Bare has no deserialize\(state\)"):
        load_model(Bare(), "model.h5", trust_pickle=False)


def test_state_that_does_not_fit_is_refused_with_the_name_of_its_file(tmp_path: Any) -> None:
    save_state({"weights": np.zeros(2)}, tmp_path / "foreign.h5")
    with pytest.raises(CheckpointError) as caught:
        load_model(tiny_model(), tmp_path / "foreign.h5", trust_pickle=False)
    assert caught.value.__notes__ == [f"while loading model_file={str(tmp_path / 'foreign.h5')!r}"]


def test_checkpoints_without_a_path_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="serialize=2 without save_path"):
        Callbacks(object(), serialize=2)
