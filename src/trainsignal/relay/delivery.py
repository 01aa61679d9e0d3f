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
from trainsignal.relay.notices import Notices
from trainsignal.relay.outbox import Outbox
from trainsignal.relay.requests import RunEntry
from trainsignal.relay.streams import MOST_MINIBATCH_BLOCKS, RUNS, events, minibatches
from trainsignal.relay.stub import stub_of

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

    Attributes:
        is_denied: whether the broker did not let us in at the last attempt.
        is_connected: whether all went well at the last attempt.
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
    ) -> None:
        self.is_denied = False
        self._broker = broker
        self._outbox = outbox
        self._desk = desk
        self._wanted_name = self._name = run_name
        self._entry = entry
        self._trimmed_to = trimmed_to
        self._clock = clock
        self._before: Claim | None = None  # what an earlier process of the run left; None: not known yet
        self.is_connected = False
        self._failures = 0  # since all was well
        self._try_at = self._seen_at = self._served_at = -1e9  # by the clock: when next, when last
        self._notices = Notices(outbox)
        self._has_told_of_connection = False

    def step(self) -> float:
        """Do what is due; return in how many seconds to be called again, or sooner where there is news."""
        now = self._clock()
        if now < self._try_at:
            return self._try_at - now
        try:
            if not self.is_connected:
                self._connect()
            self._send_all()
            self._show_signs(now)
        except RelayError as error:
            if not self._failures:
                self._notices.failure(error)
            return self._failed(is_denied=isinstance(error, AccessDeniedError))
        except Exception:  # noqa: BLE001  # a mistake in one message must not end the thread: it is told
            self._notices.mistake()
            return self._failed(is_denied=False)
        if not self._has_told_of_connection:  # only now: it may take what is read and not what is written
            self._notices.connection(self._name, self._broker.url)
            self._has_told_of_connection = True
        self._failures = 0
        self.is_denied = False
        return min(self._seen_at + SIGN_OF_LIFE_S, self._served_at + LOOK_FOR_COMMANDS_S) - now

    def try_now(self) -> None:
        """Have the next step try to reach the broker, whenever that was to be."""
        self._try_at = self._clock()

    def end(self, reason: str) -> None:
        """Say in the list of runs why the run ended, if the broker is there, and let go of it.

        Args:
            reason: the exit reason.
        """
        self._entry = replace(self._entry, state=reason)
        why = "the broker is away"
        try:
            if self.is_connected:
                self._broker.put(RUNS, self._name, self._entry_now().encode())
        except RelayError as error:
            self.is_connected, why = False, str(error)
        if self._before is not None and not self.is_connected:
            _logger.warning("the list of runs still has %r as running: %s", self._name, why)
        self._broker.close()

    def _connect(self) -> None:
        """Find the run's place on the broker, and what it has of the run by now."""
        before = None if self._before is None else self._name
        claim = claim_name(self._broker, self._wanted_name, self._entry_now(), before)
        if claim.name != self._name:
            self._notices.another_name(claim)
            self._name = claim.name
        if self._before is None:
            self._before = claim
        else:
            self._outbox.go_on_after(max(0, claim.durable - self._before.durable))
        self.is_connected = True
        self._has_told_of_connection = False

    def _send_all(self) -> None:
        while messages := self._outbox.take(AT_ONCE):
            try:
                self._broker.append(self._additions(messages))
            except BaseException:
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
            text = self._text_of(numbered)
            if text is not None:
                additions.append(Addition(stream, text, kept))
        return additions

    def _text_of(self, message: Message) -> str | None:
        """Return a message as text, what is left of a durable one that cannot be; None: nothing is."""
        try:
            return encode(message)
        except MessageError as error:
            if message.durable is None:
                self._notices.large(message.signal, error)
                return None
            stub = stub_of(message)
            self._notices.what_is_lost(message.signal, error, is_told_in_part=stub is not None)
            return None if stub is None else encode(stub)

    def _show_signs(self, now: float) -> None:
        """Say that the run lives, and look for commands, each when it is due."""
        if now - self._seen_at >= SIGN_OF_LIFE_S:
            self._broker.put(RUNS, self._name, self._entry_now().encode())
            self._seen_at = now
        if now - self._served_at >= LOOK_FOR_COMMANDS_S:
            self._desk.serve(self._broker, self._name)
            self._served_at = now

    def _entry_now(self) -> RunEntry:
        return replace(self._entry, seen_at=self._broker.now_ms() / 1000)

    def _failed(self, *, is_denied: bool) -> float:
        """Note that it did not work out, and return how long to wait."""
        self.is_connected = False
        self.is_denied = is_denied
        self._notices.giving_up(self._trimmed_to)
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self._failures, 10))
        if is_denied:
            pause_s = DENIED_PAUSE_S
        self._failures += 1
        self._try_at = self._clock() + pause_s
        return pause_s
