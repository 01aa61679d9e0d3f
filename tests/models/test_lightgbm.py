from __future__ import annotations

from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from tests.support.boosting_data import diabetes, mean_absolute_error, mean_squared_error
from tests.support.runs import quiet
from trainsignal import LearningRateScheduleCallback, LossCallback, MetricCallback, keys
from trainsignal.abilities import CanLoad, CanSerialize, EvaluatesPairs, HasLearningRate, HasLoss
from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError, ConfigurationError, RunStateError
from trainsignal.loops.lightgbm import LightGBMLoop
from trainsignal.models.lightgbm import LightGBMModel, saved_booster, wrapper_hint

INPUTS, TARGETS, HELD_OUT_INPUTS, HELD_OUT_TARGETS = diabetes()
PARAMETERS = {"num_leaves": 4, "num_threads": 1, "deterministic": True, "verbosity": -1}


def train(parameters: dict[str, Any], rounds: int, *callbacks: Any, features: int = 10) -> Any:
    labels = np.digitize(TARGETS, [100, 200]) if "num_class" in parameters else TARGETS
    data = lightgbm.Dataset(INPUTS[:, :features], labels)
    return lightgbm.train({**PARAMETERS, **parameters}, data, rounds, callbacks=list(callbacks))


def trained(rounds: int = 3, features: int = 10, **parameters: Any) -> LightGBMModel:
    model = LightGBMModel()
    model.take_booster(train(parameters, rounds, features=features))
    return model


def trees(booster: Any) -> str:
    """Return what LightGBM writes of the trees."""
    text: str = booster.model_to_string(num_iteration=-1)
    return text.partition("Tree=0")[2].partition("end of trees")[0]


# -- what it can do ------------------------------------------------------------------------------------


def test_it_can_do_what_a_booster_can() -> None:
    model = LightGBMModel()

    for ability in (EvaluatesPairs, CanSerialize, CanLoad, HasLearningRate):
        assert isinstance(model, ability)
    assert not isinstance(model, HasLoss)
    assert isinstance(LightGBMModel(loss=mean_squared_error), HasLoss)


def test_before_training_there_is_no_booster() -> None:
    with pytest.raises(RunStateError, match="no booster yet: training makes it when it begins"):
        LightGBMModel().serialize()


def test_outputs_are_those_of_the_booster() -> None:
    model = trained(num_class=3, objective="multiclass")

    outputs = model.fprop(HELD_OUT_INPUTS, inference=True)

    assert outputs.shape == (len(HELD_OUT_INPUTS), 3)
    np.testing.assert_array_equal(outputs, model.booster.predict(HELD_OUT_INPUTS))


def test_loss_and_metric_are_evaluated_while_it_is_trained() -> None:
    pairs = [(HELD_OUT_INPUTS[start : start + 50], HELD_OUT_TARGETS[start : start + 50]) for start in (0, 50)]
    callbacks = quiet(LightGBMModel(loss=mean_squared_error))
    callbacks.add_callback(LossCallback(pairs))
    callbacks.add_callback(MetricCallback(pairs, mean_absolute_error))

    train({}, 3, *LightGBMLoop(callbacks))

    expected = [
        trained(rounds).predict(HELD_OUT_INPUTS[:100]) - HELD_OUT_TARGETS[:100] for rounds in (1, 2, 3)
    ]
    losses = callbacks.callback_data[keys.LOSS][:]
    metric = callbacks.callback_data["metrics/mean_absolute_error"][:]
    np.testing.assert_allclose(losses, [np.mean(one**2) for one in expected], rtol=1e-5)
    np.testing.assert_allclose(metric, [np.mean(np.abs(one)) for one in expected], rtol=1e-5)


@pytest.mark.parametrize("name", ["learning_rate", "eta", "shrinkage_rate"])
def test_the_learning_rate_is_the_boosters(name: str) -> None:
    model = LightGBMModel()
    model.take_booster(lightgbm.Booster({**PARAMETERS, name: 0.25}, lightgbm.Dataset(INPUTS, TARGETS)))

    assert model.optimizer.learning_rate == 0.25
    model.optimizer.learning_rate = 0.5
    assert model.optimizer.learning_rate == 0.5


def test_the_learning_rate_that_was_not_given_is_lightgbms_default() -> None:
    model = LightGBMModel()
    model.take_booster(lightgbm.Booster(PARAMETERS, lightgbm.Dataset(INPUTS, TARGETS)))
    model.booster.update()

    written = model.booster.model_to_string().partition("[learning_rate: ")[2].partition("]")[0]
    assert model.optimizer.learning_rate == float(written)


@pytest.mark.parametrize("name", ["learning_rate", "eta"])
def test_a_schedule_of_the_learning_rate_gives_the_booster_that_lightgbms_own_gives(name: str) -> None:
    rates = [0.5, 0.3, 0.1, 0.05]
    callbacks = quiet(LightGBMModel())
    callbacks.add_callback(LearningRateScheduleCallback(lambda epoch: rates[epoch]))

    booster = train({name: 0.7}, 4, *LightGBMLoop(callbacks))

    theirs = train({name: 0.7}, 4, lightgbm.reset_parameter(learning_rate=rates))
    assert trees(booster) == trees(theirs)
    assert f"shrinkage={rates[-1]}" in trees(booster)


# -- saving and loading --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["h5", "npz", "pkl"])
def test_a_saved_booster_predicts_the_same(tmp_path: Path, suffix: str) -> None:
    model, loaded = trained(), LightGBMModel()

    save_state(model.serialize(), tmp_path / f"model.{suffix}")
    loaded.deserialize(load_state(tmp_path / f"model.{suffix}", trust_pickle=True))

    np.testing.assert_array_equal(loaded.predict(HELD_OUT_INPUTS), model.predict(HELD_OUT_INPUTS))


def test_a_checkpoint_holds_the_rounds_after_the_best_one_too() -> None:
    model, loaded = trained(rounds=3), LightGBMModel()
    model.booster.best_iteration = 1

    loaded.deserialize(model.serialize())

    assert loaded.booster.current_iteration() == 3


def test_a_booster_in_training_goes_back_to_an_earlier_state_of_its_own() -> None:
    model = LightGBMModel()
    state: Any = None

    def go_back(env: Any) -> None:
        nonlocal state
        model.take_booster(env.model)
        if env.iteration == 1:
            state = model.serialize()
        if env.iteration == 3:
            model.deserialize(state)

    booster = train({}, 6, go_back)

    assert trees(booster) == trees(train({}, 4))


@pytest.mark.parametrize("rounds", [1, 5])
def test_a_booster_in_training_takes_no_other_state(rounds: int) -> None:
    model = LightGBMModel()
    model.take_booster(
        lightgbm.Booster({**PARAMETERS, "learning_rate": 0.5}, lightgbm.Dataset(INPUTS, TARGETS))
    )
    for _ in range(rounds):
        model.booster.update()

    with pytest.raises(ConfigurationError, match=r"does not have the 3 rounds.*init_model=saved_booster"):
        model.deserialize(trained().serialize())

    assert model.booster.current_iteration() == rounds


def test_a_booster_after_training_is_replaced() -> None:
    model, other = trained(rounds=2), trained(rounds=5)

    model.deserialize(other.serialize())

    np.testing.assert_array_equal(model.predict(HELD_OUT_INPUTS), other.predict(HELD_OUT_INPUTS))


@pytest.mark.parametrize("content", [b"no booster", b"\xff\xfe"])
def test_a_booster_that_lightgbm_cannot_read_is_refused(
    content: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CheckpointError, match="LightGBM cannot read the checkpoint's booster"):
        LightGBMModel().deserialize(LightGBMModel()._packed(content))


@pytest.mark.parametrize(
    ("parameters", "features", "difference"),
    [
        ({}, 4, "features 4 instead of 10"),
        ({"num_class": 3, "objective": "multiclass"}, 10, "trees a round 3 instead of 1"),
    ],
    ids=["features", "classes"],
)
def test_a_booster_of_another_kind_is_refused(
    parameters: dict[str, Any], features: int, difference: str
) -> None:
    with pytest.raises(CheckpointError, match=difference):
        trained().deserialize(trained(features=features, **parameters).serialize())


def test_the_booster_of_a_checkpoint_can_be_had_by_itself(tmp_path: Path) -> None:
    model, path = trained(), tmp_path / "model.h5"

    assert saved_booster(path) is None
    save_state(model.serialize(), path)

    np.testing.assert_array_equal(
        saved_booster(path).predict(HELD_OUT_INPUTS), model.predict(HELD_OUT_INPUTS)
    )


# -- raw models ----------------------------------------------------------------------------------------


def test_models_of_lightgbm_are_known() -> None:
    for model in (trained().booster, lightgbm.LGBMClassifier()):
        assert "LightGBMModel() from trainsignal.models.lightgbm" in str(wrapper_hint(model))
    assert wrapper_hint(object()) is None
