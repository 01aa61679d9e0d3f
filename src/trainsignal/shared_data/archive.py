"""`Archive`: the place on disk where the shared data is published; knows when and how, not what."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainsignal import files
from trainsignal.errors import ArchiveError, RunStateError
from trainsignal.shared_data.lock import ArchiveLock

_logger = logging.getLogger(__name__)

SHORTEST_PAUSE_S: Final = 1.0
PAUSE_PER_DURATION: Final = 50
"""Publishing takes at most one part in so many of the time."""


class Archive:
    """A path that is claimed, published to as often as is cheap, and released.

    Only the process that made the object touches the disk; in a forked child every method does nothing.

    Args:
        path: where to publish; symbolic links are followed, `~` and `$NAME` expanded.
        read_image: returns the whole file to publish.
        clock: seconds, monotonic.
    """

    def __init__(
        self, path: str | Path, read_image: Callable[[], bytes], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.path = resolved(path)
        self._read_image = read_image
        self._clock = clock
        self._process = os.getpid()
        self._lock: ArchiveLock | None = None
        self._may_hold_another = True
        self._next_due_s = float("-inf")

    @property
    def is_claimed(self) -> bool:
        """Whether this process may publish."""
        return self._lock is not None and self.is_ours

    @property
    def is_ours(self) -> bool:
        """Whether this is the process that made the object, not a forked child."""
        return self._process == os.getpid()

    def claim(self) -> None:
        """Take the lock and remove what a killed run left half-written. May be called twice.

        Raises:
            ConfigurationError: the path could not be written later.
            ArchiveLockedError: another run is writing it.
            ArchiveError: the lock cannot be taken, or the leftovers not removed.
        """
        if self._lock is not None or not self.is_ours:
            return
        path = resolved(self.path)
        files.check_target(path, "the archive")
        lock = ArchiveLock(path)
        try:
            files.remove_stale(path)
        except OSError as error:
            lock.release()
            raise _archive_error(error, "claim", path) from error
        self.path = path
        self._lock = lock
        self._may_hold_another = True
        self._next_due_s = float("-inf")

    def publish(self) -> Path | None:
        """Write the file aside, whole, and rename it over the path.

        Returns:
            Where the file was kept that an earlier run had left at the path; None if there was none.

        Raises:
            RunStateError: the path is not claimed.
            ArchiveError: the disk is full, or the folder gone; the previous file is whole.
        """
        if not self.is_ours:
            return None
        if self._lock is None:
            raise RunStateError(f"{str(self.path)!r} is not claimed. Call claim() before publishing.")
        began_s = self._clock()
        try:
            return self._replace()
        except OSError as error:
            raise _archive_error(error, "publish", self.path) from error
        finally:
            now_s = self._clock()
            self._next_due_s = now_s + max(SHORTEST_PAUSE_S, PAUSE_PER_DURATION * (now_s - began_s))

    @property
    def is_due(self) -> bool:
        """Whether the path is claimed and the last attempt to publish is long enough ago."""
        return self._lock is not None and self._clock() >= self._next_due_s and self.is_ours

    def release(self) -> None:
        """Give the lock up. May be called twice."""
        if self._lock is not None and self.is_ours:
            self._lock.release()
            self._lock = None

    def _replace(self) -> Path | None:
        kept = None
        with files.replacing(self.path) as temporary:
            temporary.write_bytes(self._read_image())
            if self._may_hold_another:  # only now: an attempt that fails leaves no second name behind
                kept = files.keep_aside(self.path)
                self._may_hold_another = False
                if kept is not None:
                    _logger.info("the file that was at %s is kept as %s", self.path, kept)
        return kept


def save_image(read_image: Callable[[], bytes], path: str | Path) -> None:
    """Write an image to any path, atomically; a file that is there is replaced.

    Raises:
        ConfigurationError: the path cannot be written.
        ArchiveError: the disk is full, or the folder gone.
    """
    target = resolved(path)
    files.check_target(target, "the archive")
    try:
        with files.replacing(target) as temporary:
            temporary.write_bytes(read_image())
    except OSError as error:
        raise _archive_error(error, "save", target) from error


def resolved(path: str | Path) -> Path:
    """Return the absolute path that `path` stands for: `~`, `$NAME` and symbolic links followed."""
    return files.expand(path).resolve()


def _archive_error(error: OSError, verb: str, path: Path) -> ArchiveError:
    """Return `error` as ours, with its number; whatever it was, the file at `path` is whole."""
    reason = error.strerror or str(error)
    return ArchiveError(error.errno, f"cannot {verb} the archive: {reason}", str(path))
