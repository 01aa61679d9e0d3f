"""Runs under whose keys somebody else has put something: they alone are passed over, until that is gone."""

from __future__ import annotations

from collections.abc import Collection

from trainsignal.relay.broker import Broker
from trainsignal.remote.source import Source
from trainsignal.remote.troubles import LATE, Troubles


def look_for_strange_keys(broker: Broker, sources: Collection[Source], troubles: Troubles) -> bool:
    """Pass over the runs that cannot be read, and no longer those that can again, from their begin.

    Returns:
        Whether there is one more that cannot be read.

    Raises:
        RelayError: the broker is away.
    """
    kinds = broker.no_streams(key for source in sources for key in source.places)
    has_found = False
    for source in sources:
        strange = [key for key in source.places if key in kinds]
        if strange and not source.is_passed_over:
            source.is_passed_over = has_found = True
            troubles.note(
                source.name, "strange key",
                f"it is passed over, for its key {strange[0]!r} holds a {kinds[strange[0]]} and no stream: "
                "delete or rename that key",
            )  # fmt: skip
        elif source.is_passed_over and not strange:
            source.is_passed_over = False
            troubles.note(source.name, "late", LATE, source.rename(source.name))
    return has_found
