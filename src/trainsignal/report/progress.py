"""How far a run came, as the archive marks it; and with what its series tell, the timeline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainsignal import keys
from trainsignal.report import attributes
from trainsignal.report.contents import Contents, float64s, is_numeric, written_length
from trainsignal.report.records import About
from trainsignal.report.timeline import Float64s, Timeline


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """What the markers of an archive say.

    Attributes:
        has_markers: there are any.
        epochs: complete ones.
        minibatches: done, over all epochs; of an epoch in progress, as far as it was marked.
        epoch_ends: (n,) minibatches done up to the end of each complete epoch, never falling; n may be less
            than `epochs`, and is 0 where nobody noted them.
        epoch_times: (n,) seconds since 1970-01-01 UTC at the same moments; NaN where unknown.
        total_epochs: asked for; None: nobody said.
        total_minibatches: asked for; None: nobody said.
    """

    has_markers: bool
    epochs: int
    minibatches: int
    epoch_ends: Float64s
    epoch_times: Float64s
    total_epochs: int | None
    total_minibatches: int | None


def read_progress(contents: Contents) -> Progress:
    """Return what the markers say; nothing done where there are none."""
    config, markers = contents.group(keys.CONFIG), contents.group(keys.TIME_MARKERS)
    rows = _rows(contents, keys.EPOCH_ENDS)
    ends = np.where(np.isfinite(rows) & (rows > 0), rows, 0)
    epochs = attributes.whole(markers, keys.EPOCHS_COMPLETE)
    if epochs is None:
        epochs = int(ends.nonzero()[0].max(initial=-1)) + 1
    ends = np.maximum.accumulate(ends[:epochs])
    times = np.full(ends.size, np.nan)
    noted = _rows(contents, keys.EPOCH_TIMES)[: ends.size]
    times[: noted.size] = noted
    return Progress(
        has_markers=markers is not None,
        epochs=epochs,
        minibatches=max(attributes.whole(markers, keys.MINIBATCHES_COMPLETE) or 0, int(ends.max(initial=0))),
        epoch_ends=ends,
        epoch_times=times,
        total_epochs=attributes.whole(config, keys.TOTAL_EPOCHS),
        total_minibatches=attributes.whole(config, keys.TOTAL_MINIBATCHES),
    )


def timeline_of(progress: Progress, about: About, epochs_told: int) -> Timeline:
    """Return where the moments of a run lie.

    Without markers, or before the first, epochs are as long as was asked for; without that, all minibatches
    lie evenly in the epochs that anything tells of. Epochs beyond the last known go on at its pace.

    Args:
        progress: what the markers say.
        about: when the run began and ended, and its minibatches.
        epochs_told: as many does any series know; 0: none does.
    """
    ends = progress.epoch_ends
    if not ends.any() and about.minibatches_done:
        if progress.total_epochs and progress.total_minibatches:
            length = progress.total_minibatches / progress.total_epochs
        else:
            length = about.minibatches_done / max(progress.epochs, epochs_told, 1)
        ends = np.array([length])
    minibatches = np.append(0.0, ends)
    return Timeline(minibatches, _seconds(minibatches, progress.epoch_times[: ends.size], about))


def _seconds(minibatches: Float64s, epoch_times: Float64s, about: About) -> Float64s:
    """Return the seconds since the begin at the ends of epochs; spread evenly where nobody noted them."""
    seconds = np.full(minibatches.size, np.nan)
    if about.started_at is None:
        return seconds
    seconds[0] = 0
    noted = epoch_times - about.started_at
    if np.isfinite(noted).any():
        noted = np.where(noted >= 0, noted, np.nan)
        seconds[1 : noted.size + 1] = np.where(np.isnan(noted), np.nan, np.fmax.accumulate(noted))
    elif about.ended_at is not None and minibatches.size > 1:
        steps = minibatches if minibatches[-1] else np.arange(minibatches.size, dtype=float)
        done = max(about.minibatches_done, 1) if minibatches[-1] else max(about.epochs_complete, 1)
        seconds = steps / done * (about.ended_at - about.started_at)
    return seconds


def _rows(contents: Contents, path: str) -> Float64s:
    """Return a row of numbers, one an epoch; none where there is something else."""
    with contents.telling(path):
        dataset = contents.dataset(path)
        if dataset is not None and is_numeric(dataset) and len(dataset.shape) == 1:
            rows = slice(0, written_length(dataset, 0))
            return float64s(contents.read(dataset, (rows,)))
    return np.empty(0)
