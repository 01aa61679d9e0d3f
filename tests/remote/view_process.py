"""The live view of remote runs in a process of its own: `python -m tests.remote.view_process URL`."""

from __future__ import annotations

import sys

from trainsignal.remote.view import view_remote


def say(line: str) -> None:
    """Write a line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    view_remote(sys.argv[1], port=0, tell=say)
