from __future__ import annotations

import pytest

from tests.support.evaluating import Batches, Scaling
from tests.support.pairs import PairModel, PairModelWithLoss, batch
from trainsignal.errors import DataError, MissingAbilityError
from trainsignal.evaluation import check_evaluable


def test_model_of_a_framework_needs_no_size_of_the_set() -> None:
    check_evaluable(PairModelWithLoss(), [batch(1.0)], "eval_set", needs_loss=True)
    check_evaluable(PairModel(), [batch(1.0)], "eval_set")
    with pytest.raises(MissingAbilityError, match="which was not given"):
        check_evaluable(PairModel(), [batch(1.0)], "eval_set", needs_loss=True)


def test_model_with_neons_layout_needs_the_size_of_the_set() -> None:
    check_evaluable(Scaling(), Batches(3, [1, 2], [6, 100]), "eval_set", needs_loss=True)
    with pytest.raises(DataError, match="list does not tell its size"):
        check_evaluable(Scaling(), [1], "eval_set")


def test_raw_model_of_a_framework_is_left_to_the_message_that_names_its_wrapper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trainsignal.evaluation.checks.wrapper_hint", lambda model: " Wrap it")
    check_evaluable(object(), [1], "eval_set", needs_loss=True)


@pytest.mark.parametrize("model", [Scaling(), PairModelWithLoss()], ids=["columns", "pairs"])
def test_empty_set_is_refused_unless_it_is_one_ranks_part(model: object) -> None:
    with pytest.raises(DataError, match="eval_set: Batches is empty"):
        check_evaluable(model, Batches(0), "eval_set")
    check_evaluable(model, Batches(0), "eval_set", is_part=True)
