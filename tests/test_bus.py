from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from typing import Any

import pytest
from blinker import ANY
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from trainsignal import Bus
from trainsignal.bus import Band
from trainsignal.errors import ConfigurationError, UnknownSignalError
from trainsignal.receiver import Receiver, deliver
from trainsignal.signals import CATALOGUE

MODEL = object()


def failing(error: BaseException) -> Callable[..., None]:
    def fail() -> None:
        raise error

    return fail


# The catalogue.


def test_a_bus_has_the_signals_of_the_catalogue_as_attributes_and_in_order() -> None:
    bus = Bus()

    assert [signal.name for signal in bus] == [spec.name for spec in CATALOGUE]
    assert all(getattr(bus, spec.name) is bus.signal(spec.name) for spec in CATALOGUE)
    assert all(bus.signal(spec.name).spec is spec for spec in CATALOGUE)


def test_each_bus_has_signals_of_its_own() -> None:
    first, second = Bus(), Bus()
    first.subscribe("epoch_end", lambda: None)

    assert not second.epoch_end.receivers


@pytest.mark.parametrize("ask", [lambda bus: bus.epoch_ned, lambda bus: bus.signal("epoch_ned")])
def test_an_unknown_name_is_refused_with_a_near_one_and_what_to_do(ask: Callable[[Bus], object]) -> None:
    with pytest.raises(UnknownSignalError, match=r"no signal named 'epoch_ned'") as caught:
        ask(Bus())

    assert "Did you mean 'epoch_end'?" in str(caught.value)
    assert "bus.declare('epoch_ned', payload=(...))" in str(caught.value)


def test_a_name_near_to_nothing_is_answered_with_all_names() -> None:
    with pytest.raises(LookupError, match=r"There are train_begin, epoch_begin, .*, run_closed\."):
        Bus().subscribe("validated", lambda: None)


def test_copying_a_bus_asks_for_no_signal() -> None:
    bus = Bus()

    assert copy.copy(bus).epoch_end is bus.epoch_end
    with pytest.raises(AttributeError):
        _ = bus._repr_html_


# Signals of the user's own.


def test_a_declared_signal_is_like_the_others() -> None:
    heard: list[object] = []
    bus = Bus()

    signal = bus.declare("restored", payload=("path",), meaning="The model was restored.")
    bus.subscribe("restored", lambda path, model: heard.append((path, model)))
    bus.publish(bus.restored, MODEL, path="a.h5")

    assert list(bus)[-1] is bus.signal("restored") is signal
    assert heard == [("a.h5", MODEL)]


def test_a_declared_signal_without_meaning_says_at_least_its_name() -> None:
    assert Bus().declare("restored").spec.meaning == "Declared as 'restored'."


@pytest.mark.parametrize(
    "name", ["epoch_end", "two words", "", "2nd", "_hidden", "subscribe", "declare", "signal"]
)
def test_a_name_that_is_taken_or_no_identifier_cannot_be_declared(name: str) -> None:
    with pytest.raises(ConfigurationError, match="it is taken or no identifier"):
        Bus().declare(name)


def test_a_signal_cannot_be_declared_twice() -> None:
    bus = Bus()
    bus.declare("restored")

    with pytest.raises(ConfigurationError, match="cannot declare a signal 'restored'"):
        bus.declare("restored", payload=("path",))


@pytest.mark.parametrize("name", ["common", "on_change"])
def test_a_name_that_the_bus_uses_itself_cannot_be_declared(name: str) -> None:
    with pytest.raises(ConfigurationError, match="the bus uses that name itself"):
        Bus().declare(name)


@pytest.mark.parametrize("key", ["run", "callback_data", "model", "sender", "_async_wrapper", "two words"])
def test_a_payload_name_that_is_reserved_cannot_be_declared(key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"signal 'restored' cannot carry '{key}'"):
        Bus().declare("restored", payload=("path", key))


def test_a_payload_in_one_text_is_told_to_be_a_tuple() -> None:
    wrong: Any = "path"

    with pytest.raises(ConfigurationError, match=r"expected a tuple of names, such as \('path',\)"):
        Bus().declare("restored", payload=wrong)


# Publishing.


def test_handlers_run_first_then_callbacks_then_the_others_whenever_subscribed() -> None:
    heard: list[str] = []
    bus = Bus()
    bus.subscribe("epoch_end", lambda: heard.append("after 1"))
    bus.epoch_end.connect_in(Band.CALLBACKS, lambda sender, **payload: heard.append("callback"))
    bus.epoch_end.connect(lambda sender, **payload: heard.append("after 2"))
    bus.subscribe("epoch_end", lambda: heard.append("first"), first=True)

    bus.publish(bus.epoch_end, MODEL, epoch=0)

    assert heard == ["first", "callback", "after 1", "after 2"]


def test_receivers_in_a_band_are_listed_in_order_for_whichever_sender() -> None:
    signal = Bus().epoch_end
    for_all, for_one = [lambda sender: None for _ in range(2)]
    signal.connect(for_one, sender=1)
    signal.connect_in(Band.FIRST, lambda sender: None)
    signal.connect(for_all, weak=True)

    assert signal.receivers_in(Band.AFTER) == [for_one, for_all]
    assert signal.receivers_in(Band.CALLBACKS) == []


def test_a_plain_receiver_is_published_the_common_payload_too() -> None:
    heard: list[dict[str, Any]] = []
    bus = Bus()
    bus.common.update(callback_data="data", run="run")
    bus.epoch_end.connect(lambda sender, **payload: heard.append({"sender": sender, **payload}))

    bus.publish(bus.epoch_end, MODEL, epoch=3)

    assert heard == [{"sender": MODEL, "callback_data": "data", "run": "run", "epoch": 3}]


def test_publishing_reaches_the_receivers_of_the_sender() -> None:
    heard: list[object] = []
    bus = Bus()
    bus.epoch_end.connect(lambda sender, **payload: heard.append(sender), sender=1)

    bus.publish(bus.epoch_end, 1, epoch=0)
    bus.publish(bus.epoch_end, 2, epoch=0)

    assert heard == [1]


def test_a_muted_signal_is_published_to_nobody() -> None:
    heard: list[object] = []
    bus = Bus()
    bus.subscribe("run_closed", lambda reason: heard.append(reason))

    with bus.run_closed.muted():
        bus.publish(bus.run_closed, MODEL, reason="failed", error=None)
        assert bus.publish_to_all(bus.run_closed, MODEL, reason="failed", error=None) == []

    assert heard == []


def test_a_handlers_error_passes_with_a_note_of_handler_signal_and_position() -> None:
    def plot_loss(epoch: int) -> None:
        raise ValueError("boom")

    bus = Bus()
    bus.subscribe("epoch_end", plot_loss)

    with pytest.raises(ValueError, match="boom") as caught:
        bus.publish(bus.epoch_end, MODEL, epoch=3)

    (note,) = caught.value.__notes__
    assert note.startswith("while ")
    assert note.endswith("plot_loss handled epoch_end, epoch 3")


def test_a_plain_receivers_error_passes_with_such_a_note_too() -> None:
    def plot_loss(sender: object, **payload: Any) -> None:
        raise ValueError("boom")

    class Plotter:
        def __call__(self, sender: object, **payload: Any) -> None:
            raise KeyError("boom")

        def __repr__(self) -> str:
            return "Plotter()"

    bus = Bus()
    bus.minibatch_end.connect(plot_loss)
    bus.epoch_end.connect(Plotter())

    with pytest.raises(ValueError, match="boom") as plain:
        bus.publish(bus.minibatch_end, MODEL, epoch=3, minibatch=7)
    with pytest.raises(KeyError) as nameless:
        bus.publish(bus.epoch_end, MODEL, epoch=3)

    assert plain.value.__notes__[0].endswith("plot_loss handled minibatch_end, epoch 3, minibatch 7")
    assert nameless.value.__notes__ == ["while Plotter() handled epoch_end, epoch 3"]


def test_an_error_stops_a_publication_but_not_one_to_all() -> None:
    heard: list[str] = []
    errors = [ValueError("first"), KeyError("second")]
    bus = Bus()
    bus.subscribe("run_closed", failing(errors[0]))
    bus.subscribe("run_closed", lambda: heard.append("between"))
    bus.run_closed.connect(lambda sender, **payload: failing(errors[1])())
    bus.subscribe("run_closed", lambda: heard.append("last"))

    with pytest.raises(ValueError, match="first"):
        bus.publish(bus.run_closed, MODEL, reason="failed", error=None)
    assert heard == []

    assert bus.publish_to_all(bus.run_closed, MODEL, reason="failed", error=None) == errors
    assert heard == ["between", "last"]


@pytest.mark.parametrize(
    ("policy", "expected"), [("log", ["other", "other"]), ("disable", ["other", "other"])]
)
def test_a_handler_whose_errors_are_logged_stops_nobody(
    policy: Any, expected: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    bus = Bus()
    subscription = bus.subscribe("epoch_end", failing(ValueError("boom")), on_error=policy)
    bus.subscribe("epoch_end", lambda: heard.append("other"))

    for epoch in range(2):
        bus.publish(bus.epoch_end, MODEL, epoch=epoch)

    assert heard == expected
    assert subscription.failures == len(caplog.records) == (2 if policy == "log" else 1)
    assert "failing.<locals>.fail failed at epoch_end, epoch 0" in caplog.text


def test_a_predicate_that_raises_is_treated_as_its_handler() -> None:
    bus = Bus()
    bus.subscribe("epoch_end", lambda: None, when=lambda epoch: 1 / epoch > 0)

    with pytest.raises(ZeroDivisionError) as caught:
        bus.publish(bus.epoch_end, MODEL, epoch=0)

    assert "handled epoch_end, epoch 0" in caught.value.__notes__[0]


def test_an_error_policy_that_is_none_is_refused_and_nothing_is_connected() -> None:
    wrong: Any = "ignore"
    bus = Bus()

    with pytest.raises(ConfigurationError, match="on_error='ignore'"):
        bus.subscribe("epoch_end", lambda: None, on_error=wrong)

    assert not bus.epoch_end.receivers


def test_keyboard_interrupts_pass_untouched_whatever_the_policy() -> None:
    bus = Bus()
    subscription = bus.subscribe("epoch_end", failing(KeyboardInterrupt()), on_error="log")

    with pytest.raises(KeyboardInterrupt) as caught:
        bus.publish(bus.epoch_end, MODEL, epoch=0)

    assert not hasattr(caught.value, "__notes__")
    assert subscription.failures == 0


def test_the_time_spent_in_a_receiver_of_ours_is_added_up_also_where_it_raises() -> None:
    class Slow(Receiver):
        def __call__(self, sender: object, **payload: Any) -> object:
            raise ValueError("boom")

    receiver = Slow("slow", "raise", lambda: None)
    spent: list[float] = []
    for _ in range(2):
        with pytest.raises(ValueError, match="boom"):
            deliver(receiver, MODEL, "epoch_end", {}, iter(range(10, 20, 3)).__next__)
        spent.append(receiver.spent_s)

    assert spent == [3, 6]


def test_every_change_of_who_listens_is_told_to_the_bus() -> None:
    changes: list[str] = []
    bus = Bus()
    signal = bus.declare("mine")
    bus.on_change = lambda: changes.append(doing)

    doing = "connect"
    bus_subscription = bus.subscribe("mine", lambda: None)
    doing = "disconnect"
    bus_subscription.cancel()
    doing = "mute"
    with signal.muted():
        doing = "unmute"
    doing = "set muted"
    signal.is_muted = False
    doing = "clear"
    signal._clear_state()
    doing = "weak"

    def fleeting(sender: object) -> None: ...

    signal.connect(fleeting, weak=True)
    changes.remove("weak")
    del fleeting

    assert set(changes) == {"connect", "disconnect", "mute", "unmute", "set muted", "clear", "weak"}


# Receivers against a plain list.

SENDERS: tuple[Any, ...] = (ANY, "a", "b")
senders = st.sampled_from(SENDERS)


class ReceiversAgainstAList(RuleBasedStateMachine):
    """Whatever is connected, disconnected, muted and forgotten: a send calls what a plain list would hold."""

    def __init__(self) -> None:
        super().__init__()
        self.signal = Bus().declare("x")
        self.heard: list[int] = []
        self.held: dict[int, Callable[[object], None]] = {}
        self.made = 0
        self.mutes: list[Any] = []
        # The model: (number, band) as connected; senders and strength of each.
        self.order: list[tuple[int, Band]] = []
        self.senders_of: dict[int, set[Hashable]] = {}
        self.is_weak: dict[int, bool] = {}

    def connected(self) -> list[int]:
        return [number for number, _ in self.order]

    def remove(self, number: int) -> None:
        self.order = [(one, band) for one, band in self.order if one != number]
        self.senders_of.pop(number, None)

    def expected(self, sender: Hashable) -> list[int]:
        return [
            number
            for wanted in Band
            for number, band in self.order
            if band is wanted and self.senders_of[number] & {ANY, sender}
        ]

    @precondition(lambda self: len(self.held) < 5)
    @rule()
    def make(self) -> None:
        number, heard = self.made, self.heard

        def receive(sender: object) -> None:
            heard.append(number)

        self.held[number] = receive
        self.made += 1

    @precondition(lambda self: self.held)
    @rule(data=st.data(), band=st.sampled_from(Band), sender=senders, weak=st.booleans())
    def connect(self, data: st.DataObject, band: Band, sender: Any, weak: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        self.signal.connect_in(band, self.held[number], sender, weak)
        if number not in self.connected():
            self.order.append((number, band))
        self.senders_of.setdefault(number, set()).add(sender)
        self.is_weak[number] = weak

    @precondition(lambda self: self.held)
    @rule(data=st.data(), sender=senders)
    def disconnect(self, data: st.DataObject, sender: Any) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        self.signal.disconnect(self.held[number], sender)
        left = set() if sender is ANY else self.senders_of.get(number, set()) - {sender}
        if left:
            self.senders_of[number] = left
        else:
            self.remove(number)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), inside=senders, sent=st.sampled_from(SENDERS[1:]))
    def connect_for_a_block(self, data: st.DataObject, inside: Any, sent: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        order, before = list(self.order), {one: set(them) for one, them in self.senders_of.items()}
        if number not in self.connected():
            self.order.append((number, Band.AFTER))
        else:
            self.is_weak[number] = False
        self.senders_of.setdefault(number, set()).add(inside)
        with self.signal.connected_to(self.held[number], inside):
            self.send(sent)
        self.order, self.senders_of = order, before

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        del self.held[number]
        if self.is_weak.get(number):
            self.remove(number)

    @rule()
    def mute(self) -> None:
        self.mutes.append(self.signal.muted())
        self.mutes[-1].__enter__()

    @precondition(lambda self: self.mutes)
    @rule()
    def unmute(self) -> None:
        self.mutes.pop().__exit__(None, None, None)

    @rule(sender=st.sampled_from([*SENDERS[1:], "c"]))
    def send(self, sender: str) -> None:
        self.heard.clear()
        self.signal.send(sender)
        assert self.heard == ([] if self.mutes else self.expected(sender))

    @rule()
    def is_it_empty(self) -> None:
        assert bool(self.signal.receivers) == bool(self.order)


TestReceiversAgainstAList = ReceiversAgainstAList.TestCase
TestReceiversAgainstAList.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("payload", [{}, {"reason": "x", "by": "me"}, {"reson": "x"}])
def test_publishing_what_was_not_declared_is_refused(payload: dict[str, str]) -> None:
    bus = Bus()
    signal = bus.declare("skipped", payload=("reason",))

    with pytest.raises(ConfigurationError, match=r"skipped carries \(reason\), and was published with"):
        bus.publish(signal, MODEL, **payload)
