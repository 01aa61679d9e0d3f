"""Runs under whose keys somebody has put something else: told, passed over, and read again afterwards."""

from __future__ import annotations

import pytest

from tests.remote.fake_broker import FakeBroker
from tests.remote.told import entry
from trainsignal.relay import streams
from trainsignal.remote.source import BEGIN, Source
from trainsignal.remote.strange_keys import look_for_strange_keys
from trainsignal.remote.troubles import Troubles


@pytest.mark.parametrize("key", [streams.events("mnist"), streams.minibatches("mnist")])
def test_run_with_a_strange_key_is_passed_over_and_told_once(
    key: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker, troubles = FakeBroker(), Troubles()
    sources = [Source("digits", entry()), Source("mnist", entry(run_id="another"))]
    broker.strange = {key}

    assert look_for_strange_keys(broker, sources, troubles)
    assert not look_for_strange_keys(broker, sources, troubles)

    assert [one.is_passed_over for one in sources] == [False, True]
    assert sources[0].wanted() and not sources[1].wanted()
    assert [one.getMessage() for one in caplog.records] == [
        f"run 'mnist': it is passed over, for its key {key!r} holds a string and no stream: delete or rename "
        "that key"
    ]


def test_run_that_can_be_read_again_is_read_from_its_begin() -> None:
    broker, source = FakeBroker(), Source("digits", entry())
    broker.strange = {source.events}
    look_for_strange_keys(broker, [source], Troubles())
    source.places[source.minibatches] = "5-0"
    broker.strange = set()

    assert not look_for_strange_keys(broker, [source], Troubles())

    assert not source.is_passed_over
    assert set(source.places.values()) == {BEGIN} and len(source.wanted()) == 2
