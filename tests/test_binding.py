from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import frequencies, naive_fires
from trainsignal import Bus, Callback, Callbacks, keys
from trainsignal.binding import Choice, HookReceiver, Member, bind, members
from trainsignal.bus import Band
from trainsignal.callback import HOOKS

DATA, RUN, MODEL = object(), object(), object()

PAYLOADS: dict[str, dict[str, Any]] = {
    "train_begin": {"epochs": 7},
    "epoch_begin": {"epoch": 3},
    "minibatch_begin": {"epoch": 3, "minibatch": 5},
    "minibatch_end": {"epoch": 3, "minibatch": 5},
    "epoch_end": {"epoch": 3},
    "train_end": {},
    "run_closed": {"reason": "failed", "error": None},
}


class Everything(Callback):
    """Keeps the positional arguments of each hook."""

    def __init__(self, journal: list[tuple[Any, ...]], name: str = "it", epoch_freq: Any = 1) -> None:
        super().__init__(epoch_freq=epoch_freq)
        self.journal = journal
        self.name = name

    def on_train_begin(self, *arguments: Any) -> None:
        self.journal.append((self.name, "train_begin", *arguments))

    def on_epoch_begin(self, *arguments: Any) -> None:
        self.journal.append((self.name, "epoch_begin", *arguments))

    def on_minibatch_begin(self, *arguments: Any) -> None:
        self.journal.append((self.name, "minibatch_begin", *arguments))

    def on_minibatch_end(self, *arguments: Any) -> None:
        self.journal.append((self.name, "minibatch_end", *arguments))

    def on_epoch_end(self, *arguments: Any) -> None:
        self.journal.append((self.name, "epoch_end", *arguments))

    def on_train_end(self, *arguments: Any) -> None:
        self.journal.append((self.name, "train_end", *arguments))

    def on_run_closed(self, *arguments: Any) -> None:
        self.journal.append((self.name, "run_closed", *arguments))


def bus_with_data() -> Bus:
    bus = Bus()
    bus.common.update(callback_data=DATA, run=RUN)
    return bus


def publish_all(bus: Bus) -> None:
    for name, payload in PAYLOADS.items():
        bus.publish(bus.signal(name), MODEL, **payload)


def test_each_publication_becomes_neons_positional_call() -> None:
    journal: list[tuple[Any, ...]] = []
    bus = bus_with_data()
    bind([Member(Everything(journal), "it")], bus)

    publish_all(bus)

    assert journal == [
        ("it", "train_begin", DATA, MODEL, 7),
        ("it", "epoch_begin", DATA, MODEL, 3),
        ("it", "minibatch_begin", DATA, MODEL, 3, 5),
        ("it", "minibatch_end", DATA, MODEL, 3, 5),
        ("it", "epoch_end", DATA, MODEL, 3),
        ("it", "train_end", DATA, MODEL),
        ("it", "run_closed", DATA, MODEL, "failed", None),
    ]


def test_hooks_run_in_the_order_of_the_members_and_the_last_one_in_reverse() -> None:
    journal: list[tuple[Any, ...]] = []
    bus = bus_with_data()
    bind((Member(Everything(journal, name), name) for name in ("a", "b", "c")), bus)

    publish_all(bus)

    for signal in PAYLOADS:
        order = [who for who, heard, *_ in journal if heard == signal]
        assert order == (["c", "b", "a"] if signal == "run_closed" else ["a", "b", "c"])


def test_a_hook_that_is_not_overridden_is_not_connected() -> None:
    class AtEnds(Callback):
        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None: ...

    bus = bus_with_data()

    bound = bind([Member(AtEnds(), "a"), Member(Callback(), "b")], bus)

    assert [(one.name, one.hook.signal) for one in bound] == [("a", "epoch_end")]
    assert [signal.name for signal in bus if signal.receivers] == ["epoch_end"]
    assert bus.epoch_end.receivers_in(Band.CALLBACKS) == bound


def test_disconnecting_what_was_bound_undoes_it() -> None:
    bus = bus_with_data()

    for receiver in bind([Member(Everything([]), "it")], bus):
        receiver.disconnect()

    assert not any(signal.receivers for signal in bus)


@given(frequencies, st.integers(0, 40))
def test_an_epoch_hook_fires_at_its_frequency(frequency: Any, epoch: int) -> None:
    journal: list[tuple[Any, ...]] = []
    bus = bus_with_data()
    bind([Member(Everything(journal, epoch_freq=frequency), "it")], bus)

    bus.publish(bus.epoch_end, MODEL, epoch=epoch)

    assert bool(journal) == naive_fires(frequency, epoch)


def test_hooks_without_a_frequency_fire_also_for_a_callback_that_never_fires() -> None:
    journal: list[tuple[Any, ...]] = []
    callback = Everything(journal, epoch_freq=None)
    callback.minibatch_freq = None
    bus = bus_with_data()
    bind([Member(callback, "it")], bus)

    publish_all(bus)

    assert [heard for _, heard, *_ in journal] == ["train_begin", "train_end", "run_closed"]


def test_a_frequency_that_is_changed_later_counts_at_once() -> None:
    journal: list[tuple[Any, ...]] = []
    callback = Everything(journal, epoch_freq=None)
    bus = bus_with_data()
    bind([Member(callback, "it")], bus)

    callback.epoch_freq = [3]
    bus.publish(bus.epoch_end, MODEL, epoch=3)

    assert len(journal) == 1


def test_a_rule_of_its_own_is_asked_with_neons_arguments_and_decides() -> None:
    asked: list[tuple[Any, ...]] = []
    journal: list[tuple[Any, ...]] = []

    class Picky(Everything):
        def should_fire(self, *arguments: Any) -> Any:
            asked.append(arguments)
            return np.array(arguments[2] == 5)  # any truth will do

    callback = Picky(journal, epoch_freq=2)
    callback.minibatch_freq = [0]
    bus = bus_with_data()
    bind([Member(callback, "it")], bus)

    publish_all(bus)

    assert asked == [(DATA, MODEL, 3, 2), (DATA, MODEL, 5, [0]), (DATA, MODEL, 5, [0]), (DATA, MODEL, 3, 2)]
    assert [heard for _, heard, *_ in journal] == [
        "train_begin", "minibatch_begin", "minibatch_end", "train_end", "run_closed"
    ]  # fmt: skip


def test_only_a_plain_frequency_can_be_looked_at_beforehand() -> None:
    class Ruled(Everything):
        def should_fire(self, *arguments: Any) -> bool:
            return True

    plain = {one.hook.signal: one.is_plain for one in bind([Member(Everything([]), "a")], bus_with_data())}
    ruled = {one.hook.signal: one.is_plain for one in bind([Member(Ruled([]), "a")], bus_with_data())}

    assert all(plain.values())
    assert {signal for signal, is_plain in ruled.items() if is_plain} == {
        "train_begin",
        "train_end",
        "run_closed",
    }


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.signal)
def test_a_receivers_frequency_is_that_of_its_callback_and_1_where_it_has_none(hook: Any) -> None:
    callback = Everything([], epoch_freq=4)
    callback.minibatch_freq = 6
    (receiver,) = [one for one in bind([Member(callback, "it")], bus_with_data()) if one.hook is hook]

    assert receiver.frequency == {None: 1, "epoch_freq": 4, "minibatch_freq": 6}[hook.frequency]


# Errors.


class Failing(Everything):
    def on_epoch_end(self, *arguments: Any) -> None:
        super().on_epoch_end(*arguments)
        raise ValueError("boom")


def test_an_error_names_the_member_the_signal_and_the_position() -> None:
    bus = bus_with_data()
    bind([Member(Failing([]), "EarlyStop (2)")], bus)

    with pytest.raises(ValueError, match="boom") as caught:
        bus.publish(bus.epoch_end, MODEL, epoch=3)

    assert caught.value.__notes__ == ["while EarlyStop (2) handled epoch_end, epoch 3"]


def test_an_error_of_a_rule_is_treated_as_one_of_the_hook() -> None:
    class Picky(Everything):
        def should_fire(self, *arguments: Any) -> bool:
            raise KeyError("rule")

    bus = bus_with_data()
    bind([Member(Picky([]), "Picky")], bus)

    with pytest.raises(KeyError) as caught:
        bus.publish(bus.epoch_end, MODEL, epoch=3)

    assert caught.value.__notes__ == ["while Picky handled epoch_end, epoch 3"]


@pytest.mark.parametrize(("policy", "calls", "others"), [("log", 2, 2), ("disable", 1, 0)])
def test_a_logged_error_stops_nobody_and_a_disabled_callback_stays_away(
    policy: Any, calls: int, others: int, caplog: pytest.LogCaptureFixture
) -> None:
    journal: list[tuple[Any, ...]] = []
    bus = bus_with_data()
    bind([Member(Failing(journal, "a"), "a", policy), Member(Everything(journal, "b"), "b")], bus)

    for epoch in range(2):
        bus.publish(bus.epoch_end, MODEL, epoch=epoch)
        bus.publish(bus.epoch_begin, MODEL, epoch=epoch)

    heard = [(who, signal) for who, signal, *_ in journal]
    assert heard.count(("a", "epoch_end")) == len(caplog.records) == calls
    assert heard.count(("a", "epoch_begin")) == others
    assert heard.count(("b", "epoch_end")) == 2


# Binding anew.


def test_binding_anew_keeps_the_receivers_of_those_that_stay_and_takes_over_new_choices() -> None:
    bus = bus_with_data()
    staying, leaving, coming = (Everything([], name) for name in ("stays", "leaves", "comes"))
    before = bind([Member(leaving, "leaves"), Member(staying, "stays")], bus)
    for receiver in before:
        receiver.disconnect()

    after = bind([Member(coming, "comes"), Member(staying, "renamed", "log")], bus, before)

    kept = [one for one in after if one in before]
    assert [one.member.callback for one in kept] == [staying] * len(HOOKS)
    assert {(one.name, one.on_error) for one in kept} == {("renamed", "log")}
    assert [one.name for one in after if one not in before] == ["comes"] * len(HOOKS)
    assert [one.name for one in _receivers(bus)] == ["comes", "renamed"]


def test_binding_anew_a_callback_that_was_added_twice_keeps_both() -> None:
    bus = bus_with_data()
    callback = Everything([])
    members = [Member(callback, "it"), Member(callback, "it")]
    before = bind(members, bus)
    for receiver in before:
        receiver.disconnect()

    after = bind(members, bus, before)

    assert after == before
    assert len(_receivers(bus)) == 2


def _receivers(bus: Bus) -> list[HookReceiver]:
    return [one for one in bus.epoch_end.receivers_in(Band.CALLBACKS) if isinstance(one, HookReceiver)]


# Names.


class Loss(Callback):
    pass


class Metric(Callback):
    pass


def names_of(callbacks: list[Callback], chosen: list[str | None]) -> list[str]:
    choices = {
        id(one): Choice(one, name, None)
        for one, name in zip(callbacks, chosen, strict=True)
        if name is not None
    }
    return [member.name for member in members(callbacks, callbacks, choices, "raise")]


def test_members_are_named_by_their_class_and_numbered_where_two_would_share_it() -> None:
    callbacks = [Loss(), Metric(), Loss(), Loss()]

    assert names_of(callbacks, [None] * 4) == ["Loss", "Metric", "Loss (2)", "Loss (3)"]


def test_a_chosen_name_is_taken_and_numbered_like_the_others() -> None:
    assert names_of([Loss(), Loss(), Metric()], ["valid", None, "valid"]) == ["valid", "Loss", "valid (2)"]


@given(st.lists(st.sampled_from(["a", "a (2)", "a (3)", "b"]), max_size=8))
def test_names_are_unique_whatever_was_chosen(chosen: list[str]) -> None:
    names = names_of([Callback() for _ in chosen], [*chosen])

    assert len(set(names)) == len(chosen)
    assert all(name.startswith(one) for name, one in zip(names, chosen, strict=True))


def test_numbers_follow_the_order_in_which_callbacks_were_added() -> None:
    first, second = Loss(), Loss()

    reversed_members = members([second, first], [first, second], {}, "raise")

    assert [member.name for member in reversed_members] == ["Loss (2)", "Loss"]


def test_the_policy_is_the_chosen_one_or_that_for_all() -> None:
    callbacks = [Loss(), Metric()]
    choices = {id(callbacks[0]): Choice(callbacks[0], None, "disable")}

    assert [one.on_error for one in members(callbacks, callbacks, choices, "log")] == ["disable", "log"]


class FailsAtMinibatches(Callback):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    def on_minibatch_end(self, callback_data: object, model: object, epoch: int, minibatch: int) -> None:
        self.calls.append("minibatch_end")
        raise ValueError("no disk")

    def on_epoch_end(self, callback_data: object, model: object, epoch: int) -> None:
        self.calls.append("epoch_end")

    def on_run_closed(self, callback_data: object, model: object, reason: object, error: object) -> None:
        self.calls.append("run_closed")


def test_disabled_callback_is_not_called_again_but_to_clean_up() -> None:
    failing = FailsAtMinibatches()
    callbacks = Callbacks(object(), progress_bar=False)
    callbacks.callbacks = []
    callbacks.add_callback(failing, on_error="disable")

    with callbacks.training(epochs=2) as run:
        for epoch in run.epochs():
            for _ in run.minibatches(range(3)):
                if epoch == 1:
                    callbacks.add_callback(Callback())  # wiring anew does not revive it

    assert failing.calls == ["minibatch_end", "run_closed"]


def test_callback_that_saves_the_run_comes_after_the_handlers_but_cleans_up_before_them() -> None:
    class Saving(Everything):
        optional_reads = (keys.RUN_STATE,)

    journal: list[tuple[Any, ...]] = []
    bus = bus_with_data()
    bind([Member(Everything(journal, "other"), "other"), Member(Saving(journal, "saving"), "saving")], bus)
    for name in PAYLOADS:
        bus.subscribe(name, lambda: journal.append(("handler",)))

    publish_all(bus)

    orders = [[entry[0] for entry in journal[start : start + 3]] for start in range(0, len(journal), 3)]
    assert orders == [["other", "handler", "saving"]] * 6 + [["saving", "other", "handler"]]
