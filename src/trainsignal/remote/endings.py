"""How runs that go on elsewhere end: the errors that their replicas are closed with, and why.

They are handed to callbacks and handlers as the `error` of `run_closed`, and raised by nobody.
"""

from __future__ import annotations

from trainsignal.errors import TrainSignalError
from trainsignal.interrupt import PreemptedExit
from trainsignal.run_link import ExitReason


class RemoteRunError(TrainSignalError, RuntimeError):
    """The remote run has failed; its text is the remote error's: "ValueError: bad batch"."""


class RemoteInterrupt(KeyboardInterrupt):
    """The remote run was interrupted, or is followed no longer; the text says which."""


class RemotePreemption(PreemptedExit):
    """The machine of the remote run was given back."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words = words

    def __str__(self) -> str:
        return self._words


def error_of(reason: ExitReason, words: str) -> BaseException | None:
    """Return an error that gives a replica the exit reason of its run; None where no error ended that.

    Args:
        reason: the remote run's.
        words: what the run said.
    """
    if reason == "interrupted":
        return RemoteInterrupt(words)
    if reason == "preempted":
        return RemotePreemption(words)
    return RemoteRunError(words) if reason == "failed" else None
