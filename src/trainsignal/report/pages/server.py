"""Serving pages that change to browsers; the only file that imports Bokeh's server.

Knows nothing of runs. A page is looked at in threads, and drawn in the thread of the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import logging
import os
import socket
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, Protocol, TypeAlias, TypeVar
from weakref import WeakSet

from trainsignal.errors import ConfigurationError
from trainsignal.extras import require
from trainsignal.report.pages.door import is_welcome, names_of
from trainsignal.report.pages.markup import resource
from trainsignal.report.pages.toolkit import events, models

_require = functools.partial(require, extra="report", user="trainsignal view")
bokeh_application: Any = _require("bokeh.application")
bokeh_handlers: Any = _require("bokeh.application.handlers.handler")
bokeh_document: Any = _require("bokeh.document")
bokeh_server: Any = _require("bokeh.server.server")
bokeh_tornado: Any = _require("bokeh.server.tornado")
httpserver: Any = _require("tornado.httpserver")
httputil: Any = _require("tornado.httputil")
ioloop: Any = _require("tornado.ioloop")
routing: Any = _require("tornado.routing")

_Seen = TypeVar("_Seen")

LOOK_EVERY_MS = 500
"""How often a page looks whether there is something new."""


class LivePage(Protocol):
    """What one browser is shown, for as long as it looks."""

    def look(self) -> object:
        """Return what there is to show; the same object for as long as nothing has changed. In any thread."""
        ...

    def begin(self, document: Any, seen: Any) -> None:
        """Draw for the first time, what `look` returned, into a Bokeh document that is empty."""
        ...

    def update(self, seen: Any) -> None:
        """Bring the document up to date, to what `look` returned."""
        ...


PageMaker: TypeAlias = Callable[[Mapping[str, str]], LivePage]
"""Makes a page from what the address says after its "?"; of a name that is given twice, the last counts.

In any thread, since it may take long."""


@contextlib.asynccontextmanager
async def serving(pages: Mapping[str, PageMaker], host: str, port: int) -> AsyncGenerator[str]:
    """Serve pages until the body ends; yield their address, "http://127.0.0.1:5100".

    Args:
        pages: by path: "/".
        host: name or address to listen at.
        port: 0: any free one.

    Raises:
        ConfigurationError: nobody can listen there.
    """
    listener = _listening(host, port)
    applications = {path: bokeh_application.Application(_Visitors(maker)) for path, maker in pages.items()}
    bokeh = bokeh_tornado.BokehTornado(
        applications,
        extra_websocket_origins=["*"],  # `door` has asked already
    )
    guarded = routing.RuleRouter(
        [routing.Rule(_Welcome(host), bokeh), routing.Rule(routing.AnyMatches(), _refuse)]
    )
    http = _Server(guarded)
    http.add_socket(listener)
    server = bokeh_server.BaseServer(ioloop.IOLoop.current(), bokeh, http)
    server.start()
    try:
        yield f"http://{_in_address(host)}:{listener.getsockname()[1]}"
    finally:
        server.stop()
        for stream in list(http.streams):
            stream.close()


@contextlib.contextmanager
def visitors_may_go() -> Generator[None]:
    """Keep Bokeh from warning, while the body runs, of visitors who go while something is sent to them."""
    logger = logging.getLogger("bokeh.server.views.ws")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ConfigurationError: nobody can listen there.
    """
    if not host:
        raise ConfigurationError(
            "no host to listen at: give 127.0.0.1 for this machine alone, or 0.0.0.0 for all"
        )
    if not 0 <= port < 65536:
        raise ConfigurationError(f"{port} is no port: give one from 1 to 65535, or 0 for any free one")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family)
    except socket.gaierror as error:
        raise ConfigurationError(f"no address is known of the host {host!r} ({error.strerror})") from error
    except UnicodeError as error:
        raise ConfigurationError(f"{host!r} is no name of a host ({error})") from error
    except OSError as error:
        raise ConfigurationError(_why_not(error, host, port)) from error
    listener.setblocking(False)
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use: give another one by --port, or --port 0 for any free one"
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{host!r} is no address of this machine: give --host 127.0.0.1, or 0.0.0.0 for all that it has"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is not for everybody: give one above 1023 by --port"
    return f"cannot listen at {host!r}, port {port}: {error.strerror}"


def _in_address(host: str) -> str:
    """Return a host as it stands in the address of a page."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host


class _Server(httpserver.HTTPServer):  # type: ignore[misc]  # untyped library
    """Knows its connections, so that they end with it; Tornado forgets those of websockets."""

    def initialize(self, answer: Any) -> None:
        """Take the place of a constructor, as Tornado has it."""
        super().initialize(answer)  # pyright: ignore[reportUnknownMemberType]  # as above
        self.streams: WeakSet[Any] = WeakSet()

    def handle_stream(self, stream: Any, address: Any) -> None:
        """Note a connection that begins."""
        self.streams.add(stream)
        super().handle_stream(stream, address)  # pyright: ignore[reportUnknownMemberType]  # as above


class _Welcome(routing.Matcher):  # type: ignore[misc]  # untyped library
    """Requests that are to be answered."""

    def __init__(self, host: str) -> None:
        self._names = names_of(host)

    def match(self, request: Any) -> dict[str, Any] | None:
        welcome = is_welcome(request.host, request.headers.get("Origin"), self._names)
        return {} if welcome else None


def _refuse(request: Any) -> None:
    """Answer a request that came from the page of another site."""
    start = httputil.ResponseStartLine("HTTP/1.1", 403, "Forbidden")
    text = b"This page is shown to those who ask for it by a name of the machine that serves it.\n"
    headers = httputil.HTTPHeaders({"Content-Type": "text/plain", "Content-Length": str(len(text))})
    request.connection.write_headers(start, headers, text)
    request.connection.finish()


class _Visitors(bokeh_handlers.Handler):  # type: ignore[misc]  # untyped library
    """Gives each visitor a page of his own, and keeps it up to date for as long as he stays."""

    def __init__(self, maker: PageMaker) -> None:
        super().__init__()  # pyright: ignore[reportUnknownMemberType]  # untyped library
        self._maker = maker
        self._arriving: dict[str, tuple[LivePage, object]] = {}

    async def on_session_created(self, session_context: Any) -> None:
        """Make the page and look, which may take long, before it is drawn for the first time."""
        given: Mapping[str, list[bytes]] = session_context.request.arguments
        asked = {name: os.fsdecode(values[-1]) for name, values in given.items()}
        self._arriving[session_context.id] = await _in_thread(lambda: self._made(asked))

    def _made(self, asked: Mapping[str, str]) -> tuple[LivePage, object]:
        """Return a page, and what it has to show."""
        page = self._maker(asked)
        return page, page.look()

    def modify_document(self, doc: Any) -> None:
        """Draw the page."""
        page, seen = self._arriving.pop(doc.session_context.id)
        page.begin(doc, seen)
        # Bokeh 3.9 finds back by itself, but not to arrays, and gives up after five times.
        doc.config.update(reconnect_session=False, notify_connection_status=False)
        doc.js_on_event(events.ConnectionLost, models.CustomJS(code=resource("begin_anew.js")))

        async def follow() -> None:
            nonlocal seen
            found = await _in_thread(page.look)
            if found is not seen:
                seen = found
                doc.add_next_tick_callback(lambda: page.update(found))

        # Without the lock, the visitor can pan and zoom while a thread looks.
        doc.add_periodic_callback(bokeh_document.without_document_lock(follow), LOOK_EVERY_MS)

    def on_server_unloaded(self, server_context: Any) -> None:
        """Look no more."""
        for session in server_context.sessions:
            for callback in session.document.session_callbacks:
                session.document.remove_periodic_callback(callback)


async def _in_thread(look: Callable[[], _Seen]) -> _Seen:
    return await asyncio.get_running_loop().run_in_executor(None, look)
