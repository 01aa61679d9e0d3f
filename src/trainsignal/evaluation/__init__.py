"""Evaluating: one pass over a data set serves every loss and metric that is due on it."""

from trainsignal.evaluation.contents import as_before, host_array
from trainsignal.evaluation.metrics import check_metric, directions_of, names_of
from trainsignal.evaluation.minibatches import (
    Minibatch,
    check_evaluation_set,
    check_is_dataset,
    from_first_sample,
    minibatches,
)
from trainsignal.evaluation.pairs import pair_minibatches
from trainsignal.evaluation.passes import Outcome, Request, evaluate
from trainsignal.evaluation.series import EpochSeries
from trainsignal.evaluation.shared import Evaluations, check_evaluable, evaluated, register
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
    "check_evaluable",
    "check_evaluation_set",
    "check_is_dataset",
    "check_metric",
    "directions_of",
    "evaluate",
    "evaluated",
    "from_first_sample",
    "host_array",
    "minibatches",
    "names_of",
    "pair_minibatches",
    "register",
]
