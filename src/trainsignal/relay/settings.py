"""`Relay`: where a run's signals and series are told to others, and which of them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from numbers import Real
from typing import Final, cast

from trainsignal.errors import ConfigurationError
from trainsignal.frequency import is_int
from trainsignal.relay.address import masked_url
from trainsignal.relay.broker import Broker
from trainsignal.relay.messages import DURABLE_SIGNALS, MINIBATCHES
from trainsignal.relay.streams import check_run_name
from trainsignal.signals import CATALOGUE

_LONGEST_CLOSING_S: Final = 3600


@dataclass(frozen=True, slots=True, repr=False)
class Relay:
    """How a run is relayed: `Callbacks(..., relay=Relay("redis://host:6379"))`.

    The run's own signals are always told: the begin and end of training and epochs, checkpoints, requests to
    stop; minibatches in blocks, a few a second. Nothing that happens to the relay stops or slows the run.

    Args:
        url: of the Redis server: redis://[user:password@]host[:port][/database], rediss:// for TLS, or
            unix:///path. The password is shown nowhere.
        run_name: under which listeners find the run; None: its script and the begin of its run_id.
        signals: names of signals of your own (`bus.declare`) that are told too, with those parts of their
            payload that are plain values.
        series: keys of the series that are told; None: all that have an axis of time.
        allow_remote_stop: whether whoever reaches the server may stop the run.
        queue_size: so many blocks of minibatches, and signals of your own, wait while the server is away;
            then the oldest give way.
        trimmed_to: so many of the other messages the server keeps for listeners that come later, about, and
            the run in case the server forgets them.
        closing_s: seconds that the end of the run waits at most until all is delivered.

    Raises:
        ConfigurationError: one of them cannot be.
        MissingPackageError: redis-py is not installed.
    """

    url: str
    run_name: str | None = None
    signals: Collection[str] = ()
    series: Collection[str] | None = None
    allow_remote_stop: bool = False
    queue_size: int = 500
    trimmed_to: int = 10_000
    closing_s: float = 5.0

    def __post_init__(self) -> None:
        """Check what was given."""
        Broker(self.url).close()  # connects nothing
        if self.run_name is not None:
            check_run_name(self.run_name)
        _check_names("signals", self.signals)
        if self.series is not None:
            _check_names("series", self.series)
        if not _is_bool(self.allow_remote_stop):
            raise ConfigurationError(f"allow_remote_stop={self.allow_remote_stop!r}: expected True or False")
        own = {spec.name for spec in CATALOGUE} | DURABLE_SIGNALS | {MINIBATCHES}
        told = [name for name in self.signals if name in own]
        if told:
            raise ConfigurationError(
                f"signals={told[0]!r}: the signals that every run has are told anyway; give the "
                "names of your own"
            )
        for name, number in (("queue_size", self.queue_size), ("trimmed_to", self.trimmed_to)):
            if not is_int(number) or number < 1:
                raise ConfigurationError(f"{name}={number!r}: expected an int of at least 1")
        if not _is_closing_time(self.closing_s):
            raise ConfigurationError(
                f"closing_s={self.closing_s!r}: expected seconds, a number from 0 to {_LONGEST_CLOSING_S}"
            )

    def __repr__(self) -> str:
        return f"Relay({masked_url(self.url)!r}, run_name={self.run_name!r})"


def _check_names(name: str, given: object) -> None:
    """Refuse what is no tuple of names, or the like.

    Raises:
        ConfigurationError: it is not.
    """
    if isinstance(given, (str, bytes)):
        raise ConfigurationError(f"{name}={given!r}: expected a tuple of names, such as ({given!r},)")
    if not isinstance(given, Collection):
        raise ConfigurationError(f"{name}={given!r}: expected a tuple of names")
    for one in cast("Collection[object]", given):
        if not isinstance(one, str) or not one:
            raise ConfigurationError(f"{name}={given!r}: expected a tuple of names, and {one!r} is none")


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_closing_time(value: object) -> bool:
    return not _is_bool(value) and isinstance(value, Real) and 0 <= float(value) <= _LONGEST_CLOSING_S
