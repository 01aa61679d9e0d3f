from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.events import (
    WARM_UP,
    BareModel,
    Event,
    Journalist,
    container,
    drive,
    drive_epochs,
    fails_at,
)
from trainsignal import Bus, Callback
from trainsignal.errors import RunStateError
from trainsignal.hot_path import HotPath


class OwnRule(Journalist):
    """Fires by a rule of its own."""

    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        return True


def at(*moment: object, do: Callable[[], object]) -> Callable[[Event], None]:
    def act(event: Event) -> None:
        if event[1:] == moment:
            do()

    return act


def who_at(journal: list[Event], *moment: object) -> list[object]:
    return [event[0] for event in journal if event[1:] == moment]


@pytest.mark.parametrize("minibatch", [0, 5, WARM_UP, WARM_UP + 3])
def test_a_frequency_that_an_earlier_callback_changes_counts_in_the_same_minibatch(minibatch: int) -> None:
    journal: list[Event] = []
    later = Journalist("later", journal, minibatch_freq=None)
    muffled = Journalist("muffled", journal)

    def change() -> None:
        later.minibatch_freq, muffled.minibatch_freq = 1, None

    earlier = Journalist("earlier", journal, at("minibatch_end", 0, minibatch, do=change))
    drive(container(earlier, muffled, later), [WARM_UP + 10])

    assert who_at(journal, "minibatch_end", 0, minibatch) == ["earlier", "later"]
    assert who_at(journal, "minibatch_end", 0, minibatch + 1) == ["earlier", "later"]
    assert who_at(journal, "minibatch_begin", 0, minibatch) == ["earlier", "muffled"]


def test_a_frequency_that_is_changed_from_outside_counts_from_the_next_call() -> None:
    journal: list[Event] = []
    callback = Journalist("a", journal)
    callbacks = container(callback)
    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)

    for minibatch in range(WARM_UP + 10):
        callback.minibatch_freq = 1 if minibatch % 3 else None
        callbacks.on_minibatch_begin(0, minibatch)

    heard = [event[3] for event in journal if event[1] == "minibatch_begin"]
    assert heard == [minibatch for minibatch in range(WARM_UP + 10) if minibatch % 3]


@pytest.mark.parametrize("minibatch", [2, WARM_UP + 1])
def test_a_callback_that_is_added_amid_a_minibatch_leaves_the_rest_of_it_as_it_was(minibatch: int) -> None:
    journal: list[Event] = []
    added = Journalist("added", journal)
    adder = Journalist("adder", journal, at("minibatch_end", 0, minibatch, do=lambda: add()))
    callbacks = container(adder, Journalist("b", journal), Journalist("c", journal))

    def add() -> None:
        callbacks.add_callback(added, insert_pos=0)

    drive(callbacks, [WARM_UP + 5])

    assert who_at(journal, "minibatch_end", 0, minibatch) == ["adder", "b", "c"]
    assert who_at(journal, "minibatch_end", 0, minibatch + 1) == ["added", "adder", "b", "c"]


def test_a_callback_that_is_added_at_an_epochs_end_leaves_the_rest_of_it_as_it_was() -> None:
    journal: list[Event] = []
    adder = Journalist("adder", journal, at("epoch_end", 0, do=lambda: add()))
    callbacks = container(adder, Journalist("b", journal))

    def add() -> None:
        callbacks.callbacks = [Journalist("added", journal), *callbacks.callbacks]

    drive(callbacks, [1, 1])

    assert who_at(journal, "epoch_end", 0) == ["adder", "b"]
    assert who_at(journal, "epoch_end", 1) == ["added", "adder", "b"]


def test_a_callback_that_is_taken_out_amid_a_minibatch_is_not_called_any_more() -> None:
    journal: list[Event] = []
    leaving = Journalist("leaving", journal)
    remover = Journalist("remover", journal, at("minibatch_end", 0, WARM_UP, do=lambda: remove()))
    callbacks = container(remover, leaving, Journalist("last", journal))

    def remove() -> None:
        callbacks.callbacks = [one for one in callbacks.callbacks if one is not leaving]

    drive(callbacks, [WARM_UP + 2])

    assert who_at(journal, "minibatch_end", 0, WARM_UP) == ["remover", "last"]
    assert who_at(journal, "minibatch_end", 0, WARM_UP + 1) == ["remover", "last"]


@pytest.mark.parametrize("minibatch", [3, WARM_UP + 2])
def test_one_function_as_the_hook_of_two_callbacks_is_called_for_each_once(minibatch: int) -> None:
    heard: list[int] = []
    late = Journalist("late", [], minibatch_freq=2)

    def shared(callback_data: Any, model: Any, epoch: int, at: int) -> None:
        heard.append(at)
        if at == minibatch and heard.count(at) == 2:
            late.minibatch_freq = 1

    first, second = Callback(), Callback()
    for callback in (first, second):
        vars(callback)["on_minibatch_end"] = shared
    drive(container(first, second, late), [WARM_UP + 5])

    assert heard == [at for at in range(WARM_UP + 5) for _ in range(2)]


def test_a_callback_that_was_added_twice_is_called_twice() -> None:
    journal: list[Event] = []
    twice = Journalist("twice", journal)

    drive(container(twice, Journalist("other", journal), twice), [WARM_UP + 5])

    for minibatch in (0, WARM_UP + 4):
        assert who_at(journal, "minibatch_end", 0, minibatch) == ["twice", "other", "twice"]


def test_muting_a_minibatch_signal_silences_callbacks_and_handlers() -> None:
    journal: list[Event] = []
    callbacks = container(Journalist("a", journal))
    callbacks.bus.subscribe(
        "minibatch_end", lambda minibatch: journal.append(("h", "minibatch_end", minibatch))
    )
    callbacks.on_train_begin(3)

    drive_epochs(callbacks, [1])
    with callbacks.bus.minibatch_end.muted():
        drive_epochs(callbacks, [2])

    assert [event for event in journal if event[1] == "minibatch_end"] == [
        ("a", "minibatch_end", 0, 0),
        ("h", "minibatch_end", 0),
    ]


def test_any_receiver_of_the_signal_is_called_with_the_common_payload() -> None:
    heard: list[dict[str, Any]] = []
    callbacks = container(model="the model")
    callbacks.bus.minibatch_end.connect(lambda sender, **payload: heard.append({"sender": sender, **payload}))

    drive(callbacks, [1])

    common = {"callback_data": callbacks.callback_data, "run": callbacks.run}
    assert heard == [{"sender": "the model", "epoch": 0, "minibatch": 0, **common}]


def test_a_weak_receiver_is_called_while_it_lives_and_vanishes_amid_a_minibatch() -> None:
    heard: list[tuple[str, int]] = []
    living: list[Callable[..., None]] = [
        lambda sender, minibatch, **payload: heard.append(("weak", minibatch))
    ]
    callbacks = container()

    def killer(minibatch: int) -> None:
        heard.append(("killer", minibatch))
        if minibatch == WARM_UP:
            living.clear()

    callbacks.bus.subscribe("minibatch_end", killer)
    callbacks.bus.minibatch_end.connect(living[0], weak=True)
    drive(callbacks, [WARM_UP + 2])

    assert heard[-4:] == [
        ("killer", WARM_UP - 1), ("weak", WARM_UP - 1), ("killer", WARM_UP), ("killer", WARM_UP + 1)
    ]  # fmt: skip


def test_a_weak_receiver_that_died_while_python_shuts_down_is_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[int] = []
    dying: list[Callable[..., None]] = [lambda sender, **payload: None]
    callbacks = container()
    callbacks.bus.minibatch_end.connect(dying[0], weak=True)
    callbacks.bus.subscribe("minibatch_end", lambda minibatch: heard.append(minibatch))

    monkeypatch.setattr(sys, "is_finalizing", lambda: True)  # then blinker leaves the dead reference there
    dying.clear()
    drive(callbacks, [2])

    assert heard == [0, 1]


def test_a_receiver_for_another_sender_is_not_called() -> None:
    heard: list[object] = []
    callbacks = container(model="mine")
    callbacks.bus.minibatch_end.connect(lambda sender, **payload: heard.append(sender), sender="mine")
    callbacks.bus.minibatch_end.connect(lambda sender, **payload: heard.append(sender), sender="other")

    drive(callbacks, [2])

    assert heard == ["mine", "mine"]


def test_a_rule_that_is_set_on_the_instance_before_the_run_is_asked() -> None:
    journal: list[Event] = []
    callback = Journalist("a", journal, minibatch_freq=1)
    vars(callback)["should_fire"] = lambda data, model, time, freq: time == 2

    drive(container(callback), [4])

    assert [event[3] for event in journal if event[1] == "minibatch_end"] == [2]


def test_handlers_with_an_interval_are_asked_at_every_minibatch() -> None:
    now = 0.0
    heard: list[int] = []
    callbacks = container()
    callbacks.bus.clock = lambda: now
    callbacks.bus.subscribe("minibatch_end", lambda minibatch: heard.append(minibatch), every="10s")
    callbacks.on_train_begin(1)
    callbacks.on_epoch_begin(0)

    for minibatch in range(WARM_UP + 25):
        now = float(minibatch)
        callbacks.on_minibatch_end(0, minibatch)

    assert heard == list(range(10, WARM_UP + 25, 10))


# Errors.

MOMENTS = pytest.mark.parametrize("minibatch", [1, WARM_UP + 2], ids=["warming up", "plain"])


@MOMENTS
@pytest.mark.parametrize("gate", [1, [1, WARM_UP + 2]], ids=["always", "listed"])
def test_an_error_passes_with_a_note_and_the_rest_of_the_minibatch_does_not_run(
    minibatch: int, gate: Any
) -> None:
    journal: list[Event] = []
    error = ValueError("boom")
    failing = Journalist(
        "b", journal, fails_at("minibatch_end", 0, minibatch, error=error), minibatch_freq=gate
    )
    callbacks = container(Journalist("a", journal), failing, Journalist("c", journal))

    with pytest.raises(ValueError, match="boom") as caught:
        drive(callbacks, [WARM_UP + 5])

    assert caught.value is error
    assert error.__notes__ == [f"while Journalist (2) handled minibatch_end, epoch 0, minibatch {minibatch}"]
    assert journal[-2:] == [(name, "minibatch_end", 0, minibatch) for name in ("a", "b")]
    assert callbacks.run.exit_reason == "failed"


@MOMENTS
@pytest.mark.parametrize("policy", ["log", "disable"])
@pytest.mark.parametrize("kind", [Journalist, OwnRule], ids=["plain", "own rule"])
def test_after_a_logged_failure_the_rest_of_the_minibatch_runs_in_order(
    minibatch: int, policy: Any, kind: type[Journalist], caplog: pytest.LogCaptureFixture
) -> None:
    journal: list[Event] = []
    failing = kind("b", journal, fails_at("minibatch_end", 0, minibatch, error=ValueError("boom")))
    callbacks = container(Journalist("a", journal))
    callbacks.add_callback(failing, on_error=policy, name="Fragile")
    callbacks.add_callback(Journalist("c", journal))
    callbacks.add_callback(Journalist("d", journal, minibatch_freq=[minibatch]))

    drive(callbacks, [WARM_UP + 5])

    assert who_at(journal, "minibatch_end", 0, minibatch) == ["a", "b", "c", "d"]
    assert who_at(journal, "minibatch_end", 0, minibatch + 1) == (
        ["a", "b", "c"] if policy == "log" else ["a", "c"]
    )
    assert who_at(journal, "minibatch_begin", 0, minibatch + 1) == (
        ["a", "b", "c"] if policy == "log" else ["a", "c"]
    )
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith(
        f"Fragile failed at minibatch_end, epoch 0, minibatch {minibatch} and was"
    )
    assert callbacks.run.exit_reason == "completed"


@MOMENTS
def test_an_error_behind_a_changed_frequency_is_not_that_of_the_callback_that_changed_it(
    minibatch: int,
) -> None:
    journal: list[Event] = []
    failing = Journalist("b", journal, fails_at("minibatch_end", 0, minibatch, error=ValueError("boom")))
    changing = Journalist(
        "a", journal, at("minibatch_end", 0, minibatch, do=lambda: setattr(failing, "minibatch_freq", 1))
    )
    callbacks = container()
    callbacks.add_callback(changing, on_error="log", name="Changing")
    callbacks.add_callback(failing, name="Failing")

    with pytest.raises(ValueError, match="boom") as caught:
        drive(callbacks, [WARM_UP + 5])

    assert caught.value.__notes__ == [f"while Failing handled minibatch_end, epoch 0, minibatch {minibatch}"]
    assert who_at(journal, "minibatch_end", 0, minibatch) == ["a", "b"]


@MOMENTS
def test_a_second_failure_in_the_same_minibatch_is_treated_as_its_own_user_chose(minibatch: int) -> None:
    journal: list[Event] = []
    callbacks = container()
    for name, policy in (("a", "log"), ("b", "raise")):
        error = ValueError(name)
        one = Journalist(name, journal, fails_at("minibatch_begin", 0, minibatch, error=error))
        callbacks.add_callback(one, on_error=policy, name=name)  # type: ignore[arg-type]  # literals in a tuple
    callbacks.add_callback(Journalist("c", journal))

    with pytest.raises(ValueError, match="b") as caught:
        drive(callbacks, [WARM_UP + 5])

    assert caught.value.__notes__ == [f"while b handled minibatch_begin, epoch 0, minibatch {minibatch}"]
    assert who_at(journal, "minibatch_begin", 0, minibatch) == ["a", "b"]


@MOMENTS
def test_a_handlers_error_is_noted_once_and_a_plain_receivers_too(minibatch: int) -> None:
    def fail(minibatch_now: int) -> None:
        if minibatch_now == minibatch:
            raise ValueError("boom")

    def handler(minibatch: int) -> None:
        fail(minibatch)

    def receiver(sender: object, **payload: Any) -> None:
        fail(payload["minibatch"])

    for weak in (None, False, True):
        callbacks = container()
        if weak is None:
            callbacks.bus.subscribe("minibatch_end", handler)
        else:
            callbacks.bus.minibatch_end.connect(receiver, weak=weak)
        with pytest.raises(ValueError, match="boom") as caught:
            drive(callbacks, [WARM_UP + 5])
        (note,) = caught.value.__notes__
        who = "handler" if weak is None else "receiver"
        assert note.endswith(f"{who} handled minibatch_end, epoch 0, minibatch {minibatch}")
        assert note.startswith("while test_a_handlers_error_is_noted_once")


@MOMENTS
def test_ctrl_c_passes_whatever_the_policy_and_interrupts_the_run(minibatch: int) -> None:
    journal: list[Event] = []
    callbacks = container(
        Journalist("a", journal, fails_at("minibatch_end", 0, minibatch, error=KeyboardInterrupt())),
        Journalist("b", journal),
        on_error="log",
    )

    with pytest.raises(KeyboardInterrupt):
        drive(callbacks, [WARM_UP + 5])

    assert journal[-1] == ("a", "minibatch_end", 0, minibatch)
    assert callbacks.run.exit_reason == "interrupted"


def test_outside_a_run_a_minibatch_is_refused_with_what_to_call() -> None:
    before, after = container(), container()
    drive(after, [WARM_UP])

    for callbacks in (before, after):
        with pytest.raises(
            RunStateError, match=r"minibatch_begin was published outside a run: call on_train_begin"
        ):
            callbacks.on_minibatch_begin(0, 0)
        with pytest.raises(RunStateError, match="minibatch_end was published outside a run"):
            callbacks.on_minibatch_end(0, 0)


# The clock.


def test_after_the_warm_up_the_clock_is_looked_at_now_and_then() -> None:
    looks: list[int] = []
    now = -1
    bus = Bus()
    path = HotPath(bus, bus.minibatch_end, on_look=lambda: looks.append(now))
    path.open(None, BareModel())

    for now in range(3000):
        if now >= path.special:
            path.fire(0, now)

    assert looks[:64] == list(range(64))
    assert 3 <= len(looks) - 64 < 1000


def test_a_look_that_is_due_is_not_lost_at_an_epochs_end() -> None:
    looks: list[int] = []
    total = 0
    bus = Bus()
    path = HotPath(bus, bus.minibatch_end, on_look=lambda: looks.append(total))
    path.open(None, BareModel())

    for _ in range(1000):  # epochs of 3, shorter than the time between two looks
        path.new_epoch(0 if total == 0 else 3)
        for minibatch in range(3):
            if minibatch >= path.special:
                path.fire(0, minibatch)
            total += 1

    assert len([look for look in looks if look > 200]) >= 3


@pytest.mark.parametrize("moment", ["between epochs", "amid a minibatch", "amid planning"])
def test_who_wakes_is_heard_at_the_next_minibatch_or_the_one_after(
    moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = Bus()
    path = HotPath(bus, bus.minibatch_end)
    path.open(None, BareModel())
    for minibatch in range(200):
        path.fire(0, minibatch)
    assert path.special > 200
    if moment == "between epochs":
        path.wake()
        path.new_epoch(200)
    elif moment == "amid a minibatch":
        bus.minibatch_end.connect(lambda model, **payload: path.wake(), weak=False)
        path.invalidate()
        path.fire(0, 200)
    else:

        def next_firing(when: object, minibatch: int) -> int:
            path.wake()
            return minibatch + 100

        monkeypatch.setattr("trainsignal.hot_path.next_firing", next_firing)
        bus.subscribe("minibatch_end", lambda run: None, every=10)
        path.invalidate()
        path.fire(0, 200)
    assert path.special == -1


class Clock:
    """Seconds that pass only when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Slow(Callback):
    def __init__(self, clock: Clock, each_s: float, minibatch_freq: int = 1) -> None:
        super().__init__(minibatch_freq=minibatch_freq)
        self.clock, self.each_s = clock, each_s

    def on_minibatch_end(self, callback_data: object, model: object, epoch: int, minibatch: int) -> None:
        self.clock.now_s += self.each_s


@pytest.mark.parametrize("each_s", [0.001, 1.0], ids=["fast minibatches", "slow minibatches"])
def test_the_time_of_a_callback_is_estimated_from_samples(each_s: float) -> None:
    clock = Clock()
    callbacks = container(Slow(clock, each_s), Slow(clock, each_s, minibatch_freq=10))
    callbacks.bus.clock = clock

    drive(callbacks, [5000, 5000])

    always, tenth = (receiver for receiver in callbacks._bound if receiver.hook.signal == "minibatch_end")
    assert always.spent_s == pytest.approx(10_000 * each_s, rel=0.03)  # the last sample may be 250 ago
    assert tenth.spent_s == pytest.approx(1_000 * each_s)


@pytest.mark.parametrize("moment", ["between epochs", "between minibatches", "amid a minibatch"])
def test_what_is_to_be_called_soon_is_called_once_after_the_next_minibatch(moment: str) -> None:
    bus = Bus()
    path = HotPath(bus, bus.minibatch_end)
    path.open(None, BareModel())
    for minibatch in range(200):
        path.fire(0, minibatch)
    calls: list[int] = []
    if moment == "between epochs":
        path.call_soon(lambda: calls.append(1))
        path.new_epoch(200)
    elif moment == "between minibatches":
        path.call_soon(lambda: calls.append(1))
    else:
        asked: list[int] = []

        def ask(model: object) -> None:
            if not asked:
                asked.append(1)
                path.call_soon(lambda: calls.append(1))

        bus.subscribe("minibatch_end", ask)
        path.invalidate()
    assert path.special == -1 and calls == []
    path.fire(0, 200)
    assert calls == [1]
    path.fire(0, 201)
    assert calls == [1]
