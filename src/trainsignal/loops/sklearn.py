"""`SklearnLoop`: has callbacks listen to `fit`, through scikit-learn's own callbacks (1.9 and later).

Trains nothing and evaluates nothing: it tells which tasks an estimator begins and ends. For loops around
`partial_fit`, which are written by hand, there is `callbacks.training` instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn, Protocol, runtime_checkable

from trainsignal.container import Callbacks
from trainsignal.errors import ConfigurationError
from trainsignal.extras import require
from trainsignal.loop_driver import LoopDriver
from trainsignal.run_link import Boundary

_USER: Final = "trainsignal.loops.sklearn"
base: Any = require("sklearn.base", extra="sklearn", user=_USER, at_least="1.9")
linear_model: Any = require("sklearn.linear_model", extra="sklearn", user=_USER)
pipeline: Any = require("sklearn.pipeline", extra="sklearn", user=_USER)

_ADVICE: Final = (
    "the latter may be a clone; make Callbacks with the very estimator whose fit is called, "
    "Callbacks(SklearnModel(estimator), ...)"
)

_ROOT, _ITERATION, _MINIBATCH = 0, 1, 2
"""Levels of the tasks of an estimator, counted from its `fit`."""


@runtime_checkable
class TakesFitted(Protocol):
    """A wrapper that evaluates and saves the estimator which it was told of last: `SklearnModel`."""

    def set_fitted(self, estimator: Any) -> None:
        """Take an estimator that is ready to predict; None: the one that the wrapper was made with."""
        ...


class SklearnLoop:
    """Drives callbacks from the `fit` of an estimator.

        model = SklearnModel(LogisticRegression(max_iter=200), loss=log_loss)
        callbacks = Callbacks(model, eval_set=[(X_valid, y_valid)], eval_freq=1)
        model.estimator.set_callbacks(SklearnLoop(callbacks)).fit(X, y)

    An iteration is an epoch, and what an estimator does within it, if it tells, are the minibatches. While
    `fit` runs, a `SklearnModel` predicts with the coefficients of the current iteration.

    A vote to stop ends `fit` after the current iteration, as scikit-learn provides for. If an estimator goes
    on all the same, its run ends there, as stopped, and that it went on is logged as an error. An exception
    closes the run, and comes out of `fit`.

    `LogisticRegression` (lbfgs) tells of an iteration once it is over, so `epoch_begin` comes then, too. In
    scikit-learn 1.9 it takes no notice of votes: what stops it is `StopIteration`, by which SciPy's
    optimizer lets itself be stopped; a `ConvergenceWarning` says so.

    With `Callbacks(..., resume=True)`, `warm_start=True` has the estimator begin with what it had learned.
    It begins its iterations anew, with no more memory of their course.

    A run is one `fit` of one estimator. It may be the last step of a pipeline, and what is given to
    `Callbacks` is then that step; it cannot be a candidate of a search, which fits many.

    Args:
        callbacks: a `Callbacks` object, for one `fit`.
        cost: returns the mean loss of the minibatch that an estimator has just done, as
            `lambda estimator: estimator.loss_`; None: the estimator keeps none.
    """

    def __init__(self, callbacks: Callbacks, cost: Callable[[Any], object] | None = None) -> None:
        self._driver = LoopDriver(callbacks, "sklearn")
        self._cost = cost
        self._fit: Any = None
        self._asked: Any = None
        self._error_before: BaseException | None = None
        self._is_told_afterwards = False
        self._model: TakesFitted | None = None

    def setup(self, estimator: Any, context: Any) -> None:
        """Check what will be trained; scikit-learn calls it when `fit` begins.

        Raises:
            ConfigurationError: the estimator has no iterations to tell of, is not the one in `Callbacks`, or
                is fitted many times.
        """
        self._fit, self._asked = context, None
        self._error_before = sys.exception()
        model = self._driver.model
        self._model = model if isinstance(model, TakesFitted) else None
        _check_iterates(estimator, context)
        self._driver.check_is_trained(estimator, base.BaseEstimator, "estimator", _ADVICE)
        self._is_told_afterwards = isinstance(estimator, linear_model.LogisticRegression)

    def on_fit_task_begin(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        """Begin the run, an epoch or a minibatch.

        Raises:
            TrainSignalError: what is wrong with the wiring, the files or the model.
        """
        driver, level = self._driver, self._level(context)
        if level == _ROOT:
            self._begin(estimator, context)
            return
        if context.parent is self._asked and driver.run.is_open:
            self._goes_on(estimator)
        self._show(fitted_estimator)
        if level == _ITERATION and not self._is_told_afterwards:
            if driver.run.is_open and context.max_subtasks is not None:
                driver.run.expect_minibatches(context.max_subtasks)
            driver.begin_epoch()
        elif level == _MINIBATCH:
            driver.begin_minibatch()

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
        """End a minibatch or an epoch; return whether the estimator is to do no more of them."""
        driver, level = self._driver, self._level(context)
        if level == _MINIBATCH:
            self._show(fitted_estimator)
            driver.end_minibatch(None if self._cost is None else self._cost(estimator))
            return self._ask(context, "minibatch")
        if level != _ITERATION or (self._is_told_afterwards and fitted_estimator is None):
            return False  # `fit` itself, or an iteration that was announced and not done
        if self._is_told_afterwards:
            driver.begin_epoch()
        self._show(fitted_estimator)
        driver.end_epoch()
        return self._ask(context, "epoch")

    def teardown(self, estimator: Any, context: Any) -> None:
        """End the run, or close it because of the exception that `fit` raises."""
        error = sys.exception()
        self._show(None)
        if error is None or error is self._error_before:  # which `fit` was called in the handler of
            self._driver.end()
        else:
            self._driver.failed(error)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled with an estimator, or sent to another process.

        Raises:
            TypeError: always.
        """
        raise TypeError(
            "SklearnLoop cannot be pickled, since a run belongs to its process. Take it off the estimator "
            "before that is saved, copied or fitted elsewhere: estimator.set_callbacks()"
        )

    def _begin(self, estimator: Any, context: Any) -> None:
        iterations = context.max_subtasks
        if self._is_told_afterwards:
            iterations -= 1  # the one that is announced and not done
        self._driver.begin(iterations, 0 if self._is_told_afterwards else None)
        if self._driver.run.is_resumed and not getattr(estimator, "warm_start", False):
            raise ConfigurationError(
                f"resume: {type(estimator).__name__} would forget what it had learned and begin anew. Make "
                "it with warm_start=True, if it has that, or train without resume"
            )

    def _level(self, context: Any) -> int | None:
        """Return the level of a task of the estimator; None where it is a task within a minibatch."""
        fit, parent = self._fit, context.parent
        if context is fit:
            return _ROOT
        if parent is fit:
            return _ITERATION
        return _MINIBATCH if parent.parent is fit else None

    def _show(self, fitted_estimator: Any) -> None:
        if self._model is not None:
            self._model.set_fitted(fitted_estimator)

    def _ask(self, context: Any, at: Boundary) -> bool:
        """Return whether to stop here, and remember where that was asked for."""
        is_to_stop = self._driver.should_stop(at)
        if is_to_stop:
            self._asked = context.parent
        return is_to_stop

    def _goes_on(self, estimator: Any) -> None:
        """Stop an estimator that was asked to stop and did not; else end the run without it."""
        if self._is_told_afterwards:
            raise StopIteration  # to `scipy.optimize.minimize`, whose documented way it is
        self._driver.run.report(
            f"{type(estimator).__name__} was asked to stop and trains on: callbacks hear of it no more, and "
            "what fit returns is another model than the one of this run's end"
        )
        self._driver.end()


def _check_iterates(estimator: Any, context: Any) -> None:
    """Refuse what has no epochs, or many runs."""
    name = type(estimator).__name__
    if isinstance(estimator, (pipeline.Pipeline, base.MetaEstimatorMixin)):
        raise ConfigurationError(
            f"{name} fits other estimators, and tells of that: call set_callbacks(SklearnLoop(...)) of the "
            "one whose iterations are meant"
        )
    if context.max_subtasks == 0:
        raise ConfigurationError(f"{name} does its fit in one step: there are no epochs to listen to")
    if isinstance(estimator, linear_model.LogisticRegression) and estimator.solver != "lbfgs":
        raise ConfigurationError(
            f"{name}(solver={estimator.solver!r}) does not tell of its iterations: use solver='lbfgs'"
        )
    parent = context.parent
    while parent is not None:
        if not parent.sequential_subtasks:
            raise ConfigurationError(
                f"{parent.estimator_name} fits many copies of this {name}, and a run is one fit: search "
                "without this callback, and set it for a fit with the best parameters"
            )
        parent = parent.parent
