from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from tests.support.boosting_data import diabetes
from tests.support.runs import Sentence, quiet
from trainsignal import Callbacks, SaveBestStateCallback, StopWhenNotImprovingCallback, keys
from trainsignal.checkpoint import load_state
from trainsignal.errors import ConfigurationError, MissingAbilityError, WiringError
from trainsignal.loops.xgboost import XGBoostLoop
from trainsignal.models.lightgbm import LightGBMModel
from trainsignal.models.xgboost import XGBoostModel

PARAMETERS = {"max_depth": 2, "eta": 0.2, "nthread": 1, "eval_metric": ["mae", "rmse"]}
INPUTS, TARGETS, HELD_OUT_INPUTS, HELD_OUT_TARGETS = diabetes()


class Stops(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # untyped framework
    """Another callback, which stops training at a round, before it or after it."""

    def __init__(self, *, before: int | None = None, after: int | None = None) -> None:
        super().__init__()
        self.before, self.after = before, after

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        return epoch == self.before

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        return epoch == self.after


def train(*callbacks: Any, rounds: int = 4, **options: Any) -> tuple[Any, dict[str, dict[str, list[float]]]]:
    """Train anew, and return the booster and XGBoost's own record of its evaluation results."""
    data = xgboost.DMatrix(INPUTS, TARGETS)
    held_out = xgboost.DMatrix(HELD_OUT_INPUTS, HELD_OUT_TARGETS)
    record: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        options.pop("parameters", PARAMETERS), data, rounds, evals=[(data, "train"), (held_out, "valid")],
        evals_result=record, verbose_eval=False, callbacks=list(callbacks), **options,
    )  # fmt: skip
    return booster, record


# -- evaluation results --------------------------------------------------------------------------------


def test_evaluation_results_become_series_under_the_names_that_xgboost_prints() -> None:
    callbacks = quiet()
    with callbacks:
        _, record = train(XGBoostLoop(callbacks, epochs=4))

    metrics = callbacks.callback_data["metrics"]
    assert sorted(metrics) == ["train-mae", "train-rmse", "valid-mae", "valid-rmse"]
    for name in metrics:
        data, _, metric = name.partition("-")
        assert metrics[name][:].tolist() == record[data][metric]
        assert metrics[name].attrs[keys.TIME_MARKERS] == keys.PER_EPOCH_FREQ


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("rmse", "min"),
        ("poisson-nloglik", "min"),
        ("auc", "max"),
        ("map@3", "max"),
        ("ndcg@5-", "max"),
        ("ndcg-", "max"),
        ("map-", "max"),
    ],
)
def test_the_direction_of_xgboosts_own_metrics_is_told(metric: str, direction: str) -> None:
    callbacks = quiet()
    labels = (TARGETS > 100).astype(int)
    data = xgboost.DMatrix(
        INPUTS, labels, group=[len(labels)] if metric.startswith(("map", "ndcg")) else None
    )
    with callbacks:
        xgboost.train(
            {"eval_metric": metric, "nthread": 1}, data, 1, evals=[(data, "a")], verbose_eval=False,
            callbacks=[XGBoostLoop(callbacks)],
        )  # fmt: skip

    assert callbacks.callback_data[f"metrics/a-{metric}"].attrs[keys.DIRECTION] == direction


def test_the_direction_of_a_metric_of_the_users_is_not_guessed() -> None:
    callbacks = quiet()
    with callbacks:
        train(XGBoostLoop(callbacks), custom_metric=lambda outputs, data: ("auc/own", 0.5))

    series = callbacks.callback_data["metrics/valid-auc_own"]
    assert keys.DIRECTION not in series.attrs
    assert series[:].tolist() == [0.5] * 4


def test_the_user_may_tell_the_direction_of_a_metric_even_of_one_that_has_a_name_of_xgboosts() -> None:
    callbacks = quiet()
    loop = XGBoostLoop(callbacks, higher_is_better={"error": True})
    with callbacks:
        train(loop, custom_metric=lambda outputs, data: ("error", 0.5))

    metrics = callbacks.callback_data["metrics"]
    assert metrics["valid-error"].attrs[keys.DIRECTION] == "max"
    assert metrics["valid-rmse"].attrs[keys.DIRECTION] == "min"


def test_a_loss_that_is_reported_no_more_leaves_rounds_without_one() -> None:
    callbacks = quiet()

    _, record = train(XGBoostLoop(callbacks, epochs=4, loss="valid-rmse"), Stops(before=1))

    expected = [record["valid"]["rmse"][0], np.nan, np.nan, np.nan]
    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:], expected, rtol=1e-6)
    assert callbacks.run.epochs_complete == 2
    assert callbacks.run.exit_reason == "stopped"


def test_the_result_that_is_named_as_loss_becomes_the_loss() -> None:
    callbacks = quiet()
    with callbacks:
        _, record = train(XGBoostLoop(callbacks, epochs=4, loss="valid-rmse"))

    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:], record["valid"]["rmse"], rtol=1e-6)


def test_a_loss_that_is_not_reported_ends_training_in_the_first_round() -> None:
    callbacks = quiet()

    with pytest.raises(ConfigurationError, match=r"'valid-rsme' is not reported.*Did you mean 'valid-rmse'"):
        train(XGBoostLoop(callbacks, loss="valid-rsme"))

    assert callbacks.run.exit_reason == "failed"
    assert callbacks.run.epochs_complete == 0


def test_a_loss_without_any_data_set_says_that_none_is_evaluated() -> None:
    with pytest.raises(ConfigurationError, match="no data set is evaluated"):
        xgboost.train(
            {"nthread": 1},
            xgboost.DMatrix(INPUTS, TARGETS),
            1,
            callbacks=[XGBoostLoop(quiet(), loss="valid-rmse")],
        )


def test_a_loss_that_is_better_when_higher_is_refused() -> None:
    parameters = {"objective": "rank:ndcg", "eval_metric": "ndcg", "nthread": 1}
    data = xgboost.DMatrix(INPUTS, (TARGETS > 100).astype(int), group=[len(TARGETS)])

    with pytest.raises(ConfigurationError, match=r"higher is better there.*'metrics/train-ndcg'"):
        xgboost.train(
            parameters, data, 2, evals=[(data, "train")], verbose_eval=False,
            callbacks=[XGBoostLoop(quiet(), loss="train-ndcg")],
        )  # fmt: skip


def test_who_reads_a_loss_that_nothing_writes_is_told_how_to_name_one(tmp_path: Path) -> None:
    callbacks = quiet(XGBoostModel())
    callbacks.add_save_best_state_callback(tmp_path / "best.h5")

    with pytest.raises(WiringError) as caught:
        train(XGBoostLoop(callbacks))

    assert "XGBoostLoop(callbacks, loss='valid-rmse')" in caught.value.__notes__[0]
    assert not callbacks.run.has_begun


def test_an_error_of_the_wiring_that_is_not_about_the_loss_has_no_such_note() -> None:
    callbacks = quiet()
    callbacks.add_callback(StopWhenNotImprovingCallback("time/loss", patience=1))

    with pytest.raises(WiringError, match="'time/loss'") as caught:
        train(XGBoostLoop(callbacks))

    assert not hasattr(caught.value, "__notes__")


# -- begin and end -------------------------------------------------------------------------------------


def test_a_vote_ends_training_after_the_round() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[1])

    booster, _ = train(XGBoostLoop(callbacks, epochs=4))

    assert booster.num_boosted_rounds() == 2
    assert callbacks.run.exit_reason == "stopped"


def test_a_vote_at_the_begin_leaves_no_round_to_do() -> None:
    callbacks = quiet()
    callbacks.bus.subscribe("train_begin", lambda: callbacks.stop("enough"))
    heard = Sentence(callbacks)

    booster, _ = train(XGBoostLoop(callbacks))

    assert booster.num_boosted_rounds() == 0
    assert heard.text == "TtC"


@pytest.mark.parametrize("is_first", [True, False])
def test_a_round_that_another_callback_stops_at_is_ended_with_its_results(is_first: bool) -> None:
    callbacks = quiet()
    both = [XGBoostLoop(callbacks, epochs=4), Stops(after=1)]

    _, record = train(*(both if is_first else both[::-1]))

    assert callbacks.run.epochs_complete == 2
    series = callbacks.callback_data["metrics/valid-rmse"]
    assert series[:2].tolist() == record["valid"]["rmse"]
    assert callbacks.run.exit_reason == "stopped"
    assert callbacks.run.votes[0].reason == "the loop ended after 2 of 4 epochs"


def test_a_round_that_another_callback_prevents_is_not_begun() -> None:
    callbacks = quiet()

    train(Stops(before=1), XGBoostLoop(callbacks))

    assert callbacks.run.epochs_complete == 1


def test_a_round_that_another_callback_prevents_once_it_has_begun_ends_without_results() -> None:
    callbacks = quiet()

    booster, _ = train(XGBoostLoop(callbacks, epochs=4), Stops(before=1))

    assert booster.num_boosted_rounds() == 1
    assert callbacks.run.epochs_complete == 2
    assert np.isnan(callbacks.callback_data["metrics/valid-rmse"][:]).tolist() == [False, True, True, True]


def test_xgboosts_own_early_stopping_goes_along() -> None:
    callbacks = quiet()

    booster, record = train(XGBoostLoop(callbacks, epochs=200), rounds=200, early_stopping_rounds=2)

    rounds = booster.num_boosted_rounds()
    assert callbacks.run.epochs_complete == rounds == len(record["valid"]["rmse"]) < 200
    assert booster.best_iteration == rounds - 3


def test_the_best_state_is_put_back_into_the_booster_that_training_returns() -> None:
    callbacks = quiet(XGBoostModel())
    callbacks.add_callback(StopWhenNotImprovingCallback(patience=3, restore_best=True))

    booster, record = train(XGBoostLoop(callbacks, epochs=200, loss="valid-rmse"), rounds=200)

    assert booster.num_boosted_rounds() == 1 + int(np.argmin(record["valid"]["rmse"]))


def test_a_slice_of_the_booster_that_another_callback_makes_is_what_callbacks_find_at_the_end() -> None:
    model = XGBoostModel()
    stops = xgboost.callback.EarlyStopping(rounds=2, save_best=True)

    booster, _ = train(stops, XGBoostLoop(Callbacks(model, progress_bar=False)), rounds=200)

    assert model.booster is booster


def test_an_estimator_of_scikit_learns_kind_is_followed_too() -> None:
    model = XGBoostModel()
    callbacks = quiet(model)
    estimator = xgboost.XGBRegressor(
        n_estimators=3, max_depth=2, n_jobs=1, callbacks=[XGBoostLoop(callbacks, loss="validation_0-rmse")]
    )

    estimator.fit(INPUTS, TARGETS, eval_set=[(HELD_OUT_INPUTS, HELD_OUT_TARGETS)], verbose=False)

    expected = estimator.evals_result()["validation_0"]["rmse"]
    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:3], expected, rtol=1e-6)
    assert callbacks.run.exit_reason == "completed"
    assert model.booster is estimator.get_booster()


def test_what_is_no_callbacks_object_is_refused() -> None:
    with pytest.raises(TypeError, match="is no Callbacks object"):
        XGBoostLoop([])  # type: ignore[arg-type]  # as a user may


# -- cross-validation ----------------------------------------------------------------------------------


def test_a_cross_validation_reports_means_and_standard_deviations() -> None:
    callbacks = quiet(PARAMETERS)
    data = xgboost.DMatrix(INPUTS, TARGETS)

    table: Any = xgboost.cv(
        PARAMETERS, data, 3, nfold=3, callbacks=[XGBoostLoop(callbacks, epochs=3, loss="test-rmse")],
        as_pandas=False,
    )  # fmt: skip

    assert len(table["test-rmse-mean"]) == 3
    metrics = callbacks.callback_data["metrics"]
    assert metrics["test-rmse"][:].tolist() == table["test-rmse-mean"]
    assert metrics["test-rmse-std"][:].tolist() == table["test-rmse-std"]
    assert callbacks.run.exit_reason == "completed"


@pytest.mark.parametrize("patience", [None, 5])
def test_a_vote_ends_a_cross_validation_after_the_round(patience: int | None) -> None:
    callbacks = quiet(PARAMETERS)
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[1])

    table: Any = xgboost.cv(
        PARAMETERS, xgboost.DMatrix(INPUTS, TARGETS), 9, nfold=3, callbacks=[XGBoostLoop(callbacks)],
        as_pandas=False, early_stopping_rounds=patience,
    )  # fmt: skip

    assert len(table["test-rmse-mean"]) == 2
    assert callbacks.run.exit_reason == "stopped"


def test_a_cross_validation_has_no_booster_to_wrap() -> None:
    loop = XGBoostLoop(quiet(XGBoostModel()))

    with pytest.raises(ConfigurationError, match=r"stands for one booster .* for a cross-validation any obj"):
        xgboost.cv(PARAMETERS, xgboost.DMatrix(INPUTS, TARGETS), 1, callbacks=[loop])


# -- models --------------------------------------------------------------------------------------------


def test_the_wrapper_of_another_library_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"LightGBMModel stands for .*xgboost\.core\.Booster is tr"):
        train(XGBoostLoop(quiet(LightGBMModel())))


def test_an_estimator_as_the_model_is_left_as_it_is() -> None:
    estimator = xgboost.XGBRegressor(booster="gbtree")

    train(XGBoostLoop(quiet(estimator)))

    assert estimator.get_params()["booster"] == "gbtree"


def test_a_booster_that_is_not_wrapped_cannot_be_saved_and_the_message_names_the_wrapper(
    tmp_path: Path,
) -> None:
    callbacks = quiet(xgboost.Booster(), save_path=tmp_path / "model.h5")

    with pytest.raises(MissingAbilityError, match=r"XGBoostModel\(\) from trainsignal.models.xgboost"):
        train(XGBoostLoop(callbacks))


# -- going on ------------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, Path]:
    return {"output_file": folder / "run.h5", "save_path": folder / "model.h5"}


def cut_short(folder: Path, rounds: int) -> None:
    """Leave the checkpoint of a run that was stopped."""
    callbacks = quiet(XGBoostModel(), **files(folder))
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("a cut"), at=[rounds - 1])
    train(XGBoostLoop(callbacks, epochs=6, loss="valid-rmse"), rounds=6)


def test_a_resumed_run_does_the_rest_of_the_rounds_and_comes_to_the_same(tmp_path: Path) -> None:
    whole, record = train(rounds=6)
    cut_short(tmp_path, rounds=2)

    callbacks = quiet(XGBoostModel(), resume=True, **files(tmp_path))
    booster, rest = train(XGBoostLoop(callbacks, epochs=6, loss="valid-rmse"), rounds=6)

    assert booster.save_raw() == whole.save_raw()
    assert rest["valid"]["rmse"] == record["valid"]["rmse"][2:]
    assert callbacks.callback_data["metrics/valid-mae"][:].tolist() == record["valid"]["mae"]
    np.testing.assert_allclose(callbacks.callback_data[keys.LOSS][:], record["valid"]["rmse"], rtol=1e-6)
    assert callbacks.run.exit_reason == "completed"


def test_a_resumed_run_that_was_complete_does_no_round(tmp_path: Path) -> None:
    cut_short(tmp_path, rounds=6)

    callbacks = quiet(XGBoostModel(), resume=True, **files(tmp_path))
    booster, _ = train(XGBoostLoop(callbacks, epochs=6, loss="valid-rmse"), rounds=6)

    assert booster.num_boosted_rounds() == 6


def test_a_resumed_run_must_know_its_length(tmp_path: Path) -> None:
    cut_short(tmp_path, rounds=2)
    callbacks = quiet(XGBoostModel(), resume=True, **files(tmp_path))

    with pytest.raises(ConfigurationError, match=r"XGBoostLoop\(\.\.\., epochs=100\)"):
        train(XGBoostLoop(callbacks), rounds=6)

    assert callbacks.run.exit_reason == "failed"
    assert load_state(tmp_path / "model.h5")[keys.CHECKPOINT_RUN]["epochs_complete"] == 2


def test_a_run_may_begin_from_the_rounds_of_a_checkpoint(tmp_path: Path) -> None:
    best = tmp_path / "best.h5"
    first = quiet(XGBoostModel())
    first.add_callback(SaveBestStateCallback(best))
    before, _ = train(XGBoostLoop(first, loss="valid-rmse"), rounds=3)

    callbacks = quiet(XGBoostModel(), model_file=best)
    booster, _ = train(XGBoostLoop(callbacks, epochs=2), rounds=2)

    continued, _ = train(rounds=2, xgb_model=before)
    assert booster.save_raw() == continued.save_raw()
    assert callbacks.run.epochs_complete == 2


def test_rounds_beyond_those_that_were_announced_are_trained_and_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    callbacks = quiet(object())
    callbacks.callbacks = []
    heard = Sentence(callbacks)
    data = xgboost.DMatrix(np.arange(8.0).reshape(-1, 1), label=np.arange(8.0))

    with callbacks:
        booster = xgboost.train({}, data, num_boost_round=4, callbacks=[XGBoostLoop(callbacks, epochs=2)])

    assert booster.num_boosted_rounds() == 4
    assert heard.text == "TEeEetC"
    assert [one.getMessage() for one in caplog.records] == [
        "there are more rounds than epochs=2 said: callbacks do not hear of them"
    ]
