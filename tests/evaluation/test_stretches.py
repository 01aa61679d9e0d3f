from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.runs import quiet
from trainsignal import Callback, keys
from trainsignal.evaluation.stretches import stretches


class Trusted(Callback):
    """One that declares something."""

    writes: Any = ()

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        pass


class Changer(Trusted):
    """One that may change the model."""

    writes = (keys.MODEL,)


class Late(Trusted):
    """One that runs after the handlers."""

    optional_reads = (keys.RUN_STATE,)


class Gated(Trusted):
    """One that decides by itself when it fires."""

    def should_fire(self, *_: Any) -> bool:
        return False


class GatedChanger(Changer, Gated):
    """One that decides by itself when it changes the model."""

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        pass


def words(callbacks: Sequence[Callback], epoch: int = 0) -> list[str]:
    """Return the stretches, each as the first letters of its classes."""
    made = quiet()
    made.callbacks = list(callbacks)
    made.on_train_begin(2)
    receivers = [one for one in made._bound if one.hook.method == "on_epoch_end"]
    found = ["".join(type(one).__name__[0] for one in stretch) for stretch in stretches(receivers, epoch)]
    made.on_train_end()
    return found


@pytest.mark.parametrize("kinds, expected", [
    ([], [""]),
    ([Trusted, Trusted], ["TT"]),
    ([Trusted, Changer, Trusted, Trusted], ["T", "C", "TT"]),
    ([Changer, Changer], ["", "C", "", "C", ""]),
    ([Trusted, Gated, Trusted], ["TT"]),
    ([Trusted, GatedChanger, Trusted], ["T", "", "T"]),
    ([Trusted, Late, Late], ["T", "L", "L"]),
], ids=repr)  # fmt: skip
def test_stretches_end_where_the_model_may_change(kinds: list[type[Callback]], expected: list[str]) -> None:
    assert words([kind() for kind in kinds]) == expected


def test_callbacks_that_do_not_fire_are_in_none_and_part_none() -> None:
    callbacks = [Trusted(), Changer(epoch_freq=2), Trusted(epoch_freq=[1]), Trusted()]
    assert words(callbacks) == ["TT"]
    assert words(callbacks, epoch=1) == ["T", "C", "TT"]


def test_frequency_of_one_that_decides_by_itself_does_not_count() -> None:
    assert words([Trusted(), GatedChanger(epoch_freq=2), Trusted()]) == ["T", "", "T"]


def test_callback_that_was_disabled_on_this_rank_still_counts() -> None:
    made = quiet()
    made.callbacks = [Trusted(), Changer(), Trusted()]
    made.on_train_begin(1)
    receivers = [one for one in made._bound if one.hook.method == "on_epoch_end"]
    for receiver in receivers:
        receiver.is_disabled = True
    assert [len(stretch) for stretch in stretches(receivers, 0)] == [1, 1, 1]
    made.on_train_end()
