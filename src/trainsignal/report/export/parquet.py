"""A run as a Parquet file: the columns of `table`; the only file that imports Arrow.

`value` is float64 whatever the archive holds, which loses nothing; a missing number is null. The metadata of
the schema hold `table.overview` as JSON under "trainsignal".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainsignal.extras import require
from trainsignal.report.export.table import Block, blocks, overview, storable
from trainsignal.report.records import Run, Series

METADATA_KEY = "trainsignal"

_ROWS_IN_GROUP = 1 << 18


def write_parquet(run: Run, series: Sequence[Series], path: Path) -> None:
    """Write a new file.

    Raises:
        MissingPackageError: pyarrow is not installed.
        OSError: the disk is full, or the folder not writable.
    """
    arrow: Any = require("pyarrow", extra="parquet", user="writing Parquet")
    parquet: Any = require("pyarrow.parquet", extra="parquet", user="writing Parquet")
    schema = _schema(arrow, run)
    with parquet.ParquetWriter(str(path), schema, compression="zstd") as file:
        for one in series:
            for block in blocks(one, run.timeline, _ROWS_IN_GROUP):
                file.write_table(_table(arrow, schema, block))


def _schema(arrow: Any, run: Run) -> Any:
    return arrow.schema(
        [
            ("series", arrow.dictionary(arrow.int32(), arrow.string())),
            ("row", arrow.int64()),
            ("epoch", arrow.int64()),
            ("epochs_done", arrow.float64()),
            ("minibatches_done", arrow.int64()),
            ("seconds", arrow.float64()),
            ("value", arrow.float64()),
        ],
        metadata={METADATA_KEY: json.dumps(overview(run), allow_nan=False)},
    )


def _table(arrow: Any, schema: Any, block: Block) -> Any:
    rows = block.row.size
    key = arrow.array([storable(block.series.key)], arrow.string())
    columns = [arrow.DictionaryArray.from_arrays(np.zeros(rows, np.int32), key)]
    for name in schema.names[1:]:
        column: npt.NDArray[Any] | None = getattr(block, name)
        kind = schema.field(name).type
        columns.append(
            arrow.nulls(rows, kind) if column is None else arrow.array(column, kind, from_pandas=True)
        )
    return arrow.Table.from_arrays(columns, schema=schema)
