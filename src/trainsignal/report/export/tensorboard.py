"""A run as a folder of events that TensorBoard shows, each series as a scalar under its key.

The step of a point is the number of minibatches that are done, of a run without any the number of epochs, and
where the archive does not say what the rows of a series are, the row. Its time is the real one; where nobody
noted it that of the run's begin, or 1970-01-01. Missing values are no points; TensorBoard holds float32.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainsignal.errors import ConfigurationError
from trainsignal.report.export.table import Block, blocks, storable
from trainsignal.report.records import Indices, Run, Series
from trainsignal.scalar_events import ScalarWriter, import_tensorboard, keep_events_aside


def write_events(run: Run, series: Sequence[Series], folder: Path) -> None:
    """Write a new file of events; those of an earlier export go to "earlier_1", "earlier_2" in the folder.

    Args:
        run: whose series.
        series: those to write.
        folder: made where it is missing.

    Raises:
        ConfigurationError: `folder` is a file.
        MissingPackageError: TensorBoard is not installed.
        OSError: the disk is full, or the folder not writable.
    """
    import_tensorboard()
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(
            f"cannot write events to {str(folder)!r}: that is a file. Name a folder, or a file that ends in "
            ".csv, .json or .parquet."
        )
    keep_events_aside(folder)
    writer = ScalarWriter(folder, time.time)
    try:
        for one in series:
            for block in blocks(one, run.timeline):
                _write(writer, run, block)
    finally:
        writer.close()


def _write(writer: ScalarWriter, run: Run, block: Block) -> None:
    key = storable(block.series.key)
    rows = np.flatnonzero(~np.isnan(block.value))
    begin = 0.0 if run.about.started_at is None else run.about.started_at
    seconds = np.zeros(block.row.size) if block.seconds is None else np.nan_to_num(block.seconds)
    points = zip(
        _steps(run, block)[rows].tolist(),
        block.value[rows].tolist(),
        (begin + seconds[rows]).tolist(),
        strict=True,
    )
    for step, value, moment in points:
        writer.write(step, {key: value}, at=moment)


def _steps(run: Run, block: Block) -> Indices:
    """Return the step of each row: (rows,)."""
    if block.minibatches_done is not None and run.timeline.minibatches[-1] > 0:
        return block.minibatches_done
    if block.epochs_done is not None:
        return np.rint(block.epochs_done).astype(np.int64)
    return block.row
