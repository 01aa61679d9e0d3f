"""A run in a process of its own that a test drives: `python -m tests.support.driven_run ARCHIVE EPOCHS`.

Does what each line on stdin says, and answers it with "done":

    minibatch COST    a minibatch with this cost
    epoch             end the epoch and begin the next
    series NAME       a new series with a value for each minibatch so far
    publish           have the archive replaced by one of all this
    end               end the run
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.support.processes import python
from tests.support.runs import quiet
from trainsignal import keys


class DrivenRun:
    """The test's end of it.

    Args:
        archive: what the run writes.
        epochs: how many are announced.
    """

    def __init__(self, archive: Path, epochs: int = 4) -> None:
        self._process = python("tests.support.driven_run", archive, epochs)
        self.pid = self._process.pid
        self._await()

    def tell(self, *lines: str) -> None:
        """Have the run do what these lines say, and wait until it is done."""
        assert self._process.stdin is not None
        for line in lines:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            self._await()

    def end(self) -> None:
        """End the run, and see that it ended well."""
        self.tell("end")
        assert self._process.wait(timeout=60) == 0

    def kill(self) -> None:
        """End the process at once, if it still is there."""
        self._process.kill()
        self._process.communicate()

    def _await(self) -> None:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if answer != "done\n":
            _, errors = self._process.communicate(timeout=60)
            raise AssertionError(f"the run said {answer!r}\n{errors}")


def drive(archive: str, epochs: int) -> None:
    """Run what stdin says."""
    callbacks = quiet(output_file=archive)
    callbacks.on_train_begin(epochs)
    callbacks.on_epoch_begin(0)
    epoch, minibatches = 0, 0
    _answer()
    for line in sys.stdin:
        match line.split():
            case ["minibatch", cost]:
                callbacks.on_minibatch_begin(epoch, minibatches)
                callbacks.run.cost = float(cost)
                callbacks.on_minibatch_end(epoch, minibatches)
                minibatches += 1
            case ["epoch"]:
                callbacks.on_epoch_end(epoch)
                epoch, minibatches = epoch + 1, 0
                callbacks.on_epoch_begin(epoch)
            case ["series", name]:
                values = np.arange(callbacks.run.minibatches_done, dtype=np.float32)
                series = callbacks.callback_data.create_dataset(name, data=values)
                series.attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH
            case ["publish"]:
                callbacks.callback_data.publish()
            case ["end"]:
                callbacks.on_epoch_end(epoch)
                callbacks.on_train_end()
                _answer()
                return
            case _:
                raise ValueError(line)
        _answer()


def _answer() -> None:
    sys.stdout.write("done\n")
    sys.stdout.flush()


if __name__ == "__main__":
    drive(sys.argv[1], int(sys.argv[2]))
