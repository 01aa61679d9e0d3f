"""The report as one file, which opens without a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trainsignal.errors import ArchiveError
from trainsignal.files import expand, keep_aside, replacing
from trainsignal.report.pages.appearance import MADE_BY, dress
from trainsignal.report.pages.page import RunPage
from trainsignal.report.pages.toolkit import document, embed, resources
from trainsignal.report.records import Run
from trainsignal.report.timeline import Axis

_PAGE_SUFFIXES = frozenset({".html", ".htm"})
"""What pages are called; anything else names a folder."""

_UNFIT = re.compile(r"[^\w. -]+")
"""What stands in no file name of ours."""

_HEAD_BYTES = 4096
"""In the first so many bytes of a page of ours it says that it is one."""


def write_report(runs: Sequence[Run], place: str | Path, axis: Axis) -> Path:
    """Write the page of a run, or of several compared, and return where it is.

    In a folder it is "<name of the run>.html", or "comparison.html". An earlier report of that name is
    replaced; a file that is none is kept under a numbered name.

    Args:
        runs: at least one.
        place: of the page, if it ends in .html or .htm and is no folder; else a folder. Folders are made
            where they are missing.
        axis: what is drawn against, at first.

    Raises:
        ArchiveError: the page cannot be written.
    """
    target = expand(place)
    if target.suffix.lower() not in _PAGE_SUFFIXES or target.is_dir():
        name = runs[0].name if len(runs) == 1 else "comparison"
        target /= f"{_UNFIT.sub('-', name)}.html"
    text = page_of(runs, axis)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and not _is_ours(target):
            keep_aside(target)
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ArchiveError(
            error.errno, f"cannot write the report: {error.strerror or error}", str(target)
        ) from error
    return target


def page_of(runs: Sequence[Run], axis: Axis) -> str:
    """Return the page of one run or several as HTML that needs nothing else."""
    drawn = document.Document()
    page = RunPage(runs, axis)
    drawn.add_root(page.root)
    dress(drawn, page.title, "file")
    text: str = embed.file_html(
        drawn,
        resources.INLINE,
        title=drawn.title,
        template=drawn.template,
        template_variables=drawn.template_variables,
    )
    return text


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return MADE_BY.encode() in file.read(_HEAD_BYTES)
