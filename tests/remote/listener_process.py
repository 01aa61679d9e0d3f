"""A named listener in a process of its own: `python -m tests.remote.listener_process URL NAME SLEEP_S`.

Writes a line for each durable signal that it hears, after having waited so many seconds in its handler.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from trainsignal.remote import listen

SIGNALS = ("train_begin", "epoch_begin", "epoch_end", "train_end", "run_closed")


def main(url: str, name: str, sleep_s: float) -> None:
    """Listen until killed."""

    def teller(signal: str) -> Any:
        def tell(model: Any, run: Any) -> None:
            time.sleep(sleep_s)
            sys.stdout.write(f"{signal} {run.epoch} {model.number}\n")
            sys.stdout.flush()

        return tell

    listen(url, handlers=[(signal, teller(signal)) for signal in SIGNALS], name=name)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
