"""Why a run ended: the words for it, of the run and of the error that ended it."""

from __future__ import annotations

from trainsignal.interrupt import PreemptedExit
from trainsignal.receiver import author_of
from trainsignal.run import TrainingRun
from trainsignal.run_link import ExitReason


def why(run: TrainingRun) -> tuple[str | None, str | None]:
    """Return why a run ended before its time, in words, and who wanted it or whose error it was."""
    error = run.error
    if run.rank_failure is not None:
        return str(run.rank_failure), f"rank {run.rank_failure.rank}"
    if isinstance(error, PreemptedExit):  # its text is a number
        return type(error).__name__, author_of(error)
    if error is not None:
        return f"{type(error).__name__}: {error}".removesuffix(": "), author_of(error) or "loop"
    return (run.votes[0].reason, run.votes[0].author) if run.votes else (None, None)


def reason_of(error: BaseException) -> ExitReason:
    """Return what a run that this error ended is called."""
    if isinstance(error, PreemptedExit):
        return "preempted"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
