"""The subcommands `listen`, `stop` and `view` for remote runs: their options, and what they do.

What they need is imported when they run.
"""

from __future__ import annotations

import argparse
import getpass
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from trainsignal.errors import ConfigurationError
from trainsignal.relay.address import begins_with_variable

_SIGNAL: Final = "epoch_end"
_URL = (
    "redis://[user:password@]host[:port], rediss:// for TLS, or unix:///path/of/the/socket; ${NAME} stands "
    "for an environment variable"
)


def is_broker(path: str) -> bool:
    """Return whether what `view` is given is the address of a broker, not a path."""
    return "://" in path or begins_with_variable(path)


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
        "--signal", metavar="SIGNAL",
        help=f"at which the functions of --handler are called (default: {_SIGNAL})",
    )  # fmt: skip
    parser.add_argument(
        "--name", metavar="NAME", help="go on where the last listener of this name was when it ended"
    )


def add_stop(parser: argparse.ArgumentParser) -> None:
    """Add the options of `stop`."""
    parser.add_argument("url", metavar="URL", help=f"broker: {_URL}")
    parser.add_argument("--run", dest="run_name", required=True, metavar="NAME", help="the run to stop")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why it is to stop")
    parser.add_argument(
        "--author", metavar="NAME", help="who wants it to stop (default: you, on this machine)"
    )


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
        handlers = [(options.signal or _SIGNAL, one) for one in found if one not in classes]
        if options.signal is not None and not handlers:
            raise ConfigurationError(
                f"--signal {options.signal} without a function to call at it: add --handler MODULE:NAME "
                "(a class of callbacks listens to all signals)"
            )
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

    answer = request_remote_stop(
        options.url, options.run_name, options.reason, options.author or _user_here()
    )
    tell(f"{options.run_name}: {answer}")


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


def _user_here() -> str:
    """Return who types this, and where."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have no name for its user
        name = "user"
    return f"{name}@{platform.node()}" if platform.node() else name
