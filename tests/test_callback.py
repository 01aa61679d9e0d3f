from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

from tests.support.events import BareModel, Journalist, container, drive
from trainsignal import Callback, Callbacks, SharedData
from trainsignal.callback import HOOKS, Hook, has_own_gate
from trainsignal.errors import FrequencyError, RunStateError
from trainsignal.frequency import Frequency
from trainsignal.run_link import run_of

HOOK_OF = {hook.method: hook for hook in HOOKS}


class Counting(Callback):
    """Sets attributes before its base class is initialised, as neon's callbacks do."""

    def __init__(self) -> None:
        self.model = "mine"
        self.metric = "mine"
        super().__init__(epoch_freq=2, minibatch_freq=[1])
        self.reset = self.states = "mine"


class Uninitialised(Callback):
    def __init__(self) -> None: ...


def test_a_callback_fires_always_unless_told_otherwise() -> None:
    assert (Callback().epoch_freq, Callback().minibatch_freq) == (1, 1)
    assert (Uninitialised().epoch_freq, Uninitialised().minibatch_freq) == (1, 1)


def test_frequencies_are_neons_two_arguments_in_neons_order() -> None:
    callback = Callback(2, [0, 3])

    assert (callback.epoch_freq, callback.minibatch_freq) == (2, [0, 3])


def test_no_name_but_neons_is_reserved_on_an_instance() -> None:
    callback = Counting()

    drive(container(callback), [2])

    assert (callback.model, callback.metric, callback.reset, callback.states) == ("mine",) * 4


def test_a_frequency_attribute_of_the_class_shows_itself() -> None:
    assert Callback.epoch_freq is vars(Callback)["epoch_freq"]


def test_a_refused_frequency_leaves_the_old_one() -> None:
    callback = Callback(epoch_freq=3)

    with pytest.raises(FrequencyError, match=r"Callback\.epoch_freq=0"):
        callback.epoch_freq = 0

    assert callback.epoch_freq == 3


@pytest.mark.parametrize(
    ("freq", "fired"),
    [(1, [0, 1, 2, 3]), (2, [1, 3]), ([0, 3], [0, 3]), (None, []), (np.int64(4), [3])],
    ids=str,
)
def test_should_fire_is_neons_rule_for_the_frequency_that_it_is_given(
    freq: Frequency, fired: list[int]
) -> None:
    callback, data = Callback(epoch_freq=None, minibatch_freq=None), SharedData()

    assert [time for time in range(4) if callback.should_fire(data, BareModel(), time, freq)] == fired


def test_the_hooks_of_the_base_class_do_nothing_and_take_neons_arguments() -> None:
    callback, data = Callback(), SharedData()

    callback.on_train_begin(data, None, 1)
    callback.on_epoch_begin(data, None, 0)
    callback.on_minibatch_begin(data, None, 0, 0)
    callback.on_minibatch_end(data, None, 0, 0)
    callback.on_epoch_end(data, None, 0)
    callback.on_train_end(data, None)
    callback.on_run_closed(data, None, "completed", None)

    assert list(data) == []


# Hooks.


def test_a_hook_is_overridden_by_the_class_a_base_class_or_the_instance() -> None:
    class Derived(Journalist):
        pass

    on_instance = Callback()
    vars(on_instance)["on_train_end"] = print
    overriding = {name for name, hook in HOOK_OF.items() if hook.is_overridden(Derived("a", []))}

    assert overriding == {"on_epoch_begin", "on_epoch_end", "on_minibatch_begin", "on_minibatch_end"}
    assert not any(hook.is_overridden(Callback()) for hook in HOOKS)
    assert HOOK_OF["on_train_end"].is_overridden(on_instance)


def test_only_epoch_and_minibatch_hooks_have_a_frequency() -> None:
    gates = {hook.signal: hook.frequency for hook in HOOKS if hook.frequency is not None}

    assert gates == {
        "epoch_begin": "epoch_freq",
        "epoch_end": "epoch_freq",
        "minibatch_begin": "minibatch_freq",
        "minibatch_end": "minibatch_freq",
    }


class OwnRule(Callback):
    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        return True


class ClassLevel(Callback):
    minibatch_freq = 3  # as neon's users write it


def test_a_callback_has_its_own_gate_by_a_rule_or_by_a_class_attribute() -> None:
    on_instance = Callback()
    vars(on_instance)["should_fire"] = lambda *arguments: True

    assert has_own_gate(OwnRule(), Hook.EPOCH)
    assert has_own_gate(on_instance, Hook.EPOCH)
    assert has_own_gate(ClassLevel(), Hook.MINIBATCH)
    assert not has_own_gate(ClassLevel(), Hook.EPOCH)
    assert not has_own_gate(Counting(), Hook.MINIBATCH)


# Its run.


def test_outside_a_run_a_callback_cannot_ask_for_a_stop() -> None:
    with pytest.raises(
        RunStateError, match="Callback takes part in no run now: add it to a Callbacks object"
    ):
        Callback().request_stop("enough")


class Stopper(Callback):
    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        if minibatch == 2:
            self.request_stop("enough")


def test_in_a_run_its_vote_carries_the_reason_its_class_and_the_position() -> None:
    callbacks = container(Stopper())

    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)
    for minibatch in range(3):
        callbacks.on_minibatch_begin(0, minibatch)
        callbacks.on_minibatch_end(0, minibatch)

    (vote,) = callbacks.run.votes
    assert (vote.reason, vote.author, vote.at, vote.epoch) == ("enough", "Stopper", "minibatch", 0)
    assert callbacks.should_stop()


def test_after_the_run_it_takes_part_in_none_and_may_serve_another() -> None:
    stopper = Stopper()
    first, second = container(stopper), container(stopper)
    drive(first, [2])

    with pytest.raises(RunStateError):
        run_of(stopper)
    second.on_train_begin(1)
    assert run_of(stopper) is second.run


def test_copying_and_pickling_a_callback_leave_its_run_behind() -> None:
    callback = Counting()
    container(callback).on_train_begin(1)

    for other in (copy.copy(callback), copy.deepcopy(callback), pickle.loads(pickle.dumps(callback))):
        assert (other.model, other.epoch_freq, other.minibatch_freq) == ("mine", 2, [1])
        with pytest.raises(RunStateError):
            run_of(other)


# neon's cached loss.


class CostModel:
    """A model with a cost function, named as neon names it."""

    class cost:
        class CrossEntropyMulti:
            pass

        costfunc = CrossEntropyMulti()


class Reader(Callback):
    """Reads the loss as neon's callbacks do: with the protected method."""

    def cached(
        self, data: Any, epoch: int, label: str = "loss", model: object = None
    ) -> dict[str, Any] | None:
        return self._get_cached_epoch_loss(data, CostModel() if model is None else model, epoch, label)


def archive(frequency: int | list[int], label: str = "loss") -> SharedData:
    data = SharedData()
    losses = np.array([0.5, 0.25, 0.125], dtype=np.float32)
    data[f"cost/{label}"] = losses
    data[f"time/{label}"] = 2 * losses
    data[f"cost/{label}"].attrs["epochs" if isinstance(frequency, list) else "epoch_freq"] = frequency
    return data


def test_the_cached_loss_holds_cost_time_and_name_of_the_cost_function() -> None:
    cached = Reader().cached(archive(1), 1)

    assert cached == {"cost": 0.25, "time": 0.5, "costnm": "CrossEntropyMulti"}
    assert cached["cost"].dtype == np.float32


@pytest.mark.parametrize(
    ("frequency", "costs"),
    [
        (1, {0: 0.5, 1: 0.25, 2: 0.125}),
        (2, {1: 0.5, 3: 0.25, 5: 0.125}),
        ([4, 0, 5], {4: 0.5, 0: 0.25, 5: 0.125}),
    ],
    ids=str,
)
def test_the_cached_loss_is_there_at_the_epochs_at_which_it_was_evaluated(
    frequency: int | list[int], costs: dict[int, float]
) -> None:
    data = archive(frequency)

    found = {epoch: Reader().cached(data, epoch) for epoch in range(6 if frequency != 1 else 3)}

    assert {epoch: cached["cost"] for epoch, cached in found.items() if cached is not None} == costs


def test_a_loss_of_another_label_is_found_by_it() -> None:
    cached = Reader().cached(archive(1, "validation"), 0, "validation")

    assert cached is not None and cached["cost"] == 0.5
    assert Reader().cached(archive(1), 0, "validation") is None


def test_without_a_cost_function_the_name_is_empty_and_a_given_one_is_kept() -> None:
    reader, named = Reader(), Reader()
    named.costnm = "Mine"

    nameless = reader.cached(archive(1), 0, model=BareModel())
    kept = named.cached(archive(1), 0)

    assert nameless is not None and nameless["costnm"] == ""
    assert kept is not None and kept["costnm"] == "Mine"


def test_an_epoch_that_its_writer_has_not_reached_has_no_cached_loss() -> None:
    data = archive(2)

    assert Reader().cached(data, 5) is not None
    assert Reader().cached(data, 7) is None


def test_a_writer_that_tells_no_times_leaves_the_time_unknown() -> None:
    data = archive(1)
    del data["time/loss"]

    cached = Reader().cached(data, 0)

    assert cached is not None and cached["cost"] == 0.5
    assert np.isnan(cached["time"])


def test_a_callback_that_never_called_the_base_class_serves_a_run() -> None:
    journal: list[int] = []

    class Silent(Uninitialised):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            journal.append(epoch)

    callbacks: Callbacks = container(Silent())
    drive(callbacks, [1, 1])

    assert journal == [0, 1]
