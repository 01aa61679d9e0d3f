"""`LastResort`: ends a process that another rank's failure has left blocked inside a collective.

There no Python runs in the main thread, so that nothing can be raised. A thread waits for a while for the
run to end in order, then saves what there is and ends the process. The only file that exits one.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

from trainsignal.distributed.failure import RankFailure

_logger = logging.getLogger(__name__)

FAILED_STATUS: Final = 1
"""Exit status, as of a process that an exception ends."""

SAVING_S: Final = 4.0
"""Seconds for which a disk is waited for."""

SPEAKING_S: Final = 1.0
"""Seconds for which whoever reads the log and the output is waited for."""

WAITING_S: Final = 1.0
"""Seconds for which the other ranks are waited for until they are ready to end, too."""

GOING_LAST_S: Final = 3.0
"""Seconds by which the rank that failed ends earlier: a launcher may end all as soon as the first one has
exited, and calls that one the cause; the one that failed has a traceback to print, and PyTorch to unload."""


class LastResort:
    """Waits, once it is called, for the run to be over.

    Args:
        patience: returns the seconds to wait, asked when it is called.
        save: called in a thread of ours if that was in vain; saves the record of the run.
        end_process: ends this process with a status, at once.
    """

    def __init__(
        self,
        patience: Callable[[], float],
        save: Callable[[RankFailure], object],
        end_process: Callable[[int], object] = os._exit,
    ) -> None:
        self._patience = patience
        self._save = save
        self._end_process = end_process
        self._is_over = threading.Event()

    def call(self, failure: RankFailure, wait_for_others: Callable[[float], object]) -> None:
        """Begin to wait; may be called by any thread.

        Args:
            failure: of another rank.
            wait_for_others: waits, once the record is saved, until the other ranks are ready to end; takes
                the seconds to wait at most.
        """
        threading.Thread(
            target=self._wait, args=(failure, wait_for_others), name="trainsignal last resort", daemon=True
        ).start()

    def dismiss(self) -> None:
        """Note that the run is over, in order."""
        self._is_over.set()

    def _wait(self, failure: RankFailure, wait_for_others: Callable[[float], object]) -> None:
        patience_s = min(self._patience(), threading.TIMEOUT_MAX)
        if self._is_over.wait(patience_s):
            return
        try:
            is_saved = _is_done_in_time(lambda: self._try_to_save(failure), SAVING_S)
            _is_done_in_time(lambda: self._speak(failure, patience_s, is_saved=is_saved), SPEAKING_S)
            wait_for_others(WAITING_S)
            time.sleep(GOING_LAST_S)
        finally:  # there may be no thread to be had
            self._end_process(FAILED_STATUS)

    def _try_to_save(self, failure: RankFailure) -> None:
        try:
            self._save(failure)
        except Exception:
            _logger.exception("the record of the run could not be saved")

    def _speak(self, failure: RankFailure, patience_s: float, *, is_saved: bool) -> None:
        """Say why the process ends, and have out what it has said before, which os._exit would lose."""
        if not is_saved:
            _logger.error("the record of the run was not saved within %g s", SAVING_S)
        _logger.critical(
            "%s; this rank waits for that one, and has come to no boundary within %g s: it ends now",
            failure, patience_s,
        )  # fmt: skip
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # as without a console
                with contextlib.suppress(OSError, ValueError):  # nobody reads it any more; it is closed
                    stream.flush()


def _is_done_in_time(action: Callable[[], object], limit_s: float) -> bool:
    """Do something that may hang in a thread of its own; return whether it has ended in time."""
    thread = threading.Thread(target=action, name="trainsignal last resort", daemon=True)
    thread.start()
    thread.join(limit_s)
    return not thread.is_alive()
