"""A run as a Parquet file, read by Arrow."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest

from tests.support.report_runs import each_epoch, run, timeline, train_cost
from trainsignal.errors import MissingPackageError
from trainsignal.report.export.parquet import write_parquet
from trainsignal.report.records import Run, Series


def written(one: Run, path: Path) -> Any:
    write_parquet(one, one.series, path / "out.parquet")
    return pyarrow.parquet.read_table(path / "out.parquet")


def test_each_value_is_a_row(tmp_path: Path) -> None:
    one = run(train_cost(2), each_epoch("cost/loss", [1.5]), timeline=timeline(2, 10, 5.0))

    assert written(one, tmp_path).to_pydict() == {
        "series": ["cost/train", "cost/train", "cost/loss"],
        "row": [0, 1, 0],
        "epoch": [0, 0, 0],
        "epochs_done": [0.1, 0.2, 1.0],
        "minibatches_done": [1, 2, 10],
        "seconds": [0.5, 1.0, 5.0],
        "value": [2.0, 0.0, 1.5],
    }


def test_columns_have_types(tmp_path: Path) -> None:
    types = {field.name: str(field.type) for field in written(run(), tmp_path).schema}

    assert types.pop("series").startswith("dictionary<values=string")
    assert types == {
        "row": "int64", "epoch": "int64", "epochs_done": "double", "minibatches_done": "int64",
        "seconds": "double", "value": "double",
    }  # fmt: skip


def test_values_read_back_exactly_and_missing_ones_as_null(tmp_path: Path) -> None:
    values = np.array([0.1, np.nan, np.inf, -np.inf, 1e-45, 3.4e38], np.float32)

    back = written(run(Series("mine", values, "row")), tmp_path).to_pydict()

    assert back["value"] == [None if math.isnan(value) else value for value in values.tolist()]
    for name in ("epoch", "epochs_done", "minibatches_done", "seconds"):
        assert back[name] == [None] * 6


def test_the_metadata_say_what_ran(tmp_path: Path) -> None:
    metadata = written(run(name="mine"), tmp_path).schema.metadata

    told = json.loads(metadata[b"trainsignal"])
    assert (told["name"], told["model"], told["status"]) == ("mine", "Model", "completed")


def test_any_key_can_be_written(tmp_path: Path) -> None:
    back = written(run(each_epoch("a\udcffb", [1.0]), each_epoch('日本,"\n', [1.0])), tmp_path).to_pydict()

    assert back["series"] == ["a\\udcffb", '日本,"\n']


def test_many_rows_are_written_group_by_group(tmp_path: Path) -> None:
    costs = train_cost((1 << 18) + 3)

    back = written(run(costs, timeline=timeline(1, costs.values.size)), tmp_path)

    assert np.array_equal(back["value"].to_numpy(), costs.values)
    groups = pyarrow.parquet.ParquetFile(tmp_path / "out.parquet").metadata.num_row_groups
    assert groups == 2


def test_a_run_without_series_is_an_empty_table(tmp_path: Path) -> None:
    one = run()
    write_parquet(one, [], tmp_path / "out.parquet")

    assert pyarrow.parquet.read_table(tmp_path / "out.parquet").num_rows == 0


def test_missing_arrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(MissingPackageError, match=r"pip install \"trainsignal\[parquet\]\""):
        write_parquet(run(), (), tmp_path / "out.parquet")

    assert list(tmp_path.iterdir()) == []
