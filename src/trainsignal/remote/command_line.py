"""The subcommands `listen`, `stop` and `view` for remote runs: their options, and what they do.

What they need is imported when they run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_URL = "redis://[user:password@]host[:port], rediss:// for TLS, or unix:///path/of/the/socket"


def is_broker(path: str) -> bool:
    """Return whether what `view` is given is the address of a broker, not a path."""
    return "://" in path


def add_listen(parser: argparse.ArgumentParser) -> None:
    """Add the options of `listen`."""
    parser.add_argument("url", metavar="URL", help=f"broker: {_URL}")
    parser.add_argument("--run", dest="run_name", metavar="NAME", help="listen to this run alone, to its end")
    parser.add_argument(
        "--handler", dest="handlers", action="append", default=[], metavar="MODULE:NAME",
        help="call this function at a signal, or have a callback of this class listen to each run; may be "
        "given several times (default: print a line at each event)",
    )  # fmt: skip
    parser.add_argument(
        "--signal", default="epoch_end", metavar="SIGNAL",
        help="at which functions are called (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--name", metavar="NAME", help="go on where the last listener of this name was when it ended"
    )


def add_stop(parser: argparse.ArgumentParser) -> None:
    """Add the options of `stop`."""
    parser.add_argument("url", metavar="URL", help=f"broker: {_URL}")
    parser.add_argument("--run", dest="run_name", required=True, metavar="NAME", help="the run to stop")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it is to stop")


def run_listen(options: argparse.Namespace, tell: Callable[[str], object]) -> None:
    """Listen until Ctrl-C, or the end of the run that was asked for.

    Args:
        options: as `add_listen` describes them.
        tell: prints a line.

    Raises:
        TrainSignalError: as `listen`; a handler that cannot be found.
        KeyboardInterrupt: Ctrl-C.
    """
    from trainsignal.remote.lines import line_handlers
    from trainsignal.remote.listening import listen
    from trainsignal.remote.loading import folder_importable, is_callback_class, load
    from trainsignal.report.terminal_text import literal

    def tell_now(line: str) -> None:
        tell(literal(line, sys.stdout.encoding or "utf-8"))
        sys.stdout.flush()  # a pipe would keep it back

    with folder_importable(Path.cwd()):
        found: list[Any] = [load(name) for name in options.handlers]
        classes = [one for one in found if is_callback_class(one)]
        handlers = [(options.signal, one) for one in found if one not in classes]
        listen(
            options.url,
            run=options.run_name,
            handlers=handlers if found else line_handlers(tell_now),
            callbacks=lambda model: [kind() for kind in classes],
            name=options.name,
        )


def run_stop(options: argparse.Namespace, tell: Callable[[str], object]) -> None:
    """Ask a run to stop, and tell what it answers.

    Args:
        options: as `add_stop` describes them.
        tell: prints a line.

    Raises:
        TrainSignalError: as `request_remote_stop`.
    """
    from trainsignal.remote.stop import request_remote_stop

    tell(f"{options.run_name}: {request_remote_stop(options.url, options.run_name, options.reason)}")


def run_view(options: argparse.Namespace, tell: Callable[[str], None]) -> None:
    """Show the runs of a broker until Ctrl-C.

    Args:
        options: of `view`; `path` is the address of the broker.
        tell: prints a line.

    Raises:
        TrainSignalError: as `view_remote`.
    """
    from trainsignal.remote.view import view_remote
    from trainsignal.report.pages.live import PORT

    view_remote(
        options.path,
        host=options.host,
        port=PORT if options.port is None else options.port,
        axis=options.axis,
        open_browser=options.open,
        tell=tell,
    )
