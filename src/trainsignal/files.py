"""Writing files so that a kill at any moment leaves the old one or the new one, whole.

Knows nothing of what is written; the archive and the checkpoints both save through `replacing`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from pathlib import Path

from trainsignal.errors import ConfigurationError


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
        _sync(temporary)
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):  # the error that matters is the one on its way
            temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def remove_stale(path: Path) -> None:
    """Remove temporaries that a killed process left beside `path`; call it while holding its lock."""
    for temporary in path.parent.glob(f".{_escaped(path.name)}.*.tmp"):
        temporary.unlink(missing_ok=True)


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


def _sync(path: Path) -> None:
    """Have the file system write `path` to the disk; a folder too, so that a rename survives a power cut."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _escaped(name: str) -> str:
    """Return `name` so that `glob` takes it literally."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)
