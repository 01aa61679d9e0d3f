"""The subcommands `listen`, `stop` and `view` for remote runs: their options, and what they do.

What they need is imported when they run.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from trainsignal.errors import ConfigurationError

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_SIGNAL: Final = "epoch_end"
_URL = (
    "redis://[user:password@]host[:port], rediss:// for TLS, or unix:///path/of/the/socket; ${NAME} stands "
    "for an environment variable"
)


def is_broker(path: str) -> bool:
    """Return whether what `view` is given is the address of a broker, not a path."""
    return "://" in path or _VARIABLE.match(path) is not None


def address_of(text: str) -> str:
    """Return an address with environment variables, as in redis://:${PASSWORD}@host, filled in.

    So that a password need not stand in the command line, which others on the machine may read. A variable
    may also be the whole address.

    Raises:
        ConfigurationError: one is not set.
    """
    missing = [name for name in _VARIABLE.findall(text) if name not in os.environ]
    if missing:
        raise ConfigurationError(f"the environment variable {missing[0]} in the address is not set")
    whole = _VARIABLE.fullmatch(text)
    if whole is not None:
        return os.environ[whole[1]]
    return _VARIABLE.sub(lambda found: quote(os.environ[found[1]], safe=""), text)


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

    if options.signal is not None and not options.handlers:
        raise ConfigurationError(
            f"--signal {options.signal} without a function to call at it: add --handler MODULE:NAME"
        )
    with folder_importable(Path.cwd()):
        found: list[Any] = [load(name) for name in options.handlers]
        classes = [one for one in found if is_callback_class(one)]
        handlers = [(options.signal or _SIGNAL, one) for one in found if one not in classes]
        listen(
            address_of(options.url),
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

    url = address_of(options.url)
    tell(f"{options.run_name}: {request_remote_stop(url, options.run_name, options.reason)}")


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
        address_of(options.path),
        host=options.host,
        port=PORT if options.port is None else options.port,
        axis=options.axis,
        open_browser=options.open,
        tell=tell,
    )
