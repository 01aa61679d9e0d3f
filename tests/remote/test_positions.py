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
    first.note("abc", 7)
    first.save()

    assert Positions(broker, "mail").find("digits", "abc", Troubles()) == 7
    assert Positions(broker, "mail").find("digits", "other", Troubles()) == 0
    assert Positions(broker, "chat").find("digits", "abc", Troubles()) == 0


def test_place_is_asked_of_the_broker_once() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.find("digits", "abc", Troubles())
    broker.error = RelayError("away")

    assert positions.find("digits", "abc", Troubles()) == 0


def test_listener_without_a_name_leaves_no_trace() -> None:
    broker = FakeBroker()
    positions = Positions(broker, None)
    positions.note("abc", 7)
    positions.save()

    assert broker.hashes == {}
    assert positions.find("digits", "abc", Troubles()) == 0


def test_place_never_goes_back() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.note("abc", 7)
    positions.note("abc", 3)
    positions.save()

    assert broker.hashes[listener("mail")] == {"abc": b"7"}


def test_what_could_not_be_saved_is_saved_later() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.note("abc", 7)
    broker.error = RelayError("away")
    with pytest.raises(RelayError):
        positions.save()
    broker.error = None
    positions.save()

    assert broker.hashes[listener("mail")] == {"abc": b"7"}


def test_broker_that_has_forgotten_is_told_again() -> None:
    broker = FakeBroker()
    positions = Positions(broker, "mail")
    positions.note("abc", 7)
    positions.find("digits", "new", Troubles())
    positions.save()
    broker.forget()
    positions.save()
    assert broker.hashes == {}
    positions.save_all()
    positions.save()

    assert broker.hashes[listener("mail")] == {"abc": b"7"}


@pytest.mark.parametrize("text", [b"-1", b"many", b"", b"9" * 19, b"\xff"], ids=repr)
def test_place_that_is_none_is_told_and_the_run_heard_from_its_begin(text: bytes) -> None:
    broker, troubles = FakeBroker(), Troubles()
    broker.hashes[listener("mail")] = {"abc": text}

    assert Positions(broker, "mail").find("digits", "abc", troubles) == 0
    assert troubles.counts == ({("digits", "bad"): 1} if text else {})
