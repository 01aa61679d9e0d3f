"""Evaluating: one pass over a data set serves every loss and metric that is due on it."""

from trainsignal.evaluation.contents import as_before, host_array
from trainsignal.evaluation.metrics import check_metric, directions_of
from trainsignal.evaluation.minibatches import (
    Minibatch,
    check_evaluation_set,
    from_first_sample,
    minibatches,
)
from trainsignal.evaluation.passes import Outcome, Request, evaluate
from trainsignal.evaluation.series import EpochSeries
from trainsignal.evaluation.shared import Evaluations, evaluated, register
from trainsignal.evaluation.tallies import CostTally, LabelTally, LabelValues, MetricTally, Tally

__all__ = [
    "CostTally",
    "EpochSeries",
    "Evaluations",
    "LabelTally",
    "LabelValues",
    "MetricTally",
    "Minibatch",
    "Outcome",
    "Request",
    "Tally",
    "as_before",
    "check_evaluation_set",
    "check_metric",
    "directions_of",
    "evaluate",
    "evaluated",
    "from_first_sample",
    "host_array",
    "minibatches",
    "register",
]
