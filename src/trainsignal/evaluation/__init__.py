"""Evaluating: one pass over a data set serves every loss and metric that is due on it.

From top to bottom, each knowing of those below:

shared          what the callbacks of a run evaluate, and when
exchange        over the ranks of a run
stretches       who finds the same model at an epoch's end
passes          one pass for several requests
pair_metrics, pairs, tallies    what is computed; kinds: what a tally is
inputs, minibatches, contents   what is read, and left as it was
metrics, checks, series         names, refusals, rows
"""

from trainsignal.evaluation.checks import check_evaluable
from trainsignal.evaluation.contents import as_before, host_array
from trainsignal.evaluation.exchange import Exchange
from trainsignal.evaluation.kinds import Tally
from trainsignal.evaluation.metrics import (
    check_metric,
    check_values,
    directions_of,
    is_mean_of_ranks,
    names_of,
)
from trainsignal.evaluation.minibatches import (
    Minibatch,
    check_evaluation_set,
    check_is_dataset,
    check_not_empty,
    from_first_sample,
    minibatches,
)
from trainsignal.evaluation.pair_metrics import check_mergeable
from trainsignal.evaluation.pairs import pair_minibatches
from trainsignal.evaluation.passes import Outcome, Request, evaluate
from trainsignal.evaluation.series import EpochSeries
from trainsignal.evaluation.shared import Evaluations, evaluated, is_shared_out, register
from trainsignal.evaluation.tallies import CostTally, LabelTally, LabelValues, MetricTally

__all__ = [
    "CostTally",
    "EpochSeries",
    "Evaluations",
    "Exchange",
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
    "check_mergeable",
    "check_metric",
    "check_not_empty",
    "check_values",
    "directions_of",
    "evaluate",
    "evaluated",
    "from_first_sample",
    "host_array",
    "is_mean_of_ranks",
    "is_shared_out",
    "minibatches",
    "names_of",
    "pair_minibatches",
    "register",
]
