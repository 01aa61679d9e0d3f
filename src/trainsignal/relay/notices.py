"""`Notices`: what the user is told of the relay; once, where it would come again and again."""

from __future__ import annotations

import logging

from trainsignal.errors import RelayError
from trainsignal.relay.broker import AccessDeniedError
from trainsignal.relay.claim import Claim
from trainsignal.relay.messages import MessageError
from trainsignal.relay.outbox import Outbox

_logger = logging.getLogger(__name__)


class Notices:
    """The notices of one run's relay.

    Args:
        outbox: what gave way in it is told.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._told_of_drops = (0, 0, 0)
        self._has_told: set[str] = set()
        self._has_told_of_failure = False

    def connection(self, name: str, url: str) -> None:
        """Tell that the run is relayed, and what gave way since the last time."""
        outbox = self._outbox
        dropped = (outbox.dropped_minibatches, outbox.dropped_signals, outbox.given_up)
        of_minibatches, of_signals, of_durables = (
            now - then for now, then in zip(dropped, self._told_of_drops, strict=True)
        )
        self._told_of_drops = dropped
        meanwhile = ""
        if of_minibatches or of_signals:
            meanwhile = (
                f"; {of_minibatches} minibatches and {of_signals} other signals were dropped meanwhile"
            )
        if of_durables:
            meanwhile += f"; the oldest {of_durables} messages of epochs and the like were given up"
        level = logging.WARNING if of_durables or self._has_told_of_failure else logging.INFO
        self._has_told_of_failure = False
        _logger.log(level, "the run is relayed as %r by the broker at %s%s", name, url, meanwhile)

    def another_name(self, claim: Claim) -> None:
        """Tell that the run has got another name than it was to have."""
        _logger.warning("%s. This run is %r", claim.obstacle, claim.name)

    def failure(self, error: RelayError) -> None:
        """Tell that the broker cannot be reached, or does not do what it is asked for."""
        self._has_told_of_failure = True
        level = logging.ERROR if isinstance(error, AccessDeniedError) else logging.WARNING
        _logger.log(level, "%s. Training goes on; the relay tries again.", str(error).rstrip("."))

    def mistake(self) -> None:
        """Tell of the error that is being handled, which nobody expected."""
        if self._is_first("mistake"):
            _logger.exception("a mistake in the relay. Training goes on; the relay tries again.")

    def giving_up(self, most: int) -> None:
        """Tell, where it is so, that messages gave way of which so many are kept."""
        if self._outbox.given_up and self._is_first("giving up"):
            _logger.warning(
                "more than trimmed_to=%d messages of this run wait for the broker: the relay gives up the "
                "oldest", most,
            )  # fmt: skip

    def large(self, signal: str, error: MessageError) -> None:
        """Tell that something which may be left out is."""
        if self._is_first("large"):
            _logger.warning("the relay leaves out what is too large, such as this %s: %s", signal, error)

    def what_is_lost(self, signal: str, error: MessageError, *, is_told_in_part: bool) -> None:
        """Tell that a durable message cannot be written."""
        if self._is_first("lost"):
            what = "only in part" if is_told_in_part else "nothing"
            _logger.error("the relay tells %s of %s: %s", what, signal, error)

    def _is_first(self, kind: str) -> bool:
        is_first = kind not in self._has_told
        self._has_told.add(kind)
        return is_first
