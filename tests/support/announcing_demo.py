"""The demo in a process of its own, which writes down what is on the disk before it goes on."""

import contextlib
import os
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from trainsignal import Callbacks, demo


def run_demo(folder: Path, arguments: list[str], first: Connection) -> None:
    """Run the demo in `folder`; meant for a process that may be killed.

    Appends "<epoch> <file>" to `announced` after each checkpoint; sends the first one's epoch to `first`.
    """

    def announce(path: str, epoch: int) -> None:
        with Path("announced").open("a") as announced:
            announced.write(f"{epoch} {path}\n")
        if not first.closed:
            first.send(epoch)
            first.close()

    class AnnouncingCallbacks(Callbacks):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.bus.subscribe("checkpoint_saved", announce)

    os.chdir(folder)
    vars(demo)["Callbacks"] = AnnouncingCallbacks  # the script's own name for the class
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # noqa: PTH123  # no path
        demo.main(arguments)
