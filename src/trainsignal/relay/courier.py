"""`Courier`: the thread in which a run's relay works, beside the one that trains."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from trainsignal.relay.delivery import Delivery
from trainsignal.relay.outbox import Outbox

_LAST_PAUSE_S: Final = 0.05
"""Between attempts at the end of a run, when somebody waits."""

_logger = logging.getLogger(__name__)


class Courier:
    """Delivers in the background from `start` to `close`.

    Ends with its process: a daemon thread, so that an abandoned run does not keep a program alive.

    Args:
        delivery: what to do, again and again.
        outbox: whose news wake it.
    """

    def __init__(self, delivery: Delivery, outbox: Outbox) -> None:
        self._delivery = delivery
        self._outbox = outbox
        self._reason: str | None = None
        self._deadline = 0.0
        self._thread = threading.Thread(target=self._work, name="trainsignal relay", daemon=True)

    def start(self) -> None:
        """Begin to deliver; where there is no thread to be had, the user is told and nothing is."""
        try:
            self._thread.start()
        except RuntimeError as error:
            _logger.error("nothing of this run is relayed: %s", error)  # noqa: TRY400  # a trace tells no more

    def close(self, reason: str, patience_s: float) -> None:
        """Deliver what is left, as far as that goes, and end.

        Args:
            reason: the run's exit reason.
            patience_s: seconds to wait at most.
        """
        self._deadline = time.monotonic() + patience_s
        self._reason = reason
        self._outbox.news.set()
        if self._thread.is_alive():
            self._thread.join(patience_s)
        if self._outbox.undelivered:
            _logger.warning(
                "the relay could not deliver %d messages of this run, and gives them up",
                self._outbox.undelivered,
            )

    def _work(self) -> None:
        while self._reason is None:
            pause_s = self._delivery.step()
            self._outbox.news.wait(pause_s)
            self._outbox.news.clear()
        self._delivery.try_now()
        self._delivery.step()
        while self._goes_on():
            time.sleep(_LAST_PAUSE_S)
            self._delivery.try_now()
            self._delivery.step()
        self._delivery.end(self._reason)

    def _goes_on(self) -> bool:
        """Return whether to try again at the end of a run; who is not let in is not let in soon after."""
        is_in_time = time.monotonic() < self._deadline
        is_done = self._outbox.is_empty and self._delivery.is_connected
        return is_in_time and not is_done and not self._delivery.is_denied
