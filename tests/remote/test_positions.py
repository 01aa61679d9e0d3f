"""How far a listener is, kept on the broker."""

from __future__ import annotations

import pytest

from tests.remote.fake_broker import FakeBroker
from trainsignal.errors import RelayError
from trainsignal.relay.streams import listener
from trainsignal.remote.positions import Positions
from trainsignal.remote.troubles import Troubles


def test_listener_that_is_started_again_finds_its_place() -> None:
    broker = FakeBroker()
    first = Positions(broker, "mail")
    first.note("abc", "p1", 7)
    first.save()

    assert Positions(broker, "mail").find("digits", "abc", Troubles()) == {"p1": 7}
    assert Positions(broker, "mail").find("digits", "other", Troubles()) == {}
    assert Positions(broker, "chat").find("digits", "abc", Troubles()) == {}


def test_place_is_asked_of_the_broker_once() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.find("digits", "abc", Troubles())
    broker.error = RelayError("away")

    assert positions.find("digits", "abc", Troubles()) == {}


def test_listener_without_a_name_leaves_no_trace() -> None:
    broker = FakeBroker()
    positions = Positions(broker, None)
    positions.note("abc", "p1", 7)
    positions.save()

    assert broker.hashes == {}
    assert positions.find("digits", "abc", Troubles()) == {}


def test_each_process_of_a_run_has_a_place() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.note("abc", "p1", 7)
    positions.note("abc", "p2", 1)
    positions.save()

    assert Positions(broker, "mail").find("digits", "abc", Troubles()) == {"p1": 7, "p2": 1}


def test_places_of_very_many_processes_are_not_all_kept() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    for process in range(150):
        positions.note("abc", str(process), 1)
    positions.save()

    found = Positions(broker, "mail").find("digits", "abc", Troubles())
    assert list(found) == [str(process) for process in range(50, 150)]


def test_place_never_goes_back() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.note("abc", "p1", 7)
    positions.note("abc", "p1", 3)
    positions.save()

    assert broker.hashes[listener("mail")] == {"abc": b'{"p1":7}'}


def test_what_could_not_be_saved_is_saved_later() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.note("abc", "p1", 7)
    broker.error = RelayError("away")
    with pytest.raises(RelayError):
        positions.save()
    broker.error = None
    positions.save()

    assert broker.hashes[listener("mail")] == {"abc": b'{"p1":7}'}


def test_broker_that_has_forgotten_is_told_again() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.note("abc", "p1", 7)
    positions.find("digits", "new", Troubles())
    positions.save()
    broker.forget()
    positions.save()
    assert broker.hashes == {}
    positions.save_all()
    positions.save()

    assert broker.hashes[listener("mail")] == {"abc": b'{"p1":7}'}


@pytest.mark.parametrize(
    "text",
    [
        b"7",
        b"many",
        b"",
        b'{"p1":-1}',
        b'{"p1":1.5}',
        b'{"p1":"7"}',
        b'{"p1":%s}' % (b"9" * 19),
        b"\xff",
        b"[" * 100_000,
        b"[7]",
    ],
    ids=repr,
)
def test_place_that_is_none_is_told_and_the_run_heard_from_its_begin(text: bytes) -> None:
    broker, troubles = FakeBroker(), Troubles()
    broker.hashes[listener("mail")] = {"abc": text}

    assert Positions(broker, "mail").find("digits", "abc", troubles) == {}
    assert troubles.counts == ({("digits", "bad"): 1} if text else {})
