"""`MetricCallback`: a metric on an evaluation set."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import Any

from trainsignal import keys
from trainsignal.abilities import CanEvaluate
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import check_evaluation_set, host_array
from trainsignal.frequency import Frequency, firings, row_of
from trainsignal.shared_data import SharedData

_logger = logging.getLogger(__name__)


class MetricCallback(Callback):
    """Writes each value of a metric on an evaluation set, under "metrics/<name>", and logs them.

    A name that another metric has already is numbered: "metrics/Top1Misclass_2".
    """

    needs = (CanEvaluate,)

    def __init__(self, eval_set: Any, metric: Any, epoch_freq: int | Collection[int] = 1) -> None:
        """Store what to evaluate, and on what.

        Args:
            eval_set: see `trainsignal.abilities.EvaluationSet`.
            metric: an instance with `metric_names`; `model.eval(eval_set, metric=metric)` gives its values.
                Where it has `directions`, name to "min" or "max", the archive tells which values are better.
            epoch_freq: evaluate every nth epoch, or at the 0-based epochs of a list.

        Raises:
            DataError: no data set, or an empty one.
            ConfigurationError: a metric class instead of an instance, or one without names.
        """
        super().__init__(epoch_freq=epoch_freq)
        check_evaluation_set(eval_set, "eval_set")
        if isinstance(metric, type):
            raise ConfigurationError(f"metric={metric.__name__}: that is a class; pass {metric.__name__}()")
        names = getattr(metric, "metric_names", None)
        if not names or isinstance(names, str):
            raise ConfigurationError(f"metric={metric!r} has no metric_names, a list with one name a value")
        self.eval_set = eval_set
        self.metric = metric
        self.writes = tuple(keys.Numbered(keys.metric(name)) for name in names)
        self._axis: Frequency = epoch_freq
        self._keys: list[str] = [str(key) for key in self.writes]

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        self._axis = self.epoch_freq  # of the series, whatever changes later
        rows = firings(self._axis, epochs)
        directions = getattr(self.metric, "directions", {})
        self._keys = []
        for name, key in zip(self.metric.metric_names, self.writes, strict=True):
            axis = keys.epoch_axis(self._axis)
            if name in directions:
                axis[keys.DIRECTION] = directions[name]
            self._keys.append(callback_data.create_series(key, rows, attributes=axis).name)

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        values = host_array(model.eval(self.eval_set, metric=self.metric)).reshape(-1)
        if len(values) != len(self._keys):
            raise ConfigurationError(
                f"{type(self.metric).__name__} gave {len(values)} values for its metric_names "
                f"{self.metric.metric_names!r}"
            )
        row = row_of(self._axis, epoch)
        for key, value in zip(self._keys, values, strict=True):
            callback_data[key][row] = value
        _logger.info(
            "%s: %s", ", ".join(self.metric.metric_names), ", ".join(f"{value:g}" for value in values)
        )
