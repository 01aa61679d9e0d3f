"""`MultiLabelStatsCallback`: a metric of each label on an evaluation set."""

from __future__ import annotations

import itertools
import logging
import math
import sys
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, TextIO

from trainsignal import keys
from trainsignal.abilities import Array, CanInfer
from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError
from trainsignal.evaluation import (
    EpochSeries,
    LabelTally,
    LabelValues,
    Request,
    check_evaluation_set,
    check_metric,
    check_not_empty,
    directions_of,
    evaluated,
    host_array,
    is_shared_out,
    register,
)
from trainsignal.run_link import is_first_rank, joined_run
from trainsignal.shared_data import SharedData

_logger = logging.getLogger(__name__)


class MultiLabelStatsCallback(Callback):
    """Prints the values of a metric for each label, and writes them.

    The line of a label is neon's, percentages cut off and not rounded: `[Precision: 97% Recall: 99% ] -> 3`.
    Its series are "metrics/per_label/<name>/<label>"; see `trainsignal.keys.label_metric`.

    Unlike neon's, the values are those of the whole set and not means over its minibatches, and samples that
    only fill up the last minibatch do not count. Where the set is too large to be gathered, the outputs are
    on a device, or several ranks have parts of the set, they are means over parts of the set, weighted by
    samples; a log record says so. The first rank prints.
    """

    needs = (CanInfer,)

    def __init__(
        self,
        eval_set: Any,
        labels: Iterable[object],
        metric: Any,
        epoch_freq: int | Collection[int] = 1,
        *,
        stream: TextIO | None = None,
    ) -> None:
        """Store what to evaluate, and on what.

        Args:
            eval_set: see `trainsignal.abilities.EvaluationSet`.
            labels: names of the classes, in the order of the rows of the targets; may be fewer.
            metric: an instance with `metric_names`, such as PrecisionRecall, of which `metric(outputs,
                targets)` leaves (classes, values) in `metric.outputs`, an array or tensor.
            epoch_freq: evaluate every nth epoch, or at the 0-based epochs of a list.
            stream: where to print; None: standard output.

        Raises:
            DataError: no data set, or one that does not tell its size.
            ConfigurationError: labels that are no names, that are there twice, or more than classes; a metric
                without a value for each label.
        """
        super().__init__(epoch_freq=epoch_freq)
        check_evaluation_set(eval_set, "eval_set")
        check_metric(metric)
        self.eval_set = eval_set
        self.labels = _checked_labels(labels)
        self.metric = metric
        self._stream = stream
        if getattr(metric, "outputs", None) is None:
            raise ConfigurationError(
                f"{type(metric).__name__} has no `outputs`, (classes, values), where a metric leaves its "
                "values for each label. PrecisionRecall has; MetricCallback takes any metric."
            )
        self._check_table(host_array(metric.outputs))
        self._names = [
            keys.Numbered(keys.label_metric(name, str(label)))
            for label in self.labels
            for name in metric.metric_names
        ]
        self.writes = self._names
        self._series = EpochSeries(self._names, epoch_freq)
        self._has_told = False

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        register(self, self._request())  # first, for other ranks go on with it where the rest fails here
        if not is_shared_out(self):
            check_not_empty(self.eval_set, "eval_set")
        self._series = EpochSeries(self._names, self.epoch_freq)
        self._series.create(callback_data, epochs, directions_of(self.metric) * len(self.labels))
        self._has_told = False

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        values: LabelValues = evaluated(self, model, self._request(), epoch)
        self._check_table(values.table)
        self._tell_of_parts(values.parts)
        table = values.table[: len(self.labels)]
        self._series.write(callback_data, epoch, table.reshape(-1))
        if is_first_rank(self):
            self._print(table)

    def _request(self) -> Request:
        return Request(self.eval_set, LabelTally, self.metric)

    def _check_table(self, table: Array) -> None:
        """Refuse values that do not give each label a row, and each name a column."""
        names = list(self.metric.metric_names)
        if table.ndim != 2 or table.shape[1] != len(names):
            raise ConfigurationError(
                f"{type(self.metric).__name__}.outputs has shape {table.shape}, expected (classes, "
                f"{len(names)}): for each label {' and '.join(names)}"
            )
        if len(self.labels) > len(table):
            raise ConfigurationError(
                f"{len(self.labels)} labels, but {type(self.metric).__name__} has values of {len(table)} "
                "classes. Give at most one label a class, or the metric as many classes."
            )

    def _tell_of_parts(self, parts: int) -> None:
        if parts > 1 and not self._has_told and is_first_rank(self):
            self._has_told = True
            _logger.warning(
                "values of labels are means over %d parts of the evaluation set, not those of the whole: "
                "it is too large to be gathered, on a device, or shared out to ranks",
                parts,
            )

    def _print(self, table: Array) -> None:
        """Print a line for each label; a stream that fails is told of, for the values are in the archive."""
        stream = sys.stdout if self._stream is None else self._stream
        if stream is None:  # under pythonw there is no standard output
            return
        names = self.metric.metric_names
        try:
            stream.write("".join(map(_line, self.labels, table, itertools.repeat(names))))
            stream.flush()
        except (OSError, ValueError) as error:
            run = joined_run(self)
            if run is None:
                raise
            run.report(f"values of labels cannot be printed: {error}. Training goes on.")


def _checked_labels(labels: Iterable[object]) -> list[object]:
    """Return the labels as a list.

    Raises:
        ConfigurationError: text instead of a list, no label, one without a name, or two of one name.
    """
    if isinstance(labels, str) or not hasattr(labels, "__iter__"):
        raise ConfigurationError(f"labels={labels!r}: expected a list with the name of each class")
    names = list(labels)
    if not names or not all(str(name) for name in names):
        raise ConfigurationError(f"labels={names!r}: expected one or more names, none of them empty")
    twice = [name for name, times in Counter(map(str, names)).items() if times > 1]
    if twice:
        raise ConfigurationError(
            f"labels={names!r}: {twice[0]!r} is there twice; give each class its own name"
        )
    return names


def _line(label: object, values: Array, names: Iterable[str]) -> str:
    """Return neon's line for one label."""
    shares = [f"{name}: {_percent(value)}% " for name, value in zip(names, values, strict=True)]
    return f"[{''.join(shares)}] -> {label}\n"


def _percent(value: float) -> str:
    """Return a share in percent, cut off as neon does; "nan" and "inf" where there is no number."""
    return str(int(value * 100)) if math.isfinite(value) else str(value)
