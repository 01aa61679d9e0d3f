from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.support.linear_problem import batches
from tests.support.runs import Bare, Sentence, quiet
from tests.support.sklearn_estimators import EpochRegressor
from trainsignal import Callback, Callbacks
from trainsignal.errors import ConfigurationError, RunStateError
from trainsignal.loops.sklearn import SklearnLoop
from trainsignal.models.sklearn import SklearnModel

X, Y = load_breast_cancer(return_X_y=True)
X = StandardScaler().fit_transform(X)

pytestmark = pytest.mark.filterwarnings(
    # These fits are cut short on purpose, which scikit-learn cannot know.
    "ignore:lbfgs failed to converge:sklearn.exceptions.ConvergenceWarning"
)


def fitted(max_iter: int) -> LogisticRegression:
    return LogisticRegression(max_iter=max_iter).fit(X, Y)


def listened(model: Any, estimator: Any, **options: Any) -> tuple[Callbacks, Sentence]:
    """Return callbacks that listen to an estimator, and what they will hear."""
    callbacks = quiet(model, **options)
    callbacks.callbacks = [one for one in callbacks.callbacks if type(one).__name__ != "TrainCostCallback"]
    estimator.set_callbacks(SklearnLoop(callbacks))
    return callbacks, Sentence(callbacks)


def regression(max_iter: int, **options: Any) -> tuple[LogisticRegression, Callbacks, Sentence]:
    """Return an estimator and callbacks that listen to it."""
    model = SklearnModel(LogisticRegression(max_iter=max_iter), loss=log_loss)
    return model.estimator, *listened(model, model.estimator, **options)


class Watching:
    """A callback of scikit-learn's that notes which iterations it was shown at their ends."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None: ...

    def teardown(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        if context.parent is not None and fitted_estimator is not None:
            self.seen.append(context.task_id)


# -- iterations ----------------------------------------------------------------------------------------


def test_each_iteration_of_logistic_regression_is_an_epoch() -> None:
    estimator, callbacks, heard = regression(4)

    estimator.fit(X, Y)

    assert heard.text == "T" + 4 * "Ee" + "tC"
    assert callbacks.run.total_epochs == callbacks.run.epochs_complete == estimator.n_iter_[0] == 4
    assert callbacks.run.exit_reason == "completed"


def test_a_fit_that_converges_ends_the_run_without_the_iteration_that_was_announced() -> None:
    estimator, callbacks, heard = regression(200)

    estimator.fit(X, Y)

    assert 5 < estimator.n_iter_[0] < 200
    assert heard.text == "T" + estimator.n_iter_[0] * "Ee" + "tC"
    assert callbacks.run.exit_reason == "stopped"
    assert callbacks.run.votes[0].reason == f"the loop ended after {estimator.n_iter_[0]} of 200 epochs"


def test_the_loss_of_each_epoch_is_that_of_a_fit_of_so_many_iterations() -> None:
    estimator, callbacks, _ = regression(4, eval_set=[(X, Y)], eval_freq=1)

    estimator.fit(X, Y)

    expected = [log_loss(Y, fitted(1 + epoch).predict_proba(X)) for epoch in range(4)]
    np.testing.assert_allclose(callbacks.callback_data["cost/loss"][:], expected, rtol=1e-5)


def test_the_model_predicts_as_before_the_iteration_at_an_epochs_begin() -> None:
    estimator, callbacks, _ = regression(2)
    seen: list[Any] = []
    callbacks.bus.subscribe("epoch_begin", lambda: seen.append(callbacks.model().predict(X)))

    estimator.fit(X, Y)

    np.testing.assert_array_equal(seen[0], np.full((len(X), 2), 0.5))
    np.testing.assert_allclose(seen[1], fitted(1).predict_proba(X), rtol=1e-6)


def test_the_model_is_the_estimator_itself_after_the_fit() -> None:
    estimator, callbacks, _ = regression(2)

    estimator.fit(X, Y)
    estimator.coef_ = np.zeros_like(estimator.coef_)
    estimator.intercept_ = np.zeros(1)

    np.testing.assert_array_equal(callbacks.model().predict(X), np.full((len(X), 2), 0.5))


def test_what_the_loop_is_told_of_may_be_the_estimator_as_it_is() -> None:
    estimator = LogisticRegression(max_iter=2)
    _, heard = listened(estimator, estimator)

    estimator.fit(X, Y)

    assert heard.text == "TEeEetC"


def test_the_last_step_of_a_pipeline_is_listened_to() -> None:
    estimator, _, heard = regression(3)

    make_pipeline(StandardScaler(), estimator).fit(X, Y)

    assert heard.text == "T" + 3 * "Ee" + "tC"


class DeepRegressor(EpochRegressor):
    """Tells of each sample, too."""

    @with_callbacks  # type: ignore[untyped-decorator]  # untyped framework
    def fit(self, X: Any) -> Any:
        task = self._init_callback_context(max_subtasks=1).call_on_fit_task_begin(estimator=self)
        tasks = [task]
        for name in ("epoch", "minibatch", "sample"):
            task = task.subcontext(name, max_subtasks=1).call_on_fit_task_begin(estimator=self)
            tasks.append(task)
        for task in reversed(tasks):
            task.call_on_fit_task_end(estimator=self)
        return self


def test_tasks_within_a_minibatch_are_passed_over() -> None:
    estimator = DeepRegressor()
    callbacks = quiet(estimator)
    heard = Sentence(callbacks)

    estimator.set_callbacks(SklearnLoop(callbacks, cost=lambda estimator: 1.0)).fit([])

    assert heard.text == "TEBbetC"


# -- stopping ------------------------------------------------------------------------------------------


def test_a_vote_ends_logistic_regression_with_the_coefficients_of_that_iteration() -> None:
    estimator, callbacks, heard = regression(50)
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[2])

    estimator.fit(X, Y)

    assert heard.text == "T" + 3 * "Ee" + "tC"
    assert (callbacks.run.exit_reason, estimator.n_iter_[0]) == ("stopped", 3)
    np.testing.assert_allclose(estimator.coef_, fitted(3).coef_, rtol=1e-12)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_stop_keeps_no_iteration_from_other_callbacks_of_scikit_learn(is_first: bool) -> None:
    estimator, callbacks, _ = regression(50)
    callbacks.bus.subscribe("epoch_end", lambda: callbacks.stop("enough"), at=[2])
    watching, (loop,) = Watching(), estimator._skl_callbacks

    estimator.set_callbacks(*([loop, watching] if is_first else [watching, loop])).fit(X, Y)

    assert watching.seen == [0, 1, 2]


@pytest.mark.parametrize(("signal", "text"), [("epoch_end", "TEBbBbetC"), ("minibatch_end", "TEBbetC")])
def test_the_run_of_an_estimator_that_does_not_stop_ends_without_it(
    signal: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = SklearnModel(EpochRegressor(max_iter=3, is_deaf=True))
    callbacks, heard = listened(model, model.estimator)
    callbacks.bus.subscribe(signal, lambda: callbacks.stop("enough"), once=True)

    model.estimator.fit(batches(2), 2)

    assert heard.text == text
    assert callbacks.run.exit_reason == "stopped"
    assert len(callbacks.run.problems) == 1
    assert "EpochRegressor was asked to stop and trains on" in caplog.text


# -- errors --------------------------------------------------------------------------------------------


class Refusal(Exception):
    pass


def refuse() -> None:
    raise Refusal


def test_an_error_of_a_callback_comes_out_of_the_fit() -> None:
    estimator, callbacks, _ = regression(4)
    callbacks.bus.subscribe("epoch_end", refuse, at=[1])

    with pytest.raises(Refusal):
        estimator.fit(X, Y)

    assert (callbacks.run.exit_reason, callbacks.run.epochs_complete) == ("failed", 1)


def test_a_fit_in_the_handler_of_an_error_completes() -> None:
    estimator, callbacks, _ = regression(2)

    try:
        refuse()
    except Refusal:
        estimator.fit(X, Y)

    assert callbacks.run.exit_reason == "completed"


def test_a_fit_that_fails_in_the_handler_of_an_error_fails() -> None:
    model = SklearnModel(EpochRegressor(max_iter=3))
    callbacks, _ = listened(model, model.estimator)

    try:
        refuse()
    except Refusal:
        with pytest.raises(TypeError, match="not iterable"):
            model.estimator.fit(None)

    assert callbacks.run.exit_reason == "failed"
    assert isinstance(callbacks.run.error, TypeError)


def test_a_second_fit_is_another_run() -> None:
    estimator, _, _ = regression(2)
    estimator.fit(X, Y)

    with pytest.raises(RunStateError, match="has served a run already"):
        estimator.fit(X, Y)


def test_a_fitted_estimator_says_what_keeps_it_from_being_pickled() -> None:
    estimator, _, _ = regression(2)
    estimator.fit(X, Y)

    with pytest.raises(TypeError, match=r"estimator\.set_callbacks\(\)"):
        pickle.dumps(estimator)

    assert pickle.loads(pickle.dumps(estimator.set_callbacks())).n_iter_[0] == 2


# -- what cannot be listened to ------------------------------------------------------------------------


def saga() -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of the same, and goes on
        return LogisticRegression(solver="saga").set_callbacks(SklearnLoop(quiet(Bare())))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (
            make_pipeline(LogisticRegression()).set_callbacks(SklearnLoop(quiet(Bare()))),
            "Pipeline fits other estimators",
        ),
        (
            GridSearchCV(LogisticRegression(), {}).set_callbacks(SklearnLoop(quiet(Bare()))),
            "GridSearchCV fits other estimators",
        ),
        (
            StandardScaler().set_callbacks(SklearnLoop(quiet(Bare()))),
            "StandardScaler does its fit in one step",
        ),
        (saga(), "solver='saga'"),
        (
            LogisticRegression().set_callbacks(SklearnLoop(quiet(SklearnModel(LogisticRegression())))),
            "another model, a LogisticRegression, than the LogisticRegression that is trained: .* be a clone",
        ),
        (
            LogisticRegression().set_callbacks(SklearnLoop(quiet(LogisticRegression()))),
            "another model, a LogisticRegression, than the LogisticRegression that is trained: .* be a clone",
        ),
    ],
    ids=["pipeline", "search", "one step", "solver", "wrapped clone", "clone"],
)
def test_what_has_no_epochs_to_listen_to_is_refused(estimator: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        estimator.fit(X, Y)


def test_a_candidate_of_a_search_is_refused() -> None:
    estimator, _, heard = regression(2)

    with pytest.raises(ValueError, match="GridSearchCV fits many copies of this LogisticRegression"):
        GridSearchCV(estimator, {"C": [1.0]}, cv=2).fit(X, Y)

    assert heard.text == ""


def test_what_is_no_container_is_refused() -> None:
    with pytest.raises(TypeError, match="no Callbacks object"):
        SklearnLoop(LogisticRegression())


def test_an_estimator_that_would_begin_anew_is_not_resumed(tmp_path: Path) -> None:
    files = {"output_file": tmp_path / "run.h5", "save_path": tmp_path / "model.h5"}
    model = SklearnModel(EpochRegressor(max_iter=3))
    first, _ = listened(model, model.estimator, **files)
    first.bus.subscribe("epoch_begin", refuse, at=[2])
    with pytest.raises(Refusal):
        model.estimator.fit(batches(2), 2)

    listened(model, model.estimator, resume=True, **files)

    with pytest.raises(ConfigurationError, match=r"EpochRegressor would forget .* warm_start=True"):
        model.estimator.fit(batches(2), 2)


class Unknowing(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]  # untyped framework
    """Iterates, and does not know how often it will."""

    @with_callbacks  # type: ignore[untyped-decorator]  # untyped framework
    def fit(self) -> Any:
        fit = self._init_callback_context(max_subtasks=None).call_on_fit_task_begin(estimator=self)
        for _ in range(2):
            iteration = fit.subcontext("iteration").call_on_fit_task_begin(estimator=self)
            iteration.call_on_fit_task_end(estimator=self)
        return self


def test_an_estimator_that_does_not_know_how_long_it_trains_has_no_number_of_epochs() -> None:
    estimator = Unknowing()
    callbacks, heard = listened(estimator, estimator)

    estimator.fit()

    assert (heard.text, callbacks.run.total_epochs) == ("TEeEetC", None)


class Stopper(Callback):
    """Votes before the first epoch, as a patience that was exhausted before a resumption does."""

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self.request_stop("no more patience", at="epoch")


def test_a_vote_at_the_begin_stops_after_one_iteration() -> None:
    estimator, callbacks, heard = regression(20)
    callbacks.add_callback(Stopper())

    estimator.fit(X, Y)

    assert (heard.text, estimator.n_iter_[0]) == ("TEetC", 1)
