"""A run as a CSV file: the columns of `table`, a header line, UTF-8, "." as the decimal sign.

A missing field is empty, infinities are "inf" and "-inf". Values read back exactly in the series' own type:
0.1 of a float32 series stands as "0.1".
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.report.export.table import COLUMNS, Block, blocks, storable
from trainsignal.report.records import Run, Series


def write_csv(run: Run, series: Sequence[Series], path: Path) -> None:
    """Write a new file.

    Raises:
        OSError: the disk is full, or the folder not writable.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in series:
            for block in blocks(one, run.timeline):
                writer.writerows(_lines(block))


def _lines(block: Block) -> Iterable[tuple[Any, ...]]:
    # The csv module leaves a carriage return unquoted where lines do not end in one.
    key = storable(block.series.key).replace("\r", "\\r")
    columns = (block.row, block.epoch, block.epochs_done, block.minibatches_done, block.seconds)
    values = _texts(block.value)
    return zip(
        [key] * len(values), *(_fields(column, len(values)) for column in columns), values, strict=True
    )


def _fields(column: npt.NDArray[Any] | None, rows: int) -> Sequence[Any]:
    """Return a column as the csv module takes it, None for a missing field."""
    if column is None:
        return [None] * rows
    fields: list[Any] = column.tolist()
    return [None if one != one else one for one in fields] if column.dtype.kind == "f" else fields


def _texts(values: npt.NDArray[np.floating]) -> list[str]:
    return ["" if one == "nan" else one for one in map(str, values)]
