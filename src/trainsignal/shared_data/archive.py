"""`Archive`: the place on disk where the shared data is published; knows when and how, not what."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trainsignal import files
from trainsignal.errors import RunStateError
from trainsignal.shared_data.lock import ArchiveLock, archive_error

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
        self.path = files.expand(path).resolve()
        self._read_image = read_image
        self._clock = clock
        self._process = os.getpid()
        self._lock: ArchiveLock | None = None
        self._may_hold_another = True
        self._is_held = False
        self._only_reads = False
        self._next_due_s = float("-inf")

    @property
    def is_claimed(self) -> bool:
        """Whether this process may publish."""
        return self._lock is not None and not self._is_held and self._is_ours()

    @property
    def is_due(self) -> bool:
        """Whether the path is claimed and the last attempt to publish is long enough ago."""
        return self.is_claimed and self._clock() >= self._next_due_s

    def only_read(self) -> None:
        """Neither claim nor publish from now on."""
        self._only_reads = True

    def hold(self) -> None:
        """Publish nothing until `go_on`: the file at the path is to be continued, and is not read yet."""
        self._is_held = True

    def go_on(self) -> None:
        """Publish from now on over the file at the path, whose content has been taken over."""
        self._is_held = self._may_hold_another = False

    def claim(self) -> None:
        """Take the lock and remove what a killed run left half-written; see `SharedData.claim`."""
        if self._lock is not None or self._only_reads or not self._is_ours():
            return
        path = self.path.resolve()  # a link may have been made meanwhile
        files.check_target(path, "the archive")
        lock = ArchiveLock(path)
        try:
            files.remove_stale(path)
        except OSError as error:
            lock.release()
            raise archive_error(error, "claim", path) from error
        self.path = path
        self._lock = lock
        self._may_hold_another = True
        self._next_due_s = float("-inf")

    def publish(self) -> Path | None:
        """Write the file aside, whole, and rename it over the path; see `SharedData.publish`."""
        if not self._is_ours() or self._is_held or self._only_reads:
            return None
        if self._lock is None:
            raise RunStateError(f"{str(self.path)!r} is not claimed. Call claim() before publishing.")
        kept = None
        began_s = self._clock()
        try:
            with files.replacing(self.path) as temporary:
                temporary.write_bytes(self._read_image())
                if self._may_hold_another:  # only now: an attempt that fails leaves no second name behind
                    kept = files.keep_aside(self.path)
                    self._may_hold_another = False
        except OSError as error:
            raise archive_error(error, "publish", self.path) from error
        finally:
            now_s = self._clock()
            self._next_due_s = now_s + max(SHORTEST_PAUSE_S, PAUSE_PER_DURATION * (now_s - began_s))
        if kept is not None:
            _logger.info("the file that was at %s is kept as %s", self.path, kept)
        return kept

    def release(self) -> None:
        """Give the lock up. May be called twice."""
        self._is_held = False
        if self._lock is not None and self._is_ours():
            self._lock.release()
            self._lock = None

    def _is_ours(self) -> bool:
        """Return whether this is the process that made the object, not a forked child."""
        return self._process == os.getpid()


def save_image(read_image: Callable[[], bytes], path: str | Path) -> None:
    """Write an image to any path, atomically; see `SharedData.save_as`."""
    target = files.expand(path).resolve()
    files.check_target(target, "the archive")
    try:
        with files.replacing(target) as temporary:
            temporary.write_bytes(read_image())
    except OSError as error:
        raise archive_error(error, "save", target) from error
