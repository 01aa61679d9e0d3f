"""Whether a model can be evaluated on a data set, asked before the first epoch."""

from __future__ import annotations

from typing import Any

from trainsignal.abilities import EvaluatesPairs
from trainsignal.evaluation.minibatches import check_evaluation_set, check_not_empty
from trainsignal.evaluation.pairs import check_pair_model
from trainsignal.frameworks import wrapper_hint


def check_evaluable(
    model: Any, dataset: Any, name: str, *, needs_loss: bool = False, is_part: bool = False
) -> None:
    """Refuse a data set that this model cannot be evaluated on.

    Args:
        model: what the callbacks are given.
        dataset: what was given.
        name: of the argument, for the message.
        needs_loss: whether the model's loss is asked for.
        is_part: whether it is one rank's part of a set, which may be empty.

    Raises:
        DataError: a model with neon's layout needs to know the size of the set; or it is empty.
        MissingAbilityError: the model of a framework was not told its loss.
    """
    if isinstance(model, EvaluatesPairs):
        check_pair_model(model, needs_loss=needs_loss)
    elif not wrapper_hint(model):  # else it is said, before the run, that the model needs a wrapper
        check_evaluation_set(dataset, name)
    if not is_part:
        check_not_empty(dataset, name)
