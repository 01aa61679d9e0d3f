"""Handlers hear a replica when it may tell them something."""

from __future__ import annotations

from trainsignal import Bus
from trainsignal.remote.handlers import Handlers, check_handlers


def test_handlers_hear_from_when_they_are_connected_until_they_are_not() -> None:
    bus, heard = Bus(), list[str]()
    handlers = Handlers(bus, [("train_end", lambda: heard.append("heard"))])
    bus.publish(bus.train_end, None)
    handlers.connect()
    bus.publish(bus.train_end, None)
    handlers.disconnect()
    bus.publish(bus.train_end, None)

    assert heard == ["heard"]


def test_signal_that_is_declared_before_handlers_may_hear_is_heard_by_them_later() -> None:
    bus, heard = Bus(), list[int]()
    handlers = Handlers(bus, [("mine", lambda a: heard.append(a))])
    signal = handlers.signal_for("mine", {"a": 1})
    bus.publish(signal, None, a=1)
    handlers.connect()
    assert handlers.signal_for("mine", {"a": 2}) is signal
    bus.publish(signal, None, a=2)

    assert heard == [2]


def test_name_that_may_be_a_signal_of_the_users_own_is_allowed() -> None:
    check_handlers([("lr_changed", lambda: None), ("epoch_end", lambda: None)])
