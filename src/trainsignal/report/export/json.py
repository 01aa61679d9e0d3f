"""A run as one JSON object: {"run": {...}, "series": {key: {...}}}.

"run" holds what ran, as `table.overview` tells it. Of a series there are its "unit", "direction" ("min"
where lower is better, "max" where higher is), "axis" ("minibatch", "epoch" or "row": what a row is) and
"reported_as", null where nobody said, and the columns of `table` as arrays, a missing number as null. JSON
has no infinities: they are the texts "Infinity" and "-Infinity".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from trainsignal.report.export.table import COLUMNS, blocks, overview
from trainsignal.report.records import Run, Series
from trainsignal.report.timeline import Timeline


def write_json(run: Run, series: Sequence[Series], path: Path) -> None:
    """Write a new file.

    Raises:
        OSError: the disk is full, or the folder not writable.
    """
    with path.open("w", encoding="utf-8") as file:
        file.writelines(_pieces(run, series))


def _pieces(run: Run, series: Sequence[Series]) -> Iterator[str]:
    yield f'{{"run": {json.dumps(overview(run), allow_nan=False)},\n"series": {{'
    for place, one in enumerate(series):
        yield f"{',' if place else ''}\n{json.dumps(one.key)}: "
        yield from _series(one, run.timeline)
    yield "\n}}\n"


def _series(series: Series, timeline: Timeline) -> Iterator[str]:
    facts = {
        "unit": series.unit,
        "direction": series.direction,
        "axis": series.axis,
        "reported_as": series.reported_as,
    }
    yield json.dumps(facts)[:-1]
    for name in COLUMNS[1:]:
        yield f',\n  "{name}": ['
        for place, block in enumerate(blocks(series, timeline)):
            yield ", " if place else ""
            yield json.dumps(_numbers(getattr(block, name), block.row.size), allow_nan=False)[1:-1]
        yield "]"
    yield "}"


def _numbers(column: npt.NDArray[Any] | None, rows: int) -> list[Any]:
    if column is None:
        return [None] * rows
    numbers: list[Any] = column.tolist()
    return [_strict(one) for one in numbers] if column.dtype.kind == "f" else numbers


def _strict(number: float) -> float | str | None:
    if math.isfinite(number):
        return number
    if math.isnan(number):
        return None
    return "Infinity" if number > 0 else "-Infinity"
