"""`MetricCallback`: a metric on an evaluation set."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from trainsignal import keys
from trainsignal.abilities import CanEvaluate, CanInfer
from trainsignal.callback import Callback
from trainsignal.evaluation import (
    EpochSeries,
    MetricTally,
    Request,
    check_evaluable,
    check_is_dataset,
    check_mergeable,
    check_metric,
    check_values,
    directions_of,
    evaluated,
    host_array,
    is_mean_of_ranks,
    is_shared_out,
    names_of,
    register,
)
from trainsignal.run_link import is_first_rank
from trainsignal.shared_data import SharedData

_logger = logging.getLogger(__name__)


class MetricCallback(Callback):
    """Writes each value of a metric on an evaluation set, under "metrics/<name>", and logs them.

    Losses and metrics that are due on the same set share one pass over it. A name that another metric has
    already is numbered: "metrics/Top1Misclass_2".

    Of several ranks each evaluates its own part of the set, and the values are those of the whole: of a
    function or neon's metric the mean weighted by samples, of torchmetrics' what all ranks have gathered. Of
    a Keras metric that is no mean itself, as an AUC, they are means of the ranks' values all the same; a log
    record says so.
    """

    needs = (CanEvaluate,)

    def __init__(self, eval_set: Any, metric: Any, epoch_freq: int | Collection[int] = 1) -> None:
        """Store what to evaluate, and on what.

        Args:
            eval_set: yields pairs (inputs, targets), each time anew; for a model with neon's layout see
                `trainsignal.abilities.EvaluationSet`.
            metric: for a framework's model, a function (outputs, targets) or an object of torchmetrics or
                Keras. For a model with neon's layout, an instance with `metric_names`, of which
                `metric(outputs, targets, calcrange=columns)` gives the values for a minibatch; where the
                model has no `fprop`, `model.eval(eval_set, metric=metric)` gives those of the set. Where it
                has `directions`, name to "min" or "max", the archive tells which values are better.
            epoch_freq: evaluate every nth epoch, or at the 0-based epochs of a list.

        Raises:
            DataError: no data set.
            ConfigurationError: a metric class instead of an instance, or one without names.
        """
        super().__init__(epoch_freq=epoch_freq)
        check_is_dataset(eval_set, "eval_set")
        check_metric(metric)
        self.eval_set = eval_set
        self.metric = metric
        self._names = [keys.Numbered(keys.metric(name)) for name in names_of(metric)]
        self.writes = self._names
        self._series = EpochSeries(self._names, epoch_freq)

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        if isinstance(model, CanInfer):
            register(self, self._request())  # first, for other ranks go on with it where the rest fails here
        is_part = is_shared_out(self)
        check_evaluable(model, self.eval_set, "eval_set", is_part=is_part)
        if is_part:
            check_mergeable(model, self.metric)
            self._tell_of_mean()
        self._series = EpochSeries(self._names, self.epoch_freq)
        self._series.create(callback_data, epochs, directions_of(self.metric))

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        if isinstance(model, CanInfer):
            values = evaluated(self, model, self._request(), epoch)
        else:
            values = host_array(model.eval(self.eval_set, metric=self.metric)).reshape(-1)
        check_values(self.metric, len(values))
        self._series.write(callback_data, epoch, values)
        if is_first_rank(self):
            names = ", ".join(names_of(self.metric))
            _logger.info("%s: %s", names, ", ".join(f"{value:g}" for value in values))

    def _tell_of_mean(self) -> None:
        if is_mean_of_ranks(self.metric) and is_first_rank(self):
            _logger.warning(
                "%s: its value over several ranks is the mean of theirs, weighted by samples, and not that "
                "of the whole evaluation set",
                type(self.metric).__name__,
            )

    def _request(self) -> Request:
        return Request(self.eval_set, MetricTally, self.metric)
