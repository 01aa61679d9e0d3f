"""How callbacks save: the archive first, then the checkpoint, then the signal. A full disk ends no run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trainsignal.callback import Callback
from trainsignal.errors import CheckpointError
from trainsignal.run_link import run_of
from trainsignal.shared_data import SharedData


def save_and_tell(callback: Callback, callback_data: SharedData, save: Callable[[], Path]) -> bool:
    """Save a checkpoint on behalf of a callback, and publish `checkpoint_saved`.

    The archive is published before, so that it is never behind the checkpoint.

    Args:
        callback: takes part in a run.
        callback_data: the shared data.
        save: writes the checkpoint and returns its path.

    Returns:
        Whether it was saved. Where the disk refused, the run has been told and goes on.

    Raises:
        CheckpointError: the state holds what no checkpoint can hold.
    """
    run = run_of(callback)
    callback_data.flush()
    try:
        path = save()
    except CheckpointError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        run.report(f"{type(callback).__name__}: {error} Training goes on.")
        return False
    run.checkpoint_saved(str(path))
    return True
