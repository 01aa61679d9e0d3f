"""What blinker's documentation promises of a signal, kept by ours; and what ours adds to it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import blinker
import pytest
from blinker import ANY

from trainsignal import Bus
from trainsignal.bus import Band, TrainSignal
from trainsignal.errors import UnknownSignalError


class Sender:
    """Can be weakly referenced, which a plain object() cannot."""


class Listener:
    """Keeps the senders and payloads that it was given."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, dict[str, Any]]] = []

    def receive(self, sender: object, /, **payload: Any) -> int:
        self.heard.append((sender, payload))
        return len(self.heard)

    @property
    def senders(self) -> list[object]:
        return [sender for sender, _ in self.heard]


@pytest.fixture
def signal() -> TrainSignal:
    return Bus().declare("x", payload=("value",))


# Being one.


def test_every_signal_of_a_bus_is_a_blinker_signal() -> None:
    for one in Bus():
        assert isinstance(one, blinker.Signal)
        assert isinstance(one, blinker.NamedSignal)


def test_a_signal_shows_its_name_and_documents_its_meaning_and_payload() -> None:
    signal = Bus().declare("restored", payload=("path", "epoch"), meaning="The model was restored.")

    assert signal.name == "restored"
    assert "'restored'" in repr(signal)
    assert signal.__doc__ == "The model was restored.\n\nPayload: path, epoch."


# Connecting and disconnecting.


def test_a_connected_receiver_is_called_with_the_sender_and_the_payload(signal: TrainSignal) -> None:
    listener, sender = Listener(), Sender()

    signal.connect(listener.receive)
    signal.send(sender, value=3)

    assert listener.heard == [(sender, {"value": 3})]


def test_connect_returns_the_receiver_so_that_it_decorates(signal: TrainSignal) -> None:
    heard: list[object] = []

    @signal.connect
    def receive(sender: object) -> None:
        heard.append(sender)

    signal.send(1)

    assert heard == [1]
    assert callable(receive)


def test_a_disconnected_receiver_is_not_called_and_disconnecting_twice_is_no_error(
    signal: TrainSignal,
) -> None:
    listener = Listener()
    signal.connect(listener.receive)

    signal.disconnect(listener.receive)
    signal.disconnect(listener.receive)
    signal.send(1)

    assert listener.heard == []
    assert not signal.receivers


def test_a_sender_may_be_left_out(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)

    signal.send()

    assert listener.senders == [None]


def test_send_returns_pairs_of_receiver_and_answer_in_order(signal: TrainSignal) -> None:
    def double(sender: int) -> int:
        return 2 * sender

    def square(sender: int) -> int:
        return sender * sender

    signal.connect(double)
    signal.connect(square)

    assert signal.send(5) == [(double, 10), (square, 25)]


def test_send_returns_an_empty_list_where_nobody_listens(signal: TrainSignal) -> None:
    assert signal.send(5) == []


# Senders.


def test_a_receiver_for_one_sender_hears_only_that_one(signal: TrainSignal) -> None:
    listener, mine, other = Listener(), Sender(), Sender()

    signal.connect(listener.receive, sender=mine)
    for sender in (mine, other, None):
        signal.send(sender)

    assert listener.senders == [mine]


@pytest.mark.parametrize(("connected", "sent"), [(123456789, int("123456789")), ("model", "".join("model"))])
def test_equal_numbers_and_texts_are_the_same_sender(
    signal: TrainSignal, connected: object, sent: object
) -> None:
    listener = Listener()

    signal.connect(listener.receive, sender=connected)
    signal.send(sent)

    assert listener.senders == [connected]


def test_a_receiver_for_several_senders_hears_each_and_leaves_them_one_by_one(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive, sender=1)
    signal.connect(listener.receive, sender=2)

    signal.disconnect(listener.receive, sender=1)
    for sender in (1, 2, 3):
        signal.send(sender)

    assert listener.senders == [2]


def test_disconnecting_without_a_sender_leaves_all_senders(signal: TrainSignal) -> None:
    listener = Listener()
    for sender in (1, 2, ANY):
        signal.connect(listener.receive, sender=sender)

    signal.disconnect(listener.receive)
    signal.send(1)

    assert listener.heard == []


def test_a_receiver_for_any_sender_and_for_one_is_called_once(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive, sender=1)
    signal.connect(listener.receive)

    signal.send(1)
    signal.send(2)

    assert listener.senders == [1, 2]


def test_connect_via_connects_a_decorated_function_for_one_sender(signal: TrainSignal) -> None:
    heard: list[object] = []
    mine = Sender()

    @signal.connect_via(mine)
    def receive(sender: object, **payload: Any) -> None:
        heard.append(payload)

    signal.send(mine, value=1)
    signal.send(Sender(), value=2)
    del receive
    signal.send(mine, value=3)

    assert heard == [{"value": 1}, {"value": 3}]


def test_connect_via_may_hold_weakly(signal: TrainSignal) -> None:
    @signal.connect_via(ANY, weak=True)
    def receive(sender: object) -> None: ...

    assert signal.receivers
    del receive

    assert not signal.receivers


def test_a_sender_is_held_weakly_and_its_pairs_go_with_it(signal: TrainSignal) -> None:
    listener, sender = Listener(), Sender()
    signal.connect(listener.receive, sender=sender)
    assert signal.has_receivers_for(sender)

    del sender

    assert not any(signal._by_sender.values())
    assert not any(signal._by_receiver.values())
    signal.send("another")
    assert listener.heard == []


# Asking who listens.


def test_has_receivers_for_looks_at_any_and_at_the_sender(signal: TrainSignal) -> None:
    listener = Listener()
    assert not signal.has_receivers_for(ANY)
    assert not signal.has_receivers_for("a")

    signal.connect(listener.receive, sender="a")
    assert not signal.has_receivers_for(ANY)
    assert not signal.has_receivers_for("b")
    assert signal.has_receivers_for("a")

    signal.connect(listener.receive)
    assert signal.has_receivers_for(ANY)
    assert signal.has_receivers_for("b")


def test_receivers_for_yields_the_live_receivers_of_a_sender(signal: TrainSignal) -> None:
    def for_all(sender: object) -> None: ...
    def for_a(sender: object) -> None: ...
    def fleeting(sender: object) -> None: ...

    signal.connect(for_a, sender="a")
    signal.connect(fleeting, weak=True)
    signal.connect(for_all)
    assert list(signal.receivers_for("a")) == [for_a, fleeting, for_all]

    del fleeting

    assert list(signal.receivers_for("a")) == [for_a, for_all]
    assert list(signal.receivers_for("b")) == [for_all]
    assert list(signal.receivers_for(ANY)) == [for_all]


def test_a_receiver_that_is_disconnected_during_a_send_is_not_called(signal: TrainSignal) -> None:
    listener = Listener()

    def cutter(sender: object) -> None:
        signal.disconnect(listener.receive)

    signal.connect(cutter)
    signal.connect(listener.receive)
    signal.send(1)

    assert listener.heard == []


def test_a_weak_receiver_that_dies_during_a_send_is_not_called(signal: TrainSignal) -> None:
    heard: list[object] = []
    living: list[Callable[[object], None]] = [lambda sender: heard.append(sender)]

    def killer(sender: object) -> None:
        living.clear()

    signal.connect(killer)
    signal.connect(living[0], weak=True)
    signal.send(1)

    assert heard == []


def test_a_receiver_that_is_connected_during_a_send_is_called_from_the_next_on(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(lambda sender: signal.connect(listener.receive))

    signal.send(1)
    signal.send(2)

    assert listener.senders == [2]


def test_a_weak_receiver_that_died_while_python_shuts_down_is_skipped(
    signal: TrainSignal, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    dying: list[Callable[..., None]] = [lambda sender: None]
    signal.connect(dying[0], weak=True)
    signal.connect(listener.receive)

    monkeypatch.setattr(sys, "is_finalizing", lambda: True)  # then blinker leaves the dead reference there
    dying.clear()
    signal.send(1)

    assert listener.senders == [1]
    assert signal.receivers_in(Band.AFTER) == [listener.receive]


# Temporary connections and muting.


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_connected_to_connects_for_the_block_whatever_ends_it(
    signal: TrainSignal, error: type[BaseException]
) -> None:
    listener = Listener()

    signal.send(1)
    with pytest.raises(error), signal.connected_to(listener.receive):
        signal.send(2)
        raise error
    signal.send(3)

    assert listener.senders == [2]
    assert not signal.receivers


def test_connected_to_may_listen_to_one_sender(signal: TrainSignal) -> None:
    listener = Listener()

    with signal.connected_to(listener.receive, sender=2):
        signal.send(1)
        signal.send(2)

    assert listener.senders == [2]
    assert not signal.receivers


def test_a_block_of_connected_to_may_disconnect_by_itself(signal: TrainSignal) -> None:
    listener = Listener()

    with signal.connected_to(listener.receive):
        signal.disconnect(listener.receive)
        signal.send(1)

    assert listener.heard == []
    assert not signal.receivers


def test_a_muted_signal_reaches_nobody_and_returns_an_empty_list(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)

    with signal.muted():
        assert signal.is_muted
        assert signal.send(1) == []
    signal.send(2)

    assert listener.senders == [2]


def test_a_muted_signal_sounds_again_after_an_error(signal: TrainSignal) -> None:
    with pytest.raises(KeyError), signal.muted():
        raise KeyError("x")

    assert not signal.is_muted


def test_is_muted_can_be_set_as_blinkers_attribute_can(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)

    signal.is_muted = True
    with signal.muted():
        signal.send(1)
    signal.send(2)
    signal.is_muted = False
    signal.send(3)

    assert listener.senders == [3]


# The signals of a signal.


@pytest.mark.parametrize("sender", [ANY, "model"], ids=["any", "one"])
@pytest.mark.parametrize("weak", [True, False], ids=["weak", "strong"])
def test_connecting_and_disconnecting_are_signals_themselves(
    signal: TrainSignal, sender: Any, weak: bool
) -> None:
    meta, listener = Listener(), Listener()
    receive = listener.receive
    signal.receiver_connected.connect(meta.receive, weak=False)
    signal.receiver_disconnected.connect(meta.receive, weak=False)

    signal.connect(receive, sender=sender, weak=weak)
    signal.disconnect(receive, sender=sender)

    assert meta.heard == [
        (signal, {"receiver": receive, "sender": sender, "weak": weak}),
        (signal, {"receiver": receive, "sender": sender}),
    ]


def test_connected_to_tells_of_its_begin_and_end(signal: TrainSignal) -> None:
    meta, listener = Listener(), Listener()
    receive = listener.receive
    signal.receiver_connected.connect(meta.receive)
    signal.receiver_disconnected.connect(meta.receive)

    with signal.connected_to(receive, sender=1):
        pass

    assert meta.heard == [
        (signal, {"receiver": receive, "sender": 1, "weak": False}),
        (signal, {"receiver": receive, "sender": 1}),
    ]


def test_a_receiver_or_sender_that_dies_tells_nobody(signal: TrainSignal) -> None:
    meta, listener, sender = Listener(), Listener(), Sender()
    signal.connect(listener.receive, weak=True)
    signal.connect(Listener().receive, sender=sender)
    signal.receiver_disconnected.connect(meta.receive)

    del listener, sender

    assert meta.heard == []


# Weak receivers.


def test_a_weak_function_vanishes_and_leaves_nothing_behind(signal: TrainSignal) -> None:
    heard: list[object] = []

    def receive(sender: object) -> None:
        heard.append(sender)

    signal.connect(receive, weak=True)
    signal.send(1)
    del receive
    signal.send(2)

    assert heard == [1]
    assert not signal.receivers
    assert not any(signal._by_sender.values())
    assert not any(signal._by_receiver.values())


def test_a_weak_method_lives_as_long_as_its_object(signal: TrainSignal) -> None:
    listener = Listener()
    heard = listener.heard
    signal.connect(listener.receive, weak=True)

    signal.send(1)
    del listener
    signal.send(2)

    assert [sender for sender, _ in heard] == [1]


def test_empty_books_are_cleaned_up_on_request(signal: TrainSignal) -> None:
    first, second, sender = Listener(), Listener(), Sender()

    def sizes() -> tuple[int, int, int, int]:
        books: list[dict[Any, set[Any]]] = [signal._by_sender, signal._by_receiver]
        return tuple(n for book in books for n in (len(book), sum(map(len, book.values()))))  # type: ignore[return-value]  # four of them

    signal.connect(first.receive, sender=sender)
    signal.connect(second.receive, sender=sender)
    assert sizes() == (1, 2, 2, 2)
    signal.disconnect(first.receive, sender=sender)
    assert sizes() == (1, 1, 2, 1)
    signal.disconnect(second.receive, sender=sender)
    assert sizes() == (1, 0, 2, 0)

    signal._cleanup_bookkeeping()

    assert sizes() == (0, 0, 0, 0)


def test_clearing_the_state_disconnects_all(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)
    signal.connect_in(Band.FIRST, Listener().receive, sender=1)

    signal._clear_state()
    signal.send(1)

    assert listener.heard == []
    assert not signal.receivers


# Coroutines.


def test_a_coroutine_receiver_is_awaited_by_send_async_in_order(signal: TrainSignal) -> None:
    heard: list[str] = []

    async def slow(sender: object) -> str:
        heard.append("slow")
        return "slow answer"

    async def second(sender: object) -> None:
        heard.append("second")

    signal.connect(slow)
    signal.connect_in(Band.FIRST, second)

    answers = asyncio.run(signal.send_async("model"))

    assert heard == ["second", "slow"]
    assert answers == [(second, None), (slow, "slow answer")]


def test_send_async_wraps_a_plain_receiver_where_it_is_told_how(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)

    def wrapped(receive: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def call(*arguments: Any, **payload: Any) -> Any:
            return receive(*arguments, **payload)

        return call

    with pytest.raises(RuntimeError, match="non-coroutine"):
        asyncio.run(signal.send_async(1))
    asyncio.run(signal.send_async(2, _sync_wrapper=wrapped))  # type: ignore[arg-type]  # blinker wants Coroutine

    assert listener.senders == [2]


def test_send_refuses_a_coroutine_receiver_unless_it_is_told_how_to_run_it(signal: TrainSignal) -> None:
    async def receive(sender: int) -> int:
        return sender + 1

    def run(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arguments: asyncio.run(function(*arguments))

    signal.connect(receive)

    with pytest.raises(RuntimeError, match="coroutine"):
        signal.send(1)
    assert signal.send(1, _async_wrapper=run) == [(receive, 2)]


# What blinker 1.9 does otherwise, or leaves to chance.


def test_receivers_run_in_the_order_in_which_they_were_connected(signal: TrainSignal) -> None:
    heard: list[int] = []
    for number in range(50):
        signal.connect(lambda sender, number=number: heard.append(number))

    signal.send(1)

    assert heard == list(range(50))


def test_receivers_for_one_sender_keep_their_place_among_those_for_any(signal: TrainSignal) -> None:
    heard: list[str] = []
    signal.connect(lambda sender: heard.append("one, first"), sender=1)
    signal.connect(lambda sender: heard.append("any"))
    signal.connect(lambda sender: heard.append("one, last"), sender=1)

    signal.send(1)

    assert heard == ["one, first", "any", "one, last"]


def test_bands_run_in_their_order_whenever_their_receivers_were_connected(signal: TrainSignal) -> None:
    heard: list[str] = []
    for band in (Band.AFTER, Band.CALLBACKS, Band.FIRST, Band.CALLBACKS):
        signal.connect_in(band, lambda sender, band=band: heard.append(band.name))

    signal.send(1)

    assert heard == ["FIRST", "CALLBACKS", "CALLBACKS", "AFTER"]


def test_a_receiver_that_is_connected_again_keeps_its_place_and_band(signal: TrainSignal) -> None:
    first, second = Listener().receive, Listener().receive
    signal.connect(first)
    signal.connect(second)

    signal.connect_in(Band.FIRST, second, sender=1)

    assert list(signal.receivers_for(1)) == [first, second]


def test_a_receiver_that_left_and_comes_back_goes_to_the_end(signal: TrainSignal) -> None:
    first, second = Listener().receive, Listener().receive
    signal.connect_in(Band.FIRST, first)
    signal.connect(second)

    signal.disconnect(first)
    signal.connect(first)

    assert list(signal.receivers_for(1)) == [second, first]


def test_a_lambda_a_nested_function_and_a_method_of_a_temporary_stay_connected(signal: TrainSignal) -> None:
    heard: list[object] = []

    def connect() -> None:
        def nested(sender: object) -> None:
            heard.append("nested")

        signal.connect(nested)
        signal.connect(lambda sender: heard.append("lambda"))
        temporary = Listener()
        temporary.heard = heard  # type: ignore[assignment]  # any list will do
        signal.connect(temporary.receive)

    connect()
    signal.send("sender")

    assert heard == ["nested", "lambda", ("sender", {})]


def test_a_misspelt_name_makes_no_signal() -> None:
    bus = Bus()

    with pytest.raises(UnknownSignalError, match=r"no signal named 'epoch_ned'\. Did you mean 'epoch_end'\?"):
        bus.signal("epoch_ned")


def test_muting_nests(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)

    with signal.muted():
        with signal.muted():
            signal.send(1)
        signal.send(2)
    signal.send(3)

    assert listener.senders == [3]


@pytest.mark.parametrize(("inside", "before"), [(1, 2), (1, ANY), (ANY, 1)], ids=str)
def test_connected_to_leaves_other_connections_of_the_receiver(
    signal: TrainSignal, inside: Any, before: Any
) -> None:
    listener = Listener()
    signal.connect(listener.receive, sender=before)

    with signal.connected_to(listener.receive, sender=inside):
        signal.send(1)
        signal.send(2)
    during = list(listener.senders)
    signal.send(1)
    signal.send(2)

    assert during == [1, 2]
    assert listener.senders[2:] == ([1, 2] if before is ANY else [before])


def test_connected_to_keeps_what_was_connected_before_it(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)

    with signal.connected_to(listener.receive):
        pass
    signal.send(1)

    assert listener.senders == [1]


def test_an_exception_stops_the_send_and_passes_unchanged(signal: TrainSignal) -> None:
    listener, error = Listener(), ValueError("boom")

    def fail(sender: object) -> None:
        raise error

    signal.connect(fail)
    signal.connect(listener.receive)

    with pytest.raises(ValueError, match="boom") as caught:
        signal.send(1)
    assert caught.value is error
    assert listener.heard == []


def test_a_payload_that_blinker_would_swallow_cannot_be_declared() -> None:
    for name in ("_async_wrapper", "_sync_wrapper"):
        with pytest.raises(ValueError, match=name):
            Bus().declare("x", payload=(name,))


def test_disconnecting_the_only_sender_makes_the_signal_empty_again(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive, sender=1)
    signal.connect(listener.receive, sender=2)

    signal.disconnect(listener.receive, sender=1)
    assert signal.receivers
    signal.disconnect(listener.receive, sender=2)

    assert not signal.receivers


def test_connecting_the_same_function_twice_is_one_connection(signal: TrainSignal) -> None:
    listener = Listener()
    signal.connect(listener.receive)
    signal.connect(listener.receive)

    signal.send(1)
    signal.disconnect(listener.receive)
    signal.send(2)

    assert listener.senders == [1]
