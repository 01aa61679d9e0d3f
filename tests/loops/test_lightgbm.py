from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest

from tests.support.boosting_data import diabetes
from tests.support.runs import Sentence, quiet
from trainsignal import StopWhenNotImprovingCallback, keys
from trainsignal.errors import ConfigurationError, MissingAbilityError, WiringError
from trainsignal.loops.lightgbm import LightGBMLoop
from trainsignal.models.lightgbm import LightGBMModel, saved_booster
from trainsignal.models.xgboost import XGBoostModel

PARAMETERS = {
    "objective": "l2", "metric": ["l2", "l1"], "num_leaves": 4, "learning_rate": 0.2,
    "num_threads": 1, "deterministic": True, "verbosity": -1,
}  # fmt: skip
INPUTS, TARGETS, HELD_OUT_INPUTS, HELD_OUT_TARGETS = diabetes()

Record = dict[str, dict[str, list[float]]]


def train(*callbacks: Any, rounds: int = 4, **options: Any) -> tuple[Any, Record]:
    """Train anew, and return the booster and LightGBM's own record of its evaluation results."""
    data = lightgbm.Dataset(INPUTS, TARGETS)
    held_out = lightgbm.Dataset(HELD_OUT_INPUTS, HELD_OUT_TARGETS, reference=data)
    record: Record = {}
    options = {"valid_sets": [data, held_out], "valid_names": ["train", "valid"], **options}
    booster = lightgbm.train(
        PARAMETERS | options.pop("parameters", {}), data, rounds,
        callbacks=[*callbacks, lightgbm.record_evaluation(record)], **options,
    )  # fmt: skip
    return booster, record


def text(booster: Any) -> str:
    """Return a booster's trees."""
    told: str = booster.model_to_string(num_iteration=-1)
    return told.partition("Tree=0")[2].partition("end of trees")[0]


class Stops:
    """A callback of the user's, which ends training as LightGBM's own early stopping does."""

    def __init__(self, at: int, order: int) -> None:
        self.at, self.order = at, order

    def __call__(self, env: Any) -> None:
        if env.iteration == self.at:
            raise lightgbm.callback.EarlyStopException(0, env.evaluation_result_list)


# -- evaluation results --------------------------------------------------------------------------------


def test_evaluation_results_become_series_under_lightgbms_names() -> None:
    callbacks = quiet()
    with callbacks:
        _, record = train(*LightGBMLoop(callbacks))

    metrics = callbacks.callback_data["metrics"]
    assert sorted(metrics) == ["train-l1", "train-l2", "valid-l1", "valid-l2"]
    for name in metrics:
        data, _, metric = name.partition("-")
        assert metrics[name][:].tolist() == record[data][metric]
        assert metrics[name].attrs[keys.DIRECTION] == "min"


def test_the_direction_of_a_metric_of_the_users_is_as_it_tells() -> None:
    callbacks = quiet()
    train(*LightGBMLoop(callbacks), feval=lambda outputs, data: ("r/2", 0.5, True))

    assert callbacks.callback_data["metrics/valid-r_2"].attrs[keys.DIRECTION] == "max"


def test_the_direction_of_r2_is_that_of_its_definition_and_not_what_lightgbm_tells() -> None:
    callbacks = quiet()
    told: list[Any] = []
    train(
        lambda env: told.extend(env.evaluation_result_list),
        *LightGBMLoop(callbacks),
        parameters={"metric": "r2"},
    )

    assert not any(result.maximize for result in told)  # else the exception may go
    assert callbacks.callback_data["metrics/valid-r2"].attrs[keys.DIRECTION] == "max"


def test_the_first_metric_of_the_first_validation_set_becomes_the_loss() -> None:
    callbacks = quiet()
    _, record = train(*LightGBMLoop(callbacks))

    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:], record["valid"]["l2"], rtol=1e-6)
    assert callbacks.callback_data[keys.LOSS].attrs[keys.REPORTED_AS] == "valid-l2"


def test_the_result_that_is_named_as_loss_becomes_the_loss() -> None:
    callbacks = quiet()
    _, record = train(*LightGBMLoop(callbacks, loss="train-l1"))

    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:], record["train"]["l1"], rtol=1e-6)


def test_a_first_metric_that_is_better_when_higher_is_no_loss(caplog: pytest.LogCaptureFixture) -> None:
    callbacks = quiet()
    with caplog.at_level(logging.INFO, "trainsignal.loops.lightgbm"):
        train(*LightGBMLoop(callbacks), parameters={"metric": ["r2", "l2"]})

    assert keys.LOSS not in callbacks.callback_data
    assert "valid-r2 is better when higher" in caplog.text


@pytest.mark.parametrize("options", [{"valid_sets": []}, {"parameters": {"metric": "none"}}])
def test_without_a_validation_metric_there_is_no_loss(options: dict[str, Any]) -> None:
    callbacks = quiet()
    if "parameters" in options:
        options = {**options, "feval": lambda outputs, data: ("mine", 1.0, False)}
    else:
        options = {**options, "valid_names": []}
    train(*LightGBMLoop(callbacks), **options)

    assert keys.LOSS not in callbacks.callback_data
    assert callbacks.run.exit_reason == "completed"


def test_a_loss_that_is_not_reported_ends_training_in_the_first_round() -> None:
    callbacks = quiet()

    with pytest.raises(ConfigurationError, match=r"'valid-l3' is not reported; these are: train-l2, train-l"):
        train(*LightGBMLoop(callbacks, loss="valid-l3"))

    assert callbacks.run.exit_reason == "failed"


def test_a_loss_that_is_better_when_higher_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"higher is better there.*'metrics/valid-r2'"):
        train(*LightGBMLoop(quiet(), loss="valid-r2"), parameters={"metric": ["r2", "l2"]})


def test_who_reads_a_loss_that_nothing_writes_is_told_how_to_name_one(tmp_path: Path) -> None:
    callbacks = quiet(LightGBMModel())
    callbacks.add_save_best_state_callback(tmp_path / "best.h5")

    with pytest.raises(WiringError) as caught:
        train(*LightGBMLoop(callbacks), parameters={"metric": ["r2"]})

    assert "LightGBMLoop(callbacks, loss='valid-rmse')" in caught.value.__notes__[0]


# -- begin and end -------------------------------------------------------------------------------------


def test_a_forgotten_star_is_told_of_before_the_first_round() -> None:
    callbacks = quiet()

    with pytest.raises(ConfigurationError, match=r"write callbacks=\[\*LightGBMLoop\(\.\.\.\)\], with a st"):
        train(LightGBMLoop(callbacks))

    assert not callbacks.run.has_begun


def test_training_that_comes_to_its_end_needs_no_block_around_it() -> None:
    callbacks = quiet()
    heard = Sentence(callbacks)

    booster, _ = train(*LightGBMLoop(callbacks))

    assert heard.text == "T" + "Ee" * 4 + "tC"
    assert callbacks.run.total_epochs == 4
    assert booster.best_iteration == 0  # as LightGBM leaves it where nothing stopped it


def test_a_vote_ends_training_after_the_round() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[1])

    booster, record = train(*LightGBMLoop(callbacks))

    assert booster.current_iteration() == booster.best_iteration == 2
    assert len(record["valid"]["l2"]) == 2
    assert booster.best_score["valid"]["l2"] == record["valid"]["l2"][-1]
    assert callbacks.run.exit_reason == "stopped"


def test_a_vote_at_the_begin_leaves_no_round() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("train_begin", lambda: callbacks.stop("enough"))
    heard = Sentence(callbacks)

    booster, _ = train(*LightGBMLoop(callbacks))

    assert heard.text == "TtC"
    assert booster.current_iteration() == 0
    assert booster.best_score == {}


@pytest.mark.parametrize("order", [-1, 30])
def test_a_round_that_another_callback_stops_at_is_ended_with_its_results(order: int) -> None:
    callbacks = quiet()
    record: Record = {}
    with callbacks:
        train(lightgbm.record_evaluation(record), *LightGBMLoop(callbacks), Stops(1, order))

    series = callbacks.callback_data["metrics/valid-l2"]
    assert callbacks.run.epochs_complete == 2
    assert series[0] == record["valid"]["l2"][0]
    assert not np.isnan(series[1])
    assert callbacks.run.votes[0].reason == "the loop ended after 2 of 4 epochs"


def test_lightgbms_own_early_stopping_goes_along() -> None:
    callbacks = quiet()
    with callbacks:
        booster, record = train(
            *LightGBMLoop(callbacks), lightgbm.early_stopping(2, verbose=False), rounds=300
        )

    assert callbacks.run.epochs_complete == len(record["valid"]["l2"]) < 300
    assert booster.best_iteration in (1 + int(np.argmin(record["valid"][metric])) for metric in ("l1", "l2"))
    assert callbacks.run.exit_reason == "stopped"


def test_lightgbms_early_stopping_tells_the_best_round_of_a_complete_training_too() -> None:
    callbacks = quiet()
    with callbacks:
        booster, _ = train(*LightGBMLoop(callbacks), lightgbm.early_stopping(50, verbose=False))

    assert booster.best_iteration == 4
    assert callbacks.run.exit_reason == "completed"


def test_a_vote_in_the_round_that_early_stopping_ends_makes_that_round_the_best() -> None:
    patience = 2
    with quiet() as callbacks:
        train(*LightGBMLoop(callbacks), lightgbm.early_stopping(patience, verbose=False), rounds=300)
    last = callbacks.run.epochs_complete - 1
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[last])

    booster, _ = train(*LightGBMLoop(callbacks), lightgbm.early_stopping(patience, verbose=False), rounds=300)

    assert booster.best_iteration == booster.current_iteration() == last + 1
    assert callbacks.run.exit_reason == "stopped"
    assert [vote.reason for vote in callbacks.run.votes] == ["enough"]


def test_an_epoch_begins_after_the_parameters_of_its_round_are_set() -> None:
    model = LightGBMModel()
    callbacks, rates = quiet(model), []
    callbacks.bus.subscribe("epoch_begin", lambda: rates.append(model.optimizer.learning_rate))

    train(*LightGBMLoop(callbacks), lightgbm.reset_parameter(learning_rate=[0.4, 0.3, 0.2, 0.1]))

    assert rates == [0.4, 0.3, 0.2, 0.1]


@pytest.mark.parametrize("rounds", [300, 40])
def test_the_best_state_is_put_back_into_the_booster_that_training_returns(rounds: int) -> None:
    callbacks = quiet(LightGBMModel())
    callbacks.add_callback(StopWhenNotImprovingCallback(patience=20, restore_best=True))

    booster, record = train(*LightGBMLoop(callbacks), rounds=rounds, parameters={"learning_rate": 0.5})

    best = 1 + int(np.argmin(record["valid"]["l2"]))
    assert best < len(record["valid"]["l2"])
    assert booster.current_iteration() == best
    held_out = float(np.mean((booster.predict(HELD_OUT_INPUTS) - HELD_OUT_TARGETS) ** 2))
    assert held_out == pytest.approx(min(record["valid"]["l2"]))


def test_an_estimator_of_scikit_learns_kind_is_followed_too() -> None:
    model = LightGBMModel()
    callbacks = quiet(model)
    estimator = lightgbm.LGBMRegressor(n_estimators=3, num_leaves=4, n_jobs=1, verbosity=-1)

    estimator.fit(
        INPUTS, TARGETS, eval_X=(HELD_OUT_INPUTS,), eval_y=(HELD_OUT_TARGETS,),
        callbacks=[*LightGBMLoop(callbacks)],
    )  # fmt: skip

    expected = estimator.evals_result_["valid_0"]["l2"]
    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:], expected, rtol=1e-6)
    assert model.booster is estimator.booster_


# -- cross-validation ----------------------------------------------------------------------------------


def test_a_cross_validation_reports_means_and_standard_deviations() -> None:
    callbacks = quiet(PARAMETERS)

    table: Any = lightgbm.cv(
        PARAMETERS, lightgbm.Dataset(INPUTS, TARGETS), 3, nfold=3, stratified=False,
        callbacks=[*LightGBMLoop(callbacks)],
    )  # fmt: skip

    metrics = callbacks.callback_data["metrics"]
    assert metrics["valid-l2"][:].tolist() == table["valid l2-mean"]
    assert metrics["valid-l2-std"][:].tolist() == table["valid l2-stdv"]
    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:], table["valid l2-mean"], rtol=1e-6)
    assert callbacks.run.exit_reason == "completed"


@pytest.mark.parametrize(("signal", "rounds"), [("epoch_end", 2), ("train_begin", 0)])
def test_a_vote_ends_a_cross_validation_after_the_round(signal: str, rounds: int) -> None:
    callbacks = quiet(PARAMETERS)
    at = [1] if signal == "epoch_end" else None
    callbacks.bus.subscribe(signal, lambda: callbacks.stop("enough"), at=at)

    table: Any = lightgbm.cv(
        PARAMETERS, lightgbm.Dataset(INPUTS, TARGETS), 9, nfold=3, stratified=False,
        callbacks=[*LightGBMLoop(callbacks)],
    )  # fmt: skip

    assert len(table["valid l2-mean"]) == rounds


# -- models --------------------------------------------------------------------------------------------


def test_the_wrapper_of_another_library_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"XGBoostModel stands for .*lightgbm.basic.Booster is trai"):
        train(*LightGBMLoop(quiet(XGBoostModel())))


def test_a_booster_that_is_not_wrapped_cannot_be_saved_and_the_message_names_the_wrapper(
    tmp_path: Path,
) -> None:
    callbacks = quiet(lightgbm.LGBMRegressor(), save_path=tmp_path / "model.h5")

    with pytest.raises(MissingAbilityError, match=r"LightGBMModel\(\) from trainsignal.models.lightgbm"):
        train(*LightGBMLoop(callbacks))


# -- going on ------------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, Path]:
    return {"output_file": folder / "run.h5", "save_path": folder / "model.h5"}


def train_with_checkpoints(folder: Path, *, cut_after: int | None = None) -> tuple[Any, Record, Any]:
    """Train six rounds, those of a checkpoint included; return the booster, its record and the callbacks."""
    callbacks = quiet(LightGBMModel(), resume=True, **files(folder))
    if cut_after is not None:
        callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("a cut"), at=[cut_after - 1])
    init_model = saved_booster(folder / "model.h5")
    return *train(*LightGBMLoop(callbacks), rounds=6, init_model=init_model), callbacks


def test_a_resumed_run_does_the_rest_of_the_rounds_and_comes_to_the_same(tmp_path: Path) -> None:
    whole, record = train(rounds=6)
    train_with_checkpoints(tmp_path, cut_after=2)

    booster, rest, callbacks = train_with_checkpoints(tmp_path)

    assert text(booster) == text(whole)
    assert rest["valid"]["l2"] == record["valid"]["l2"][2:]
    assert callbacks.callback_data["metrics/valid-l1"][:].tolist() == record["valid"]["l1"]
    assert callbacks.run.exit_reason == "completed"
    assert callbacks.run.epochs_complete == booster.best_iteration == 6


def test_a_resumed_run_that_was_complete_leaves_no_round(tmp_path: Path) -> None:
    whole, _, _ = train_with_checkpoints(tmp_path)

    booster, _, _ = train_with_checkpoints(tmp_path)

    assert text(booster) == text(whole)


def test_a_resumed_run_without_the_rounds_of_before_is_told_how_to_give_them(tmp_path: Path) -> None:
    train_with_checkpoints(tmp_path, cut_after=2)
    callbacks = quiet(LightGBMModel(), resume=True, **files(tmp_path))

    with pytest.raises(ConfigurationError, match=r"2 rounds of .* pass init_model=saved_booster\(path\)"):
        train(*LightGBMLoop(callbacks), rounds=6)

    assert not callbacks.run.has_begun
