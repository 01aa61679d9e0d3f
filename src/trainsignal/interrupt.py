"""SIGINT and SIGTERM while a run goes on: noted when they come, raised at the next boundary.

So that a run is cut short between two minibatches, with model and series whole, and not amid an update. The
only file that sets signal handlers, and only while its context manager is open.
"""

from __future__ import annotations

import _thread
import contextlib
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

from trainsignal.errors import ConfigurationError
from trainsignal.receiver import note_author

_logger = logging.getLogger(__name__)

PREEMPTED_STATUS: Final = 128 + 15
"""Exit status of a process that SIGTERM ended."""

LEAST_GRACE_S: Final = 1.0
"""Seconds that a run has, once its grace period is over, to end in order because of what was raised."""


class PreemptedExit(SystemExit):
    """The machine is to be given back: SIGTERM came; ends the process with status 143."""

    def __init__(self) -> None:
        super().__init__(PREEMPTED_STATUS)


class Interruption:
    """Listens to SIGINT and SIGTERM inside its `with` block, which may be nested in itself.

    The first signal is noted, and `raise_if_asked` raises at the next boundary: `KeyboardInterrupt`, or
    `PreemptedExit` for SIGTERM. A second one raises at once, and so does the first where no boundary comes
    within the grace period. Outside the main thread, and for signals that are ignored, nothing is changed.

    Args:
        grace_s: seconds to wait for a boundary, 0 or more; infinity for as long as it takes.
        notice: called by the handler, amid anything, at the first signal; has the next boundary come soon.
        force: called by it before it raises amid anything.

    Attributes:
        grace_s: see above.

    Raises:
        ConfigurationError: `grace_s` is no such time.
    """

    def __init__(self, grace_s: float, notice: Callable[[], object], force: Callable[[], object]) -> None:
        if isinstance(grace_s, bool) or not isinstance(grace_s, (int, float)) or not grace_s >= 0:  # pyright: ignore[reportUnnecessaryIsInstance]  # a user may pass anything
            raise ConfigurationError(f"grace_s={grace_s!r}: expected seconds, 0 or more")
        self.grace_s = grace_s
        self._notice = notice
        self._force = force
        self._asked: int | None = None
        self._waits_since_s = 0.0
        self._has_raised = False
        self._was_at_boundary = threading.Event()
        self._depth = 0
        self._process = os.getpid()
        self._before: dict[int, Any] = {}

    def asked_at_boundary(self) -> tuple[int, str] | None:
        """Return number and name of the signal that came and was not raised yet; None where none did.

        To be called at a boundary at which it is not to be raised: the next one is waited for as long again.
        """
        asked, boundary = self._asked, self._was_at_boundary
        if asked is None:
            return None
        self._was_at_boundary, self._waits_since_s = threading.Event(), time.monotonic()
        boundary.set()
        return asked, signal.Signals(asked).name

    def grace_left_s(self) -> float:
        """Return the seconds of the grace period that are left: all of them where no signal came.

        At least one, in which what was raised for it can end the run in order.
        """
        waited_s = 0.0 if self._asked is None else time.monotonic() - self._waits_since_s
        return max(LEAST_GRACE_S, self.grace_s - waited_s)

    def raise_agreed(self, number: int, author: str) -> NoReturn:
        """Raise what a signal of this number asks for, which may have come to another process of the run.

        Raises:
            KeyboardInterrupt: for SIGINT.
            PreemptedExit: for SIGTERM.
        """
        self._raise(number, author)

    def raise_if_asked(self) -> None:
        """Raise what a signal asked for; called at boundaries.

        Raises:
            KeyboardInterrupt: after SIGINT.
            PreemptedExit: after SIGTERM.
        """
        if self._asked is not None:
            self._raise(self._asked)

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self._process, self._has_raised = os.getpid(), False
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):  # None: not set from Python, cannot be restored
                    self._before[number] = before
                    signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth:
            return
        self._restore()
        asked, self._asked = self._asked, None
        if asked is not None and error is None:  # it came after the last boundary
            self._raise(asked)

    def _restore(self) -> None:
        self._was_at_boundary.set()
        while self._before:
            number, before = self._before.popitem()
            signal.signal(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; raise at the second."""
        if os.getpid() != self._process:  # pragma: no cover - a forked worker: as if we were not there
            self._restore()
            os.kill(os.getpid(), number)
            return
        if self._asked is not None or self._has_raised:
            self._force()
            self._raise(number)
        self._asked, self._waits_since_s = number, time.monotonic()
        self._was_at_boundary = threading.Event()
        self._notice()
        watch = threading.Thread(target=self._watch, args=(number,), name="trainsignal grace", daemon=True)
        with contextlib.suppress(RuntimeError):  # no thread to be had: then there is no grace period
            watch.start()

    def _watch(self, number: int) -> None:
        """Tell the user what will happen, which a handler must not, and have it happen in time."""
        _logger.warning(
            "%s: the run stops at the next boundary, at the latest in %g s; once more stops it at once",
            signal.Signals(number).name, self.grace_s,
        )  # fmt: skip
        patience_s = None if self.grace_s == math.inf else min(self.grace_s, threading.TIMEOUT_MAX)
        while self._asked is not None and self._was_at_boundary.wait(patience_s):
            pass
        if self._asked is not None:
            if sys.platform == "win32":  # pragma: no cover - the tests run on POSIX
                _thread.interrupt_main(number)
            else:  # unlike interrupt_main, ends a sleeping system call too
                signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _raise(self, number: int, author: str | None = None) -> NoReturn:
        self._asked, self._has_raised = None, True
        self._was_at_boundary.set()
        error = KeyboardInterrupt() if number == signal.SIGINT else PreemptedExit()
        note_author(error, author or signal.Signals(number).name)
        raise error
