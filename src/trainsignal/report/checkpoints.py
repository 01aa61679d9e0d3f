"""The checkpoints that a run saved, as its archive lists them."""

from __future__ import annotations

from typing import Any, Final

from trainsignal import keys
from trainsignal.report.attributes import as_text, is_moment
from trainsignal.report.contents import Contents, written_length
from trainsignal.report.records import SavedCheckpoint

MOST_CHECKPOINTS: Final = 10_000
"""Of more, the last."""


def read_checkpoints(contents: Contents) -> tuple[SavedCheckpoint, ...]:
    """Return the checkpoints that the run saved, in that order; none where nobody listed them."""
    with contents.telling(keys.CHECKPOINTS):
        dataset = contents.dataset(keys.CHECKPOINTS)
        if dataset is None:
            return ()
        if dataset.dtype.names != keys.CHECKPOINT_COLUMNS or len(dataset.shape) != 1:
            raise ValueError(f"it is no table of {', '.join(keys.CHECKPOINT_COLUMNS)}")
        end = written_length(dataset, 0)
        rows = contents.rows(dataset, max(0, end - MOST_CHECKPOINTS), end)
        return tuple(one for one in map(_checkpoint, rows) if one is not None)
    return ()


def _checkpoint(row: tuple[Any, ...]) -> SavedCheckpoint | None:
    path, epoch, minibatch, saved_at = row
    text = as_text(path)
    if text is None or not isinstance(epoch, int) or not isinstance(minibatch, int):
        return None
    return SavedCheckpoint(text, epoch, minibatch, saved_at if is_moment(saved_at) else None)
