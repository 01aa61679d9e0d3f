"""The archives of a folder: which there are, and a page that lists them.

Nothing outside of the folder is shown, whatever a name or a symbolic link says.
"""

from __future__ import annotations

import itertools
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from trainsignal.errors import ArchiveError
from trainsignal.report import html_parts
from trainsignal.report.attributes import as_text
from trainsignal.report.best import last_of
from trainsignal.report.pages import markup
from trainsignal.report.pages.appearance import dress
from trainsignal.report.reading import read_summary
from trainsignal.report.records import Status, Summary
from trainsignal.report.wording import moment, number, progress
from trainsignal.report.writer import writer_life

SUFFIXES = frozenset({".h5", ".hdf5"})
"""What archives are called."""

DEEPEST = 3
"""Folders within folders that are searched."""

MOST_FOLDERS = 2_000
"""Folders that are searched in all."""

MOST = 500
"""Archives that are listed, the newest ones."""

SEARCH_EVERY_S = 2.0
"""Seconds after which a look searches the folder again."""

READING_S = 1.0
"""A look reads for about so long; what it does not come to is read by the next one."""


Told: TypeAlias = tuple[Status, str, str]
"""Status, progress and last loss of a run, the latter two in words."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An archive in a folder.

    Attributes:
        name: its path below the folder, with "/".
        changed_at: seconds since 1970-01-01 UTC.
        told: of the run; None: not read yet.
    """

    name: str
    changed_at: float
    told: Told | None


@dataclass(frozen=True, slots=True)
class Listing:
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
        read: Callable[[Path], Summary] = read_summary,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._read = read
        self._clock = clock
        self._looking = threading.Lock()
        self._searched_at = -SEARCH_EVERY_S
        self._known: dict[str, tuple[object, Told | None]] = {}
        self._seen = Listing((), 0)

    def find(self, name: str) -> Path | None:
        """Return the path of an archive by its name in the list; None where there is none of that name."""
        return next((path for known, path, _ in self._files() if known == name), None)

    def look(self) -> Listing:
        """Return what there is; the same object where nothing has changed. Searches now and then."""
        with self._looking:
            now = self._clock()
            if now - self._searched_at >= SEARCH_EVERY_S:
                self._searched_at = now
                entries = self._entries(until=now + READING_S)
                seen = Listing(tuple(entries[:MOST]), max(0, len(entries) - MOST))
                if seen != self._seen:
                    self._seen = seen
            return self._seen

    def _entries(self, until: float) -> list[Entry]:
        """Return the archives, newest first; those that could not be read `until` then are taken for some."""
        files = sorted(self._files(), key=lambda file: -file[2].st_mtime)
        known, self._known = self._known, {}
        entries: list[Entry] = []
        for name, path, state in files:
            stamp = (state.st_ino, state.st_mtime_ns, state.st_size, writer_life(path))
            before, told = known.get(name, (None, None))
            if before != stamp:
                if self._clock() >= until:
                    entries.append(Entry(name, state.st_mtime, None))
                    continue
                told = self._told(path)
            self._known[name] = stamp, told
            if told is not None:
                entries.append(Entry(name, state.st_mtime, told))
        return entries

    def _told(self, path: Path) -> Told | None:
        """Return what is told of an archive; None of what is none, such as a checkpoint."""
        try:
            summary = self._read(path)
        except ArchiveError:
            return None
        loss = None if summary.loss is None else last_of(summary.loss)
        return summary.about.status, progress(summary.about), "" if loss is None else number(loss)

    def _files(self) -> Iterator[tuple[str, Path, os.stat_result]]:
        """Yield name, path and state of each file that may be an archive."""
        home = self.path.resolve()
        for folder, below, files in itertools.islice(os.walk(home), MOST_FOLDERS):
            depth = len(Path(folder).relative_to(home).parts)
            below[:] = [] if depth >= DEEPEST else [one for one in below if not one.startswith(".")]
            for file in files:
                path = Path(folder, file)
                if path.suffix.lower() not in SUFFIXES or file.startswith("."):
                    continue
                try:
                    state = path.stat()
                    if stat.S_ISREG(state.st_mode) and path.resolve().is_relative_to(home):
                        yield path.relative_to(home).as_posix(), path, state
                except OSError:  # gone meanwhile, or a link that leads nowhere
                    continue


class ListingPage:
    """The list of a folder's runs, as one visitor sees it.

    Args:
        folder: may be shared.
        title: of the page, and its heading; None: that they are the runs in this folder.
        name_of: returns what an archive is shown as, of its name.
    """

    def __init__(self, folder: Folder, title: str | None = None, name_of: Callable[[str], str] = str) -> None:
        self._folder = folder
        self._name_of = name_of
        self._title = title or f"Runs in {as_text(folder.path.name)}"
        self._heading = title or f"Runs in {as_text(str(folder.path)) or ''}"
        self._list = markup.element()

    def look(self) -> Listing:
        """See what has become of the folder."""
        return self._folder.look()

    def begin(self, document: Any, seen: Listing) -> None:
        """Draw the list."""
        dress(document, self._title, "server")
        self.update(seen)
        document.add_root(self._list)

    def update(self, seen: Listing) -> None:
        """Bring the list up to date."""
        rows = [_row(entry, self._name_of(entry.name)) for entry in seen.entries]
        heads = ("run", "status", "progress", "last loss", "changed")
        shown = (
            html_parts.table(heads, rows, numbers=(3,)) if rows else "<p>There is no archive here yet.</p>"
        )
        more = f"<p>{seen.left_out:,} older ones are not listed.</p>" if seen.left_out else ""
        self._list.text = f"<h1>{escape(self._heading)}</h1>{shown}{more}"


def _row(entry: Entry, name: str) -> list[str]:
    link = f'<a href="run?name={quote(os.fsencode(entry.name))}">{escape(as_text(name) or "")}</a>'
    changed = f'<span class="unbroken">{moment(entry.changed_at)}</span>'
    if entry.told is None:
        return [link, "", "not read yet", "", changed]
    status, done, loss = entry.told
    return [link, html_parts.pill(status), escape(done), escape(loss), changed]
