"""The `trainsignal` command.

    trainsignal demo [options]    train a small network on scikit-learn's digits; options as neon's scripts

Parses no more than the name of the subcommand: `demo` is `examples/digits_mlp.py`, a script to copy.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import trainsignal
from trainsignal.errors import TrainSignalError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 for an error of ours, 2 for a wrong command line.

    Args:
        arguments: the words after `trainsignal`; None takes those of this process.
    """
    parser = argparse.ArgumentParser(
        prog="trainsignal", description="An event bus for machine-learning training loops."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {trainsignal.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser(
        "demo",
        help="train a small network on handwritten digits (trainsignal demo --help tells its options)",
        add_help=False,
    )
    _, rest = parser.parse_known_args(arguments)
    return _demo(rest)


def _demo(arguments: Sequence[str]) -> int:
    try:
        from trainsignal import demo  # the demo alone needs scikit-learn
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "sklearn":
            raise
        print(  # noqa: T201  # a command speaks on the terminal
            "the demo trains on scikit-learn's digits, and scikit-learn is not installed. "
            "Install it with: pip install 'trainsignal[demo]'",
            file=sys.stderr,
        )
        return 1
    try:
        demo.main(arguments)
    except TrainSignalError as error:
        print(f"trainsignal demo: {error}", file=sys.stderr)  # noqa: T201  # a command speaks on the terminal
        return 1
    except KeyboardInterrupt:
        print("trainsignal demo: interrupted; what was done is saved", file=sys.stderr)  # noqa: T201  # as above
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
