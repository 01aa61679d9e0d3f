"""The archives of a folder: which there are, and a page that lists them.

Nothing outside of the folder is shown, whatever a name or a symbolic link says.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.report.about import writer_status
from trainsignal.report.best import last_of
from trainsignal.report.pages import markup
from trainsignal.report.pages.appearance import dress
from trainsignal.report.reading import read_run
from trainsignal.report.records import Run
from trainsignal.report.wording import moment, number, progress

SUFFIXES = frozenset({".h5", ".hdf5"})
"""What archives are called."""

DEEPEST = 3
"""Folders within folders that are searched."""

MOST = 500
"""Archives that are listed, the newest ones."""

READING_S = 1.0
"""A look reads for about so long; what it does not come to is read by the next one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An archive in a folder.

    Attributes:
        name: its path below the folder, with "/".
        changed_at: seconds since 1970-01-01 UTC.
        told: status, progress and last loss, in words; None: not read yet.
    """

    name: str
    changed_at: float
    told: tuple[str, str, str] | None


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds: archives, newest first, and how many of them are not listed."""

    entries: tuple[Entry, ...]
    left_out: int


class Folder:
    """The archives below a folder. Any thread may look.

    Args:
        path: of the folder.
        read: reads an archive; raises ArchiveError where it is none.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        path: Path,
        *,
        read: Callable[[Path], Run] = read_run,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._read = read
        self._clock = clock
        self._looking = threading.Lock()
        self._known: dict[str, tuple[object, tuple[str, str, str] | None]] = {}
        self._seen = Contents((), 0)

    def find(self, name: str) -> Path | None:
        """Return the path of an archive by its name in the list; None where there is none of that name."""
        return next((path for known, path, _ in self._files() if known == name), None)

    def look(self) -> Contents:
        """Return what there is now; the same object where nothing has changed."""
        with self._looking:
            files = sorted(self._files(), key=lambda file: -file[2].st_mtime)
            until = self._clock() + READING_S
            entries = tuple(self._entries(files[:MOST], until))
            self._known = {
                entry.name: self._known[entry.name] for entry in entries if entry.name in self._known
            }
            seen = Contents(entries, max(0, len(files) - MOST))
            if seen != self._seen:
                self._seen = seen
            return self._seen

    def _entries(self, files: list[tuple[str, Path, os.stat_result]], until: float) -> Iterator[Entry]:
        """Yield the archives among files; those that nobody has come to yet are taken for archives."""
        for name, path, state in files:
            stamp = (state.st_ino, state.st_mtime_ns, state.st_size, writer_status(str(path)))
            if name not in self._known or self._known[name][0] != stamp:
                if self._clock() >= until:
                    yield Entry(name, state.st_mtime, None)
                    continue
                self._known[name] = stamp, self._told(path)
            told = self._known[name][1]
            if told is not None:
                yield Entry(name, state.st_mtime, told)

    def _told(self, path: Path) -> tuple[str, str, str] | None:
        """Return what is told of an archive; None of what is none, such as a checkpoint."""
        try:
            run = self._read(path)
        except ArchiveError:
            return None
        losses = (last_of(one) for one in run.series if one.key == keys.LOSS)
        loss = next((number(loss) for loss in losses if loss is not None), "")
        return run.about.status, progress(run.about), loss

    def _files(self) -> Iterator[tuple[str, Path, os.stat_result]]:
        """Yield name, path and state of each file that may be an archive."""
        home = self.path.resolve()
        for folder, below, files in os.walk(home):
            depth = len(Path(folder).relative_to(home).parts)
            below[:] = [] if depth >= DEEPEST else [one for one in below if not one.startswith(".")]
            for file in files:
                path = Path(folder, file)
                if path.suffix.lower() not in SUFFIXES or file.startswith("."):
                    continue
                try:
                    if path.resolve().is_relative_to(home):
                        yield path.relative_to(home).as_posix(), path, path.stat()
                except OSError:  # gone meanwhile, or a link that leads nowhere
                    continue


class ListingPage:
    """The list of a folder's runs, as one visitor sees it.

    Args:
        folder: may be shared.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._list = markup.element()

    def look(self) -> Contents:
        """See what has become of the folder."""
        return self._folder.look()

    def begin(self, document: Any, seen: Contents) -> None:
        """Draw the list."""
        dress(document, f"Runs in {self._folder.path.name}", "server")
        self.update(seen)
        document.add_root(self._list)

    def update(self, seen: Contents) -> None:
        """Bring the list up to date."""
        rows = [_row(entry) for entry in seen.entries]
        heads = ("run", "status", "progress", "last loss", "changed")
        shown = markup.table(heads, rows, numbers=(3,)) if rows else "<p>There is no archive here yet.</p>"
        more = f"<p>{seen.left_out} older ones are not listed.</p>" if seen.left_out else ""
        self._list.text = f"<h1>Runs in {escape(str(self._folder.path))}</h1>{shown}{more}"


def _row(entry: Entry) -> list[str]:
    status, done, loss = entry.told or ("…", "", "")
    link = f'<a href="run?name={quote(entry.name)}">{escape(entry.name)}</a>'
    return [link, escape(status), escape(done), escape(loss), moment(entry.changed_at)]
