"""The process that writes an archive: whether it lives, as far as its lock file and this machine tell."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trainsignal import files
from trainsignal.report.records import Status

FRESH_S: Final = 600.0
"""An archive that has changed within so many seconds is being written, if its writer is out of sight."""

_LONGEST_LOCK: Final = 32


@dataclass(frozen=True, slots=True)
class WriterLife:
    """What there is to see of the process that holds an archive's lock.

    Attributes:
        process: id that the lock names; None: there is no lock, or it names none.
        is_alive: a process of this id lives on this machine, which need not be the writer's.
        is_fresh: the archive has changed lately.
    """

    process: int | None
    is_alive: bool
    is_fresh: bool


def writer_life(path: Path, clock: Callable[[], float] = time.time) -> WriterLife:
    """Return what there is to see of the writer of the archive at `path`, without opening that.

    Args:
        path: of the archive; need not exist.
        clock: seconds since 1970-01-01 UTC.
    """
    archive = Path(os.path.realpath(path))
    try:
        with archive.with_name(f"{archive.name}.lock").open("rb") as lock:
            match = re.fullmatch(rb"([1-9][0-9]*)\s*", lock.read(_LONGEST_LOCK))
        if match is None:
            return WriterLife(None, is_alive=False, is_fresh=False)
        process = int(match[1])
        is_fresh = clock() - archive.stat().st_mtime < FRESH_S
    except (OSError, ValueError):  # ValueError: the root folder, which has no name
        return WriterLife(None, is_alive=False, is_fresh=False)
    return WriterLife(process, files.is_alive(process), is_fresh)


def status_of(writer: WriterLife, host: str | None) -> Status:
    """Return the state of a run whose archive notes no end.

    Args:
        writer: what there is to see of its process.
        host: the machine on which it runs, as `platform.node()` names it there; None where nobody said. On
            another machine, or in another container, its process cannot be looked up from here.
    """
    if writer.process is None:
        return "unknown"
    if host and host == platform.node():
        return "in progress" if writer.is_alive else "killed"
    return "in progress" if writer.is_fresh else "unknown"
