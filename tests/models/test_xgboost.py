from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from tests.support.boosting_data import diabetes, mean_absolute_error, mean_squared_error
from tests.support.runs import quiet
from trainsignal import LearningRateScheduleCallback, LossCallback, MetricCallback, keys
from trainsignal.abilities import CanLoad, CanSerialize, EvaluatesPairs, HasLearningRate, HasLoss
from trainsignal.checkpoint import load_state, save_state
from trainsignal.errors import CheckpointError, ConfigurationError, RunStateError
from trainsignal.loops.xgboost import XGBoostLoop
from trainsignal.models.xgboost import XGBoostModel, wrapper_hint

INPUTS, TARGETS, HELD_OUT_INPUTS, HELD_OUT_TARGETS = diabetes()
PARAMETERS = {"max_depth": 2, "eta": 0.2, "nthread": 1}


def train(parameters: dict[str, Any], rounds: int, *callbacks: Any, features: int = 10) -> Any:
    labels: Any = np.digitize(TARGETS, [100, 200]) if "num_class" in parameters else TARGETS
    if parameters.get("objective") == "binary:logistic":
        labels = TARGETS > 100
    data = xgboost.DMatrix(INPUTS[:, :features], labels)
    return xgboost.train({**PARAMETERS, **parameters}, data, rounds, callbacks=list(callbacks))


def trained(rounds: int = 3, features: int = 10, **parameters: Any) -> XGBoostModel:
    model = XGBoostModel()
    model.take_booster(train(parameters, rounds, features=features))
    return model


class Returns(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # untyped framework
    """Goes back to the state after the second round, once, after the fourth."""

    def __init__(self) -> None:
        super().__init__()
        self.model = XGBoostModel()

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.model.take_booster(model)
        if epoch == 1:
            self.state = self.model.serialize()
        if epoch == 3:
            self.model.deserialize(self.state)
        return False


# -- what it can do ------------------------------------------------------------------------------------


def test_it_can_do_what_a_booster_can() -> None:
    model = XGBoostModel()

    for ability in (EvaluatesPairs, CanSerialize, CanLoad, HasLearningRate):
        assert isinstance(model, ability)
    assert not isinstance(model, HasLoss)
    assert isinstance(XGBoostModel(loss=mean_squared_error), HasLoss)


def test_before_training_there_is_no_booster() -> None:
    with pytest.raises(RunStateError, match="no booster yet: training makes it when it begins"):
        XGBoostModel().serialize()


def test_a_loss_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="loss='rmse': expected a function"):
        XGBoostModel(loss="rmse")  # type: ignore[arg-type]  # as a user may


@pytest.mark.parametrize("kind", [np.asarray, xgboost.DMatrix])
def test_outputs_are_those_of_the_booster(kind: Any) -> None:
    model = trained()

    outputs = model.fprop(kind(HELD_OUT_INPUTS), inference=True)

    np.testing.assert_array_equal(outputs, model.booster.predict(xgboost.DMatrix(HELD_OUT_INPUTS)))


def test_outputs_of_a_data_set_are_joined() -> None:
    model = trained(num_class=3, objective="multi:softprob")
    half = len(HELD_OUT_INPUTS) // 2
    pairs = [(HELD_OUT_INPUTS[rows], HELD_OUT_TARGETS[rows]) for rows in (slice(half), slice(half, None))]

    outputs = model.get_outputs(pairs)

    np.testing.assert_array_equal(outputs, model.booster.predict(xgboost.DMatrix(HELD_OUT_INPUTS)))


def test_loss_and_metric_are_evaluated_while_it_is_trained() -> None:
    pairs = [(HELD_OUT_INPUTS[start : start + 50], HELD_OUT_TARGETS[start : start + 50]) for start in (0, 50)]
    model = XGBoostModel(loss=mean_squared_error)
    callbacks = quiet(model)
    callbacks.add_callback(LossCallback(pairs))
    callbacks.add_callback(MetricCallback(pairs, mean_absolute_error))

    train({}, 3, XGBoostLoop(callbacks))

    expected = [
        trained(rounds).predict(HELD_OUT_INPUTS[:100]) - HELD_OUT_TARGETS[:100] for rounds in (1, 2, 3)
    ]
    losses = callbacks.callback_data[keys.LOSS][:]
    metric = callbacks.callback_data["metrics/mean_absolute_error"][:]
    np.testing.assert_allclose(losses[:3], [np.mean(one**2) for one in expected], rtol=1e-5)
    np.testing.assert_allclose(metric[:3], [np.mean(np.abs(one)) for one in expected], rtol=1e-5)


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
def test_the_learning_rate_is_the_boosters(booster: str) -> None:
    data = xgboost.DMatrix(INPUTS, TARGETS)
    model = XGBoostModel()
    model.take_booster(xgboost.Booster({"booster": booster, "eta": 0.25, "nthread": 1}, [data]))
    model.booster.update(data, 0)

    assert model.optimizer.learning_rate == 0.25
    model.optimizer.learning_rate = 0.5
    assert model.optimizer.learning_rate == 0.5


def test_a_schedule_of_the_learning_rate_gives_the_booster_that_xgboosts_own_gives() -> None:
    rates = [0.5, 0.3, 0.1, 0.05]
    callbacks = quiet(XGBoostModel())
    callbacks.add_callback(LearningRateScheduleCallback(lambda epoch: rates[epoch]))

    booster = train({}, 4, XGBoostLoop(callbacks, epochs=4))

    # XGBoost's sets the rate after a round, for the next one.
    theirs = xgboost.callback.LearningRateScheduler(lambda epoch: [*rates, 0.0][epoch + 1])
    assert booster.save_raw() == train({"eta": rates[0]}, 4, theirs).save_raw()


# -- saving and loading --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["h5", "npz", "pkl"])
def test_a_saved_booster_predicts_the_same(tmp_path: Path, suffix: str) -> None:
    model, loaded = trained(), XGBoostModel()

    save_state(model.serialize(), tmp_path / f"model.{suffix}")
    loaded.deserialize(load_state(tmp_path / f"model.{suffix}", trust_pickle=True))

    np.testing.assert_array_equal(loaded.predict(HELD_OUT_INPUTS), model.predict(HELD_OUT_INPUTS))


@pytest.mark.parametrize(
    "parameters",
    [
        {"eta": 0.1, "gamma": 2.0, "eval_metric": "mae"},
        {"booster": "dart", "eta": 0.1},
        {"num_parallel_tree": 2, "learning_rate": 0.4},
        {"objective": "multi:softprob", "num_class": 3},
        {"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.8]},
    ],
    ids=lambda parameters: "-".join(parameters),
)
def test_a_booster_in_training_goes_on_from_a_loaded_state_with_its_parameters(
    parameters: dict[str, Any],
) -> None:
    booster = train(parameters, 6, Returns())

    assert booster.save_raw() == train(parameters, 4).save_raw()


@pytest.mark.parametrize("booster", ["gbtree", "dart", "gblinear"])
def test_a_booster_at_the_begin_of_training_takes_a_state_and_keeps_its_parameters(booster: str) -> None:
    data = xgboost.DMatrix(INPUTS, TARGETS)
    parameters = {"booster": booster, "eta": 0.2, "nthread": 1}
    parameters |= {"updater": "coord_descent"} if booster == "gblinear" else {"max_depth": 2}

    class Begins(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # untyped framework
        def before_training(self, model: Any) -> Any:
            begun = XGBoostModel()
            begun.take_booster(xgboost.train(parameters, data, 3))
            taking = XGBoostModel()
            taking.take_booster(model)
            for _ in range(2):  # as a resumed run does
                taking.deserialize(begun.serialize())
            return model

    booster_of_both = xgboost.train(parameters, data, 2, callbacks=[Begins()])

    outputs = xgboost.train(parameters, data, 5).predict(data)
    np.testing.assert_allclose(booster_of_both.predict(data), outputs, rtol=1e-5)


def test_a_linear_booster_goes_on_with_its_learning_rate_too() -> None:
    returns = Returns()
    linear = {"booster": "gblinear", "eta": 0.2, "updater": "coord_descent", "nthread": 1}
    data = xgboost.DMatrix(INPUTS, TARGETS)

    booster = xgboost.train(linear, data, 6, callbacks=[returns])

    outputs = xgboost.train(linear, data, 4).predict(data)
    np.testing.assert_allclose(booster.predict(data), outputs, rtol=1e-5)


def test_a_checkpoint_of_another_model_is_refused() -> None:
    with pytest.raises(
        CheckpointError, match=r"no checkpoint of a booster of xgboost: .* 'weights', and 'lib"
    ):
        XGBoostModel().deserialize({"weights": 1})


def test_a_damaged_booster_is_refused_before_xgboost_reads_it() -> None:
    state = dict(trained().serialize())
    state["booster"] = state["booster"][:100]

    with pytest.raises(CheckpointError, match="is damaged"):
        XGBoostModel().deserialize(state)


def test_a_booster_that_xgboost_cannot_read_is_refused() -> None:
    state = XGBoostModel()._packed(b"no booster")

    with pytest.raises(CheckpointError, match="XGBoost cannot read the checkpoint's booster"):
        XGBoostModel().deserialize(state)


@pytest.mark.parametrize(
    ("parameters", "features", "difference"),
    [
        ({}, 4, "features 4 instead of 10"),
        (
            {"num_class": 3, "objective": "multi:softprob"},
            10,
            "classes 3 instead of 0, objective 'multi:soft",
        ),
        ({"objective": "binary:logistic"}, 10, "objective 'binary:logistic' instead of 'reg:squarederror'"),
        ({"booster": "dart"}, 10, "booster 'dart' instead of 'gbtree'"),
    ],
    ids=["features", "classes", "objective", "booster"],
)
def test_a_booster_of_another_kind_is_refused(
    parameters: dict[str, Any], features: int, difference: str
) -> None:
    model = trained()
    before = model.serialize()["booster"].tobytes()

    with pytest.raises(CheckpointError, match=difference):
        model.deserialize(trained(features=features, **parameters).serialize())

    assert model.serialize()["booster"].tobytes() == before


# -- raw models ----------------------------------------------------------------------------------------


def test_models_of_xgboost_are_known() -> None:
    for model in (xgboost.Booster(), xgboost.XGBClassifier()):
        assert "XGBoostModel() from trainsignal.models.xgboost" in str(wrapper_hint(model))
    assert wrapper_hint(object()) is None
