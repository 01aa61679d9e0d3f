"""Pages served to a browser by a thread of the test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from trainsignal.report.pages.server import PageMaker, serving


@contextlib.contextmanager
def served(pages: Mapping[str, PageMaker], host: str = "127.0.0.1", port: int = 0) -> Generator[str]:
    """Serve pages while the body runs; yield their address. Arguments as of `serving`."""
    begun: Future[tuple[str, Callable[[], object]]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        loop = asyncio.get_running_loop()
        try:
            async with serving(pages, host, port) as address:
                begun.set_result((address, lambda: loop.call_soon_threadsafe(over.set)))
                await over.wait()
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    with ThreadPoolExecutor(1) as thread:
        served = thread.submit(asyncio.run, serve())
        address, end = begun.result(timeout=60)
        try:
            yield address
        finally:
            end()
            served.result(timeout=60)
