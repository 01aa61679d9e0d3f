"""`LastResort`: ends a process that another rank's failure has left blocked inside a collective.

There no Python runs in the main thread, so that nothing can be raised. A thread waits for a while for the
run to end in order, then saves what there is and ends the process. The only file that exits one.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from trainsignal.distributed.failure import RankFailure

_logger = logging.getLogger(__name__)

FAILED_STATUS: Final = 1
"""Exit status, as of a process that an exception ends."""


class LastResort:
    """Waits, once it is called, for the run to be over.

    Args:
        patience_s: seconds to wait.
        save: called in a thread of ours if that was in vain; saves the record of the run.
        end_process: ends this process with a status, at once.
    """

    def __init__(
        self,
        patience_s: float,
        save: Callable[[RankFailure], object],
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._patience_s = min(patience_s, threading.TIMEOUT_MAX)
        self._save = save
        self._end_process = end_process
        self._is_over = threading.Event()

    def call(self, failure: RankFailure) -> None:
        """Begin to wait; may be called by any thread."""
        threading.Thread(
            target=self._wait, args=(failure,), name="trainsignal last resort", daemon=True
        ).start()

    def dismiss(self) -> None:
        """Note that the run is over, in order."""
        self._is_over.set()

    def _wait(self, failure: RankFailure) -> None:
        if self._is_over.wait(self._patience_s):
            return
        try:
            self._save(failure)
        except Exception:
            _logger.exception("the record of the run could not be saved")
        _logger.critical(
            "%s; this rank waits for that one, and has come to no boundary within %g s: it ends now",
            failure, self._patience_s,
        )  # fmt: skip
        self._end_process(FAILED_STATUS)
