from __future__ import annotations

import itertools
import logging
import math
import threading
import time
from typing import Any

import pytest

from tests.relay.fakes import durables, listed
from tests.relay.test_delivery import Rig
from trainsignal.errors import RelayError
from trainsignal.relay.broker import AccessDeniedError
from trainsignal.relay.courier import Courier

PATIENCE_S = 20.0
AWAY = RelayError("the broker cannot be reached")


def relay_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "trainsignal relay"]


def test_what_is_put_is_delivered_in_the_background_and_the_rest_at_the_end() -> None:
    rig = Rig()
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    rig.put(0)
    courier.close("completed", PATIENCE_S)
    assert len(durables(rig.broker)) == 1
    assert listed(rig.broker).state == "completed"
    assert relay_threads() == []


def test_news_wake_it() -> None:
    rig = Rig()
    arrived = threading.Event()
    append = rig.broker.append

    def note(additions: Any) -> None:
        append(additions)
        arrived.set()

    rig.broker.append = note  # type: ignore[method-assign]  # an honest one
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    rig.put(0)
    assert arrived.wait(PATIENCE_S)
    courier.close("completed", PATIENCE_S)


def test_last_attempt_does_not_wait_for_its_time() -> None:
    rig = Rig()
    rig.broker.go_away()
    rig.put(0)
    rig.delivery.step()
    rig.broker.come_back()
    courier = Courier(rig.delivery, rig.outbox)  # its clock stands still: the pause is never over
    courier.start()
    courier.close("stopped", PATIENCE_S)
    assert len(durables(rig.broker)) == 1


def test_broker_that_comes_back_while_the_end_waits_gets_everything() -> None:
    rig = Rig()
    rig.broker.go_away()
    rig.put(0)
    attempts = 0
    step = rig.delivery.step

    def third_time_lucky() -> float:
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            rig.broker.come_back()
        return step()

    rig.delivery.step = third_time_lucky  # type: ignore[method-assign]  # the same, with a broker that returns
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    courier.close("completed", PATIENCE_S)
    assert len(durables(rig.broker)) == 1


def rig_that_is_read_in_vain(error: RelayError, times: float = math.inf) -> Rig:
    """Return one with a message, whose broker takes what it is given, and gives nothing so many times."""
    rig, looks = Rig(), itertools.count(1)
    look = rig.broker.read

    def look_in_vain_at_first(*given: Any, **how: Any) -> Any:
        if next(looks) <= times:
            raise error
        return look(*given, **how)

    rig.broker.read = look_in_vain_at_first  # type: ignore[method-assign]
    rig.put(0)
    return rig


def test_end_waits_for_the_list_of_runs_too() -> None:
    rig = rig_that_is_read_in_vain(AWAY, times=2)
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    courier.close("completed", PATIENCE_S)
    assert listed(rig.broker).state == "completed"


def test_list_of_runs_that_cannot_be_told_of_the_end_is_named(caplog: pytest.LogCaptureFixture) -> None:
    rig = rig_that_is_read_in_vain(AWAY)
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    courier.close("completed", 0.2)
    for thread in relay_threads():
        thread.join(PATIENCE_S)
    assert "the list of runs still has 'run' as running: the broker is away" in caplog.messages


def test_broker_that_gives_no_requests_is_told_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    rig = rig_that_is_read_in_vain(AccessDeniedError("the broker says: no permissions to run 'xread'"))
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    courier.close("completed", PATIENCE_S)
    assert listed(rig.broker).state == "completed"
    assert [one for one in caplog.messages if "requests to this run are not heard" in one]


def test_end_says_what_it_could_not_deliver(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.broker.go_away()
    rig.put(0, 1, 2)
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    with caplog.at_level(logging.WARNING):
        courier.close("completed", 0.2)
    assert "the relay could not deliver 3 messages of this run, and gives them up" in caplog.messages
    for thread in relay_threads():
        thread.join(PATIENCE_S)
    assert relay_threads() == []


def test_without_a_thread_to_be_had_the_user_is_told(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    rig = Rig()
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    courier.close("completed", PATIENCE_S)
    assert caplog.messages == ["nothing of this run is relayed: can't start new thread"]


def test_who_is_not_let_in_is_not_asked_again_at_the_end() -> None:
    rig = Rig()
    rig.broker.go_away(AccessDeniedError("the broker does not let us in: wrong password"))
    rig.put(0)
    attempts = 0
    ask = rig.broker.now_ms

    def note() -> int:
        nonlocal attempts
        attempts += 1
        return ask()

    rig.broker.now_ms = note  # type: ignore[method-assign]  # is asked before all else
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    began_s = time.monotonic()
    courier.close("completed", PATIENCE_S)
    assert time.monotonic() - began_s < PATIENCE_S / 2
    assert 1 <= attempts <= 2
    assert relay_threads() == []


def test_thread_keeps_no_program_alive() -> None:
    rig = Rig()
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    (thread,) = relay_threads()
    courier.close("completed", PATIENCE_S)
    assert thread.daemon


def test_mistake_ends_neither_the_thread_nor_the_delivery_of_the_rest(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    append = rig.broker.append
    has_failed = False

    def fail_once(additions: Any) -> None:
        nonlocal has_failed
        if not has_failed:
            has_failed = True
            raise ZeroDivisionError
        append(additions)

    rig.broker.append = fail_once  # type: ignore[method-assign]  # a strange one
    rig.put(0)
    courier = Courier(rig.delivery, rig.outbox)
    courier.start()
    courier.close("completed", PATIENCE_S)
    assert len(durables(rig.broker)) == 1
    assert listed(rig.broker).state == "completed"
    assert "ZeroDivisionError" in caplog.text
