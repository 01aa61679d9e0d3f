"""Paths as users write them, and writing files so that a kill leaves the old one or the new one, whole.

Knows nothing of what is written; the archive and the checkpoints both save through `replacing`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Generator
from pathlib import Path

from trainsignal.errors import ConfigurationError


def expand(path: str | os.PathLike[str]) -> Path:
    """Return `path` with ~ and $VARIABLES filled in.

    Raises:
        ConfigurationError: it is neither text nor a path object, or names a user that is not there.
    """
    try:
        return Path(os.path.expandvars(path)).expanduser()
    except TypeError as error:
        raise ConfigurationError(f"{path!r} is no path: give text, or a pathlib.Path") from error
    except RuntimeError as error:
        raise ConfigurationError(f"{str(path)!r}: there is no user of that name") from error


@contextlib.contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield a temporary path beside `path`; on leaving, sync it and rename it over `path`.

    Nothing at `path` changes if the body raises; the temporary is removed then.

    Raises:
        OSError: the disk is full, or the folder is gone or not writable.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        _sync(temporary, os.O_RDWR)  # Windows syncs nothing that is open for reading only
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the error that matters is the one on its way
            temporary.unlink(missing_ok=True)
        raise
    # So that the rename survives a power cut. Windows opens no folders, and some file systems do not sync
    # them; the new file stands nevertheless.
    with contextlib.suppress(OSError):
        _sync(path.parent, os.O_RDONLY)


def remove_stale(path: Path, *, numbered: bool = False) -> None:
    """Remove temporaries that killed processes left beside `path`; those of processes that live stay.

    Only processes of this machine can be seen, and on Windows none: nothing is removed there. This one
    counts as dead: in a container each run may have the id of the run before it.

    Args:
        path: what was being written.
        numbered: also remove those of `<stem>_<number><suffix>` and `<stem>_<number>_<number><suffix>`.

    Raises:
        OSError: the folder is gone or not writable.
    """
    number = "(?:_[0-9]+){0,2}" if numbered else ""
    stale = re.compile(rf"\.{re.escape(path.stem)}{number}{re.escape(path.suffix)}\.([0-9]+)\.tmp")
    for file in path.parent.iterdir():
        match = stale.fullmatch(file.name)
        if match and (int(match[1]) == os.getpid() or not is_alive(int(match[1]))):
            file.unlink(missing_ok=True)


def keep_aside(path: Path) -> Path | None:
    """Give an existing file a second, numbered name, so that replacing `path` loses nothing.

    `run.h5` becomes also `run.1.h5`, or the first number that is free. There is no moment at which the
    file has no name.

    Returns:
        The numbered name; None where nothing was at `path`.
    """
    if not path.exists():
        return None
    number = 1
    while True:
        aside = path.with_name(f"{path.stem}.{number}{path.suffix}")
        try:
            os.link(path, aside)
        except FileExistsError:
            number += 1
        except OSError:  # no hard links on this file system
            if aside.exists():
                number += 1
                continue
            path.rename(aside)
            return aside
        else:
            return aside


def check_target(path: Path, what: str) -> None:
    """Refuse a path that could not be written later, while nothing is lost yet.

    Args:
        path: the file that will be written.
        what: what it will hold, for the message ("the archive").

    Raises:
        ConfigurationError: the folder is missing or not writable, or `path` is a folder.
    """
    folder = path.parent
    if not folder.exists():
        raise ConfigurationError(
            f"cannot write {what} to {str(path)!r}: the folder {str(folder)!r} does not exist. "
            f"Create it first (mkdir -p {str(folder)!r})."
        )
    if not folder.is_dir():
        raise ConfigurationError(f"cannot write {what} to {str(path)!r}: {str(folder)!r} is not a folder.")
    if path.is_dir():
        raise ConfigurationError(
            f"cannot write {what} to {str(path)!r}: that is a folder. Name a file inside it."
        )
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"cannot write {what} to {str(path)!r}: no permission to write in {str(folder)!r}. "
            "Choose another folder or change its permissions."
        )


def is_alive(process: int) -> bool:
    """Return whether a process of this machine has that id; on Windows nobody asks, and all are alive."""
    if sys.platform == "win32":  # pragma: no cover - os.kill would send Ctrl-C there
        return True
    try:
        os.kill(process, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _sync(path: Path, flags: int) -> None:
    """Have the file system write the file or folder `path` to the disk; `flags` as of `os.open`."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
