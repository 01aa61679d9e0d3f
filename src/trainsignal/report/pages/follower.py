"""An archive that changes: read again when it has. Knows nothing of pages, and disturbs no run.

Opens the archive for reading alone, and only while it reads; never takes its lock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from trainsignal.report import wording
from trainsignal.report.reading import read_found_run
from trainsignal.report.records import Run
from trainsignal.report.writer import writer_life

WRITER_CHECK_S = 3.0
"""Seconds after which is asked anew whether the process lives that writes the archive."""

_Stamp: TypeAlias = tuple[int, int, int, object]
"""What tells one state of an archive from the next: inode, time of change, size, and its writer's life."""


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What there is to see of an archive. Nothing has changed as long as a look gives the same object.

    Attributes:
        run: as it was last read; None: there was nothing to read yet.
        notice: what is the matter, in words; None: all is well.
    """

    run: Run | None
    notice: str | None


class Follower:
    """Keeps in sight what an archive holds, whatever becomes of the file. Any thread may look.

    Args:
        path: of the archive; need not exist yet.
        read: reads it; raises ArchiveError where that cannot be done at the moment.
        clock: seconds since 1970-01-01 UTC.
        writer_of: tells the life of the process that writes the archive, by any value that changes with it.
    """

    def __init__(
        self,
        path: Path,
        *,
        read: Callable[[Path], Run] = read_found_run,
        clock: Callable[[], float] = time.time,
        writer_of: Callable[[Path], object] = writer_life,
    ) -> None:
        self.path = path
        self._read = read
        self._clock = clock
        self._writer_of = writer_of
        self._looking = threading.Lock()
        self._stamp: _Stamp | None = None
        self._writer: object = None
        self._writer_checked_at = -WRITER_CHECK_S
        self._read_at = 0.0
        self._sight = Sight(None, f"waiting for {path}")

    def look(self) -> Sight:
        """Return what there is to see now. Of a file that has not changed, only its state is asked.

        A file that cannot be read at this moment is tried again at the next look.
        """
        with self._looking:
            try:
                stamp = self._current_stamp()
                if stamp != self._stamp:
                    run = self._read(self.path)
                    self._stamp, self._read_at = stamp, self._clock()
                    self._sight = Sight(run, None)
            except (FileNotFoundError, NotADirectoryError):
                self._miss("the file is gone" if self._sight.run else f"waiting for {self.path}")
            except OSError as error:  # ArchiveError among them
                self._miss(str(error))
            return self._sight

    def _current_stamp(self) -> _Stamp:
        """Return the state of the archive.

        Raises:
            OSError: it is not there, or its folder cannot be searched.
        """
        state = self.path.stat()
        now = self._clock()
        if not 0 <= now - self._writer_checked_at < WRITER_CHECK_S:
            self._writer, self._writer_checked_at = self._writer_of(self.path), now
        return state.st_ino, state.st_mtime_ns, state.st_size, self._writer

    def _miss(self, reason: str) -> None:
        """Keep what was read last, and say why it is no newer."""
        self._stamp = None
        notice = reason
        if self._sight.run is not None:
            notice = f"{reason}; this is what was read at {wording.moment(self._read_at)}"
        if notice != self._sight.notice:
            self._sight = Sight(self._sight.run, notice)
