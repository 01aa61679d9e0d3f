"""`trainsignal view`: the page of a run, which follows its archive; or the runs of a folder.

Reads archives only, in whatever process the run is; Ctrl-C ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from trainsignal.files import expand
from trainsignal.report.attributes import as_text
from trainsignal.report.browser import open_in_browser
from trainsignal.report.pages import markup
from trainsignal.report.pages.appearance import dress
from trainsignal.report.pages.follower import Follower, Sight
from trainsignal.report.pages.listing import Folder, ListingPage
from trainsignal.report.pages.page import RunPage
from trainsignal.report.pages.server import LivePage, PageMaker, serving, visitors_may_go
from trainsignal.report.pages.toolkit import models
from trainsignal.report.timeline import Axis

_ZOOMED_MS = 200
"""After so long without another change, what is looked at is drawn in detail."""

_ALL_RUNS = '<p><a href="./">All runs</a></p>'

PORT = 5100
"""Where the page is, unless told otherwise."""


def serve(
    path: str | Path,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    axis: Axis = "epoch",
    open_browser: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Show an archive, or those of a folder, to browsers, until Ctrl-C.

    Args:
        path: of an archive, which need not exist yet, or of a folder.
        host: name or address to listen at.
        port: 0: any free one.
        axis: what is drawn against, at first.
        open_browser: shows the page to the user right away.
        tell: given what the user should know, such as the address.

    Raises:
        ConfigurationError: the port is in use, or the host is not of this machine.
        MissingPackageError: Bokeh is not installed.
    """
    with contextlib.suppress(KeyboardInterrupt), visitors_may_go():
        asyncio.run(_serve(expand(path), host, port, axis, open_browser, tell))


async def _serve(
    path: Path, host: str, port: int, axis: Axis, open_browser: bool, tell: Callable[[str], None]
) -> None:
    async with serving(pages_of(path, axis), host, port) as address:
        told = f"shows {path}" if path.exists() else f"waits for {path}, which is not there yet"
        tell(f"{address}/ {told}; Ctrl-C ends it")
        if open_browser and not await asyncio.to_thread(open_in_browser, f"{address}/"):
            tell(f"no browser could be opened: open {address}/ yourself")
        await asyncio.Event().wait()


def pages_of(
    path: Path, axis: Axis, *, title: str | None = None, name_of: Callable[[str], str] = str
) -> dict[str, PageMaker]:
    """Return the pages that show an archive, or the archives of a folder, by their paths in the address.

    Args:
        path: of either.
        axis: what is drawn against, at first.
        title: of the list of a folder's runs; None: the folder's name.
        name_of: returns what an archive is shown as in that list, of its name.
    """
    if not path.is_dir():
        follower = Follower(path)
        return {"/": lambda _: FollowedRun(follower, axis)}
    folder = Folder(path)
    return {"/": lambda _: ListingPage(folder, title, name_of), "/run": _RunsOf(folder, axis).page_of}


class _RunsOf:
    """The pages of a folder's runs. Any thread may ask for one.

    Args:
        folder: with archives.
        axis: what is drawn against, at first.
    """

    def __init__(self, folder: Folder, axis: Axis) -> None:
        self._folder = folder
        self._axis: Axis = axis
        self._sharing = threading.Lock()
        # Those whose pages are being looked at, which share them; others are forgotten.
        self._followers: WeakValueDictionary[Path, Follower] = WeakValueDictionary()

    def page_of(self, asked: Mapping[str, str]) -> LivePage:
        """Return the page of a run; searches the folder, which may take long.

        Args:
            asked: "name": of an archive, relative to the folder.
        """
        name = asked.get("name", "")
        path = self._folder.find(name)
        if path is None:
            return UnknownRun(name)
        with self._sharing:
            follower = self._followers.setdefault(path, Follower(path))
        return FollowedRun(follower, self._axis, above=_ALL_RUNS)


class FollowedRun:
    """The page of one run, as one visitor sees it.

    Args:
        follower: of the archive; may be shared.
        axis: what is drawn against, at first.
        above: HTML that stands above everything.
    """

    def __init__(self, follower: Follower, axis: Axis, *, above: str = "") -> None:
        self._follower = follower
        self._axis: Axis = axis
        self._above = above
        self._head = markup.element()
        self._page: RunPage | None = None
        self._run_id: str | None = None
        self._detail: Any = None

    def look(self) -> Sight:
        """See what has become of the archive."""
        return self._follower.look()

    def begin(self, document: Any, seen: Sight) -> None:
        """Draw the page, or that there is nothing yet."""
        self._document = document
        self._column = models.Column(children=[self._head], sizing_mode="stretch_width")
        dress(document, as_text(self._follower.path.name) or "", "server")
        self.update(seen)
        document.add_root(self._column)

    def update(self, seen: Sight) -> None:
        """Bring the page up to date; what the visitor zoomed into stays as it is.

        Another run in the first one's place is drawn from the beginning.
        """
        said = as_text(seen.notice)
        notice = "" if said is None else f'<p class="notice" role="status">{escape(said)}</p>'
        self._head.text = f"{self._above}{notice}"
        self._head.visible = bool(self._head.text)
        if seen.run is None:
            return
        is_another, self._run_id = seen.run.about.run_id != self._run_id, seen.run.about.run_id
        if self._page is not None and not is_another:
            self._page.update([seen.run])
            return
        self._page = RunPage([seen.run], self._axis)
        self._document.title = self._page.title
        self._column.children = [self._head, self._page.root]
        for edge in ("start", "end"):
            self._page.charts.x_range.on_change(edge, self._zoomed)

    def _zoomed(self, attr: str, old: object, new: object) -> None:
        """Send the points of what is looked at now, once the visitor has stopped zooming."""
        if self._detail is not None:
            self._document.remove_timeout_callback(self._detail)
        self._detail = self._document.add_timeout_callback(self._show_detail, _ZOOMED_MS)

    def _show_detail(self) -> None:
        self._detail = None
        if self._page is not None:  # pragma: no branch - there is nothing to zoom before
            self._page.charts.show_detail()


class UnknownRun:
    """The page of a run that is not there.

    Args:
        name: what was asked for.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def look(self) -> None:
        """See nothing, ever."""

    def begin(self, document: Any, seen: None) -> None:
        """Say so."""
        dress(document, "no such run", "server")
        said = markup.element()
        said.text = (
            f'<p class="notice" role="status">There is no run {escape(repr(self._name))} in this folder.</p>'
            f"{_ALL_RUNS}"
        )
        document.add_root(said)

    def update(self, seen: None) -> None:
        """Leave it at that."""
