"""A CSV file that grows by whole lines and, where a new column turns up, is written anew.

Knows no callback and no series: a row is text by column name.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from trainsignal.files import keep_aside, replacing

Row: TypeAlias = Mapping[str, str]
"""Text by column name, without carriage returns, which the csv module would leave unquoted."""

MOST_UNWRITTEN: Final = 1000
"""Refused rows that are kept; each is an epoch's, and a checkpoint holds them too."""


class CSVTable:
    """A table on the disk, with a header line; a row lacks a field where it says nothing of its column.

    Each row is appended by one write of a whole line. Rows that the disk refuses are kept, the newest
    `MOST_UNWRITTEN`, and written with the next one. A file that somebody removed is begun anew.

    Attributes:
        path: the file; nothing is touched before the first row.
        columns: names in the order of the header; empty before the first row.
        lines: rows that are on the disk.
        unwritten: rows that the disk has refused; the oldest go first when they become many.
    """

    def __init__(self, path: Path) -> None:
        """Prepare a new table; a file that is at `path` will be kept under a numbered name."""
        self.path = path
        self.columns: list[str] = []
        self.lines = 0
        self.unwritten: list[Row] = []
        self._size_bytes = 0
        self._is_ours = False

    def append(self, row: Row) -> int:
        """Write a row, and those that were refused before.

        Returns:
            How many rows are lost because the file was gone, and has been made anew with the rest.

        Raises:
            OSError: the disk is full, or the folder is gone or not writable. The rows before are whole.
        """
        self.unwritten.append(row)
        del self.unwritten[:-MOST_UNWRITTEN]
        columns = list(dict.fromkeys([*self.columns, *(name for one in self.unwritten for name in one)]))
        is_gone = self._is_ours and not self.path.exists()
        if is_gone:
            self._rewrite(columns, self.unwritten)
        elif columns != self.columns:
            self._rewrite(columns, [*self._read(), *self.unwritten])
        else:
            self._append(self.unwritten)
        lost = self.lines if is_gone else 0
        self.lines += len(self.unwritten) - lost
        self.unwritten = []
        return lost

    def resume(self, lines: int, unwritten: Iterable[Row]) -> bool:
        """Go on with the table that an earlier process wrote at `path`, of which so many rows count.

        Args:
            lines: rows to keep; what stands behind them is cut off.
            unwritten: rows that the disk had refused.

        Returns:
            Whether all of these rows were there.

        Raises:
            OSError: the file cannot be read or written.
        """
        self.unwritten = list(unwritten)
        self._is_ours = lines > 0
        if not self._is_ours or not self.path.exists():
            return not lines
        with self.path.open(newline="", encoding="utf-8") as file:
            self.columns = next(csv.reader(file), list[str]())
        kept = self._read()[:lines]
        self._rewrite(self.columns, kept)
        self.lines = len(kept)
        return self.lines == lines

    def _read(self) -> list[Row]:
        if not self.columns:
            return []
        with self.path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            next(rows, None)
            return [dict(zip(self.columns, fields, strict=False)) for fields in rows]

    def _rewrite(self, columns: Sequence[str], rows: Iterable[Row]) -> None:
        if not self._is_ours:
            keep_aside(self.path)
            self._is_ours = True
        text = _lines([dict(zip(columns, columns, strict=True)), *rows], columns)
        with replacing(self.path) as temporary:
            temporary.write_bytes(text)
        self.columns, self._size_bytes = list(columns), len(text)

    def _append(self, rows: Iterable[Row]) -> None:
        text = _lines(rows, self.columns)
        try:
            with self.path.open("r+b") as file:
                file.seek(self._size_bytes)
                file.write(text)
        except OSError:
            with contextlib.suppress(OSError):  # the error that matters is the one on its way
                os.truncate(self.path, self._size_bytes)  # no half of a line stays
            raise
        self._size_bytes += len(text)


def _lines(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    """Return the rows as lines that end in a newline, a missing field empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return text.getvalue().encode()
