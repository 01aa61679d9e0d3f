"""`ArchiveLock`: one writer for one path, over all processes; knows nothing of what is written there."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from weakref import finalize

from trainsignal.errors import ArchiveError, ArchiveLockedError

if sys.platform == "win32":  # pragma: no cover - the tests run on POSIX
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class ArchiveLock:
    """The exclusive right to write `path`: a lock on the file `<path>.lock`, held until `release`.

    The operating system ends it with the process; the lock file of a killed run is of no consequence. A
    forked child closes its copy at once, so that a data loader's worker that outlives its trainer holds
    nothing.

    Args:
        path: the file to be written; need not exist.

    Raises:
        ArchiveLockedError: another run, here or in another process, holds it.
        ArchiveError: the lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f"{path.name}.lock")
        # `release` is the way to end it. This is for a run that failed and was forgotten: not for ever.
        self._close = finalize(self, os.close, self._acquired(path))
        self._close.atexit = False
        if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows knows no fork
            os.register_at_fork(after_in_child=self._close)

    def release(self) -> None:
        """Give the right up and remove the lock file. May be called twice; nothing in a forked child."""
        if self._close.alive:
            with contextlib.suppress(OSError):  # the folder may be gone; Windows removes no open file
                self.path.unlink(missing_ok=True)  # while locked: nobody else can have taken it meanwhile
            self._close()

    def _acquired(self, path: Path) -> int:
        """Return the descriptor of the lock file, locked and holding our process id."""
        while True:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise archive_error(error, "lock", self.path) from error
            try:
                _lock(descriptor)
                if self._is_at_path(descriptor):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                    return descriptor
            except (BlockingIOError, PermissionError) as error:
                held = ArchiveLockedError(self._held_message(path, descriptor))
                os.close(descriptor)
                raise held from error
            except OSError as error:
                os.close(descriptor)
                raise archive_error(error, "lock", self.path) from error
            os.close(descriptor)  # its holder removed it between our opening and our locking: once more

    def _is_at_path(self, descriptor: int) -> bool:
        """Return whether what `descriptor` has open still is the lock file that others will open."""
        try:
            return os.path.samestat(os.fstat(descriptor), self.path.stat())
        except FileNotFoundError:
            return False

    def _held_message(self, path: Path, descriptor: int) -> str:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() if hasattr(os, "pread") else ""
        by = f"process {holder}" if holder else "another process"
        remedy = "Wait for that run to end, or end it"
        if holder == str(os.getpid()):
            by = f"another run in this process ({holder})"
            remedy = "If that run is over, release its archive with callbacks.callback_data.close()"
        return (
            f"the archive {str(path)!r} is being written by {by}, which holds {str(self.path)!r}. "
            f"{remedy}; or give this one another output_file."
        )


def archive_error(error: OSError, verb: str, path: Path) -> ArchiveError:
    """Return `error` as ours, with its number and the path it is about."""
    return ArchiveError(error.errno, f"cannot {verb} the archive: {error.strerror or error}", str(path))
