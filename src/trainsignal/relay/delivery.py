"""`Delivery`: brings what a run publishes to the broker, whatever becomes of that; used by one thread alone.

Never sleeps: it says when it wants to be called again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from trainsignal.errors import RelayError
from trainsignal.relay.broker import AccessDeniedError, Addition, Broker
from trainsignal.relay.claim import Claim, claim_name
from trainsignal.relay.commands import CommandDesk
from trainsignal.relay.messages import Message, MessageError, encode
from trainsignal.relay.outbox import Outbox
from trainsignal.relay.requests import RunEntry
from trainsignal.relay.streams import MOST_MINIBATCH_BLOCKS, RUNS, events, minibatches

AT_ONCE: Final = 64
"""Messages that are sent with one round trip."""

SIGN_OF_LIFE_S: Final = 2.0
"""So often the run says that it lives."""

LOOK_FOR_COMMANDS_S: Final = 0.5

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
"""Between two attempts to reach the broker; each pause is twice the one before."""

DENIED_PAUSE_S: Final = 30.0
"""Between two attempts where the broker does not let us in, which time alone will hardly mend."""

_logger = logging.getLogger(__name__)


class Delivery:
    """One run's connection to its broker.

    Args:
        broker: where to.
        outbox: what to deliver.
        desk: what is asked of the run.
        run_name: the name to try first.
        entry: what the list of runs says of the run; its `seen_at` is set here.
        trimmed_to: durable messages that the broker keeps, about.
        clock: seconds, monotonic.
        wall_clock: seconds since 1970-01-01 UTC.
    """

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox,
        desk: CommandDesk,
        run_name: str,
        entry: RunEntry,
        trimmed_to: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._broker = broker
        self._outbox = outbox
        self._desk = desk
        self._name = run_name
        self._entry = entry
        self._trimmed_to = trimmed_to
        self._clock = clock
        self._wall_clock = wall_clock
        self._before: Claim | None = None  # what an earlier process of the run left; None: not known yet
        self._is_connected = False
        self._failures = 0  # since the last connection
        self._try_at = self._seen_at = self._served_at = -1e9  # by the clock: when next, when last
        self._told_of_drops = (0, 0)
        self._has_told_of_large = False

    def step(self) -> float:
        """Do what is due; return in how many seconds to be called again, or sooner where there is news."""
        now = self._clock()
        if now < self._try_at:
            return self._try_at - now
        try:
            if not self._is_connected:
                self._connect()
            self._send_all()
            self._show_signs(now)
        except RelayError as error:
            return self._failed(error)
        return min(self._seen_at + SIGN_OF_LIFE_S, self._served_at + LOOK_FOR_COMMANDS_S) - now

    def try_now(self) -> None:
        """Have the next step try to reach the broker, whenever that was to be."""
        self._try_at = self._clock()

    def end(self, reason: str) -> None:
        """Say in the list of runs why the run ended, and let go of the broker; once all is delivered.

        Args:
            reason: the exit reason.
        """
        self._entry = replace(self._entry, state=reason)
        try:
            if self._is_connected:
                self._broker.put(RUNS, self._name, self._entry_now().encode())
        except RelayError as error:
            _logger.warning("the list of runs still has %r as running: %s", self._name, error)
        self._broker.close()

    def _connect(self) -> None:
        """Find the run's place on the broker, and what it has of the run by now."""
        claim = claim_name(self._broker, self._name, self._entry_now())
        if claim.name != self._name:
            _logger.warning(
                "another run at %s has the name %r: this one is %r",
                self._broker.url, self._name, claim.name,
            )  # fmt: skip
            self._name = claim.name
        if self._before is None:
            self._before = claim
        else:
            self._outbox.go_on_after(max(0, claim.durable - self._before.durable))
        self._is_connected = True
        self._tell_of_connection()
        self._failures = 0

    def _send_all(self) -> None:
        while messages := self._outbox.take(AT_ONCE):
            try:
                self._broker.append(self._additions(messages))
            except RelayError:
                self._outbox.give_back(messages)
                raise
            self._outbox.delivered(messages)

    def _additions(self, messages: Sequence[Message]) -> list[Addition]:
        """Return what to append, with the numbers that go on from those of an earlier process."""
        assert self._before is not None  # we are connected
        additions: list[Addition] = []
        for message in messages:
            is_durable = message.durable is not None
            durable = self._before.durable + message.durable if message.durable is not None else None
            numbered = replace(message, number=self._before.number + message.number, durable=durable)
            stream = events(self._name) if is_durable else minibatches(self._name)
            kept = self._trimmed_to if is_durable else MOST_MINIBATCH_BLOCKS
            try:
                additions.append(Addition(stream, encode(numbered), kept))
            except MessageError as error:
                if is_durable:  # they are made to fit
                    raise
                self._tell_of_large(message, error)
        return additions

    def _show_signs(self, now: float) -> None:
        """Say that the run lives, and look for commands, each when it is due."""
        if now - self._seen_at >= SIGN_OF_LIFE_S:
            self._broker.put(RUNS, self._name, self._entry_now().encode())
            self._seen_at = now
        if now - self._served_at >= LOOK_FOR_COMMANDS_S:
            self._desk.serve(self._broker, self._name)
            self._served_at = now

    def _entry_now(self) -> RunEntry:
        return replace(self._entry, seen_at=self._wall_clock())

    def _failed(self, error: RelayError) -> float:
        """Note that the broker is out of reach, tell so once, and return how long to wait."""
        self._is_connected = False
        is_denied = isinstance(error, AccessDeniedError)
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
        if is_denied:
            pause_s = DENIED_PAUSE_S
        if not self._failures:
            _logger.log(
                logging.ERROR if is_denied else logging.WARNING,
                "%s. Training goes on; the relay tries again.", str(error).rstrip("."),
            )  # fmt: skip
        self._failures += 1
        self._try_at = self._clock() + pause_s
        return pause_s

    def _tell_of_connection(self) -> None:
        dropped = (self._outbox.dropped_minibatches, self._outbox.dropped_signals)
        meanwhile = ""
        if dropped != self._told_of_drops:
            of_minibatches, of_signals = (
                now - then for now, then in zip(dropped, self._told_of_drops, strict=True)
            )
            meanwhile = (
                f"; {of_minibatches} minibatches and {of_signals} other signals were dropped meanwhile"
            )
            self._told_of_drops = dropped
        _logger.info(
            "the run is relayed as %r by the broker at %s%s", self._name, self._broker.url, meanwhile
        )

    def _tell_of_large(self, message: Message, error: MessageError) -> None:
        if not self._has_told_of_large:
            self._has_told_of_large = True
            _logger.warning(
                "the relay leaves out what is too large, such as this %s: %s", message.signal, error
            )
