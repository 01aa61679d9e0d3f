"""`trainsignal view redis://...`: the live view of remote runs.

Keeps an archive of each while it is shown, in a folder that is removed at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from trainsignal.relay.address import checked_url, masked_url
from trainsignal.remote.listening import listen
from trainsignal.remote.model import RemoteModel
from trainsignal.report.browser import open_in_browser
from trainsignal.report.pages.live import PORT, pages_of
from trainsignal.report.pages.server import serving, visitors_may_go
from trainsignal.report.timeline import Axis

_LONGEST_FILE_NAME: Final = 120


def view_remote(
    url: str,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    axis: Axis = "epoch",
    open_browser: bool = False,
    tell: Callable[[str], None],
) -> None:
    """Show the runs of a broker to browsers, until Ctrl-C or SIGTERM.

    Args:
        url: of the broker.
        host: name or address to listen at.
        port: 0: any free one.
        axis: what is drawn against, at first.
        open_browser: shows the page to the user right away.
        tell: given what the user should know, such as the address.

    Raises:
        ConfigurationError: the port is in use, or the host is not of this machine, or `url` no address.
        AccessDeniedError: the broker does not let us in.
        MissingPackageError: Bokeh or redis-py is not installed.
    """
    with (
        contextlib.suppress(KeyboardInterrupt),
        visitors_may_go(),
        tempfile.TemporaryDirectory(prefix="trainsignal-") as folder,
    ):
        asyncio.run(_serve(url, Path(folder), host, port, axis, open_browser, tell))


def file_name(run: str) -> str:
    """Return the name of the archive of a run: safe on every system, and another for each name."""
    safe = quote(run, safe=" ()").replace("~", "%7E")
    safe = f"%2E{safe[1:]}" if safe.startswith(".") else safe
    if len(safe) > _LONGEST_FILE_NAME:
        safe = f"{safe[:_LONGEST_FILE_NAME]}-{hashlib.sha256(run.encode()).hexdigest()[:16]}"
    return f"{safe}.h5"


def run_name(file: str) -> str:
    """Return the name of the run whose archive has the name that `file_name` gave, as far as that tells."""
    return unquote(file.removesuffix(".h5"))


async def _serve(
    url: str, folder: Path, host: str, port: int, axis: Axis, open_browser: bool, tell: Callable[[str], None]
) -> None:
    shown, is_over = masked_url(checked_url(url)), threading.Event()
    pages = pages_of(folder, axis, title=f"Runs at {shown}", name_of=run_name)
    with _ended_by_sigterm(is_over):
        async with serving(pages, host, port) as address:
            tell(f"{address}/ shows the runs at {shown}; Ctrl-C ends it")
            if open_browser and not await asyncio.to_thread(open_in_browser, f"{address}/"):
                tell(f"no browser could be opened: open {address}/ yourself")
            await _listen(url, folder, is_over)


async def _listen(url: str, folder: Path, is_over: threading.Event) -> None:
    """Keep the archives of all runs until the event is set."""
    try:
        await asyncio.to_thread(
            listen,
            url,
            archive=Archives(folder).file_of,
            is_over=is_over.is_set,
        )
    finally:
        is_over.set()


class Archives:
    """Which archive belongs to which run: two may come to have one name, one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owners: dict[str, str] = {}

    def file_of(self, model: RemoteModel) -> Path:
        """Return the path of a run's archive."""
        name = file_name(model.run_name)
        if self._owners.setdefault(name, model.run_id) != model.run_id:
            name = file_name(f"{model.run_name} {model.run_id}")
        return self._folder / name


@contextlib.contextmanager
def _ended_by_sigterm(is_over: threading.Event) -> Generator[None]:
    """Have SIGTERM set an event while the body runs, as far as this system and this thread can."""
    before = signal.getsignal(signal.SIGTERM)
    is_main_thread = threading.current_thread() is threading.main_thread()
    if sys.platform == "win32" or not is_main_thread or before == signal.SIG_IGN:
        yield
    else:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, is_over.set)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGTERM)
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
