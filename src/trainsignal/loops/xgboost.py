"""`XGBoostLoop`: plugs a `Callbacks` object into XGBoost's training; a boosting round is an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from trainsignal.boosting import BoostingRun, Result
from trainsignal.container import Callbacks
from trainsignal.extras import require

xgboost: Any = require("xgboost", extra="xgboost", user="trainsignal.loops.xgboost", at_least="3.2")

EvalsLog: TypeAlias = Mapping[str, Mapping[str, Sequence[float | tuple[float, float]]]]
"""Values a round, by data set and metric; (mean, standard deviation) in a cross-validation."""

MAXIMIZED: Final = frozenset({"auc", "aucpr", "pre", "ndcg", "map", "interval-regression-accuracy"})
"""XGBoost's own metrics that are better when higher. Source: its manual, "Learning Task Parameters"."""

MINIMIZED: Final = frozenset(
    {
        "rmse", "rmsle", "mae", "mape", "mphe", "logloss", "error", "merror", "mlogloss", "quantile",
        "poisson-nloglik", "gamma-nloglik", "gamma-deviance", "tweedie-nloglik", "cox-nloglik", "aft-nloglik",
    }
)  # fmt: skip
"""XGBoost's own metrics that are better when lower. Source: as above."""


class XGBoostLoop(xgboost.callback.TrainingCallback):  # type: ignore[misc]  # untyped framework
    """Turns the rounds of `xgboost.train`, of an estimator's `fit` or of `xgboost.cv` into epochs.

        model = XGBoostModel()
        callbacks = Callbacks(model, output_file="run.h5")
        with callbacks:
            xgboost.train(
                params, data, num_boost_round=100, evals=[(held_out, "valid")],
                callbacks=[XGBoostLoop(callbacks, epochs=100, loss="valid-rmse")],
            )

    Evaluation results become "metrics/valid-rmse", with XGBoost's own names. Of these XGBoost does not tell
    whether higher is better: it is taken from its manual, by the name, also where a metric of the user's own
    has such a name; see `higher_is_better`. XGBoost tells callbacks nothing
    when training raises, so the `with` block is what closes the run then. A vote to stop ends training after
    the round. XGBoost's own early stopping may go along; the round that it stops at is ended too.

    An estimator of scikit-learn's kind takes the loop in its constructor and keeps it: to pickle or clone it
    afterwards, `estimator.set_params(callbacks=None)`.

    A resumed run needs an `XGBoostModel`. The booster in training takes up the rounds of before, so that
    `xgb_model` is not to be given, and `num_boost_round` stays the number of all rounds.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        *,
        epochs: int | None = None,
        loss: str | None = None,
        higher_is_better: Mapping[str, bool] | None = None,
    ) -> None:
        """Store what to drive.

        Args:
            callbacks: the callbacks.
            epochs: how many rounds there will be, as `num_boost_round` or `n_estimators` says, of which
                XGBoost tells its callbacks nothing; None: unknown. A resumed run needs it.
            loss: name of the evaluation result that becomes the series "cost/loss", "valid-rmse" for the
                metric rmse on the data set "valid"; None: none does.
            higher_is_better: whether it is, by the name of a metric, "f1", where XGBoost does not tell: of
                a metric of the user's own. It also goes before what is known of XGBoost's own metrics.

        Raises:
            TypeError: `callbacks` is no `Callbacks` object.
        """
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  # untyped framework
        self._run = BoostingRun(callbacks, type(self).__name__, "xgboost")
        self._epochs = epochs
        self._loss = loss
        self._higher_is_better = dict(higher_is_better or {})
        self._round = 0
        self._log: EvalsLog = {}

    def before_training(self, model: Any) -> Any:
        """Begin the run."""
        self._run.begin(model, self._epochs, self._loss)
        return model

    def before_iteration(self, model: Any, epoch: int, evals_log: EvalsLog) -> bool:
        """Begin the round, and return whether to stop instead."""
        self._round, self._log = epoch, evals_log
        return not self._run.begin_round_if_announced()

    def after_iteration(self, model: Any, epoch: int, evals_log: EvalsLog) -> bool:
        """End the round, and return whether to stop."""
        self._run.end_round(self._results(evals_log, epoch))
        is_to_stop = self._run.was_asked_to_stop()
        if is_to_stop and not isinstance(model, xgboost.Booster):
            model.set_attr(best_iteration=str(epoch))  # up to which `cv` returns results when it is stopped
        return is_to_stop

    def after_training(self, model: Any) -> Any:
        """End the run, and the round if another callback stopped training before this one was told."""
        self._run.end_round(self._results(self._log, self._round))
        self._run.end(model)
        return model

    def _results(self, log: EvalsLog, index: int) -> Iterator[Result]:
        """Yield the results of the round with this 0-based index in XGBoost's count."""
        for data, metrics in log.items():
            for metric, values in metrics.items():
                if index < len(values):
                    value = values[index]
                    mean, deviation = value if isinstance(value, tuple) else (value, None)
                    direction = self._higher_is_better.get(metric, _higher_is_better(metric))
                    yield Result(data, metric, mean, direction, deviation)


def _higher_is_better(metric: str) -> bool | None:
    """Return what is documented of XGBoost's metric of this name; None where it has none."""
    name = metric.partition("@")[0].rstrip("-")  # "ndcg@5-" and "ndcg-" are ndcg with options
    return True if name in MAXIMIZED else False if name in MINIMIZED else None
