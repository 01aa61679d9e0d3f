"""Which format a path asks for, and what becomes of a file that is there."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.support.report_runs import run
from tests.support.tensorboard_events import shown
from trainsignal.errors import ConfigurationError, MissingPackageError
from trainsignal.report.export.writing import export_run

KEYS = ["cost/train", "cost/loss", "metrics/Accuracy"]


def csv_keys(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(dict.fromkeys(line["series"] for line in csv.DictReader(file)))


@pytest.mark.parametrize("name", ["out.csv", "OUT.CSV"])
def test_csv_by_its_suffix(name: str, tmp_path: Path) -> None:
    export_run(run(), tmp_path / name)

    assert csv_keys(tmp_path / name) == KEYS


def test_json_by_its_suffix(tmp_path: Path) -> None:
    export_run(run(), tmp_path / "out.json")

    assert list(json.loads((tmp_path / "out.json").read_text())["series"]) == KEYS


def test_parquet_by_its_suffix(tmp_path: Path) -> None:
    export_run(run(), tmp_path / "out.parquet")

    keys = pyarrow.parquet.read_table(tmp_path / "out.parquet")["series"].to_pylist()
    assert list(dict.fromkeys(keys)) == KEYS


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_is_for_tensorboard(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / ("events.v2" if exists else "new/events")
    if exists:
        folder.mkdir()

    export_run(run(), folder)

    assert sorted(shown(folder)) == sorted(KEYS)


def test_an_unknown_suffix_is_told_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"called '\.xlsx'.*\.csv, \.json, \.parquet, or a folder"):
        export_run(run(), tmp_path / "out.xlsx")


def test_only_the_series_that_were_asked_for_are_written_each_once(tmp_path: Path) -> None:
    export_run(run(), tmp_path / "out.csv", ["metrics/Accuracy", "cost/train", "metrics/Accuracy"])

    assert csv_keys(tmp_path / "out.csv") == ["metrics/Accuracy", "cost/train"]


def test_an_unknown_series_is_told_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no series 'cost/los'\. Did you mean 'cost/loss'\?"):
        export_run(run(), tmp_path / "out.csv", ["cost/los"])

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept_under_a_numbered_name(tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("mine")

    export_run(run(), tmp_path / "out.csv")

    assert (tmp_path / "out.1.csv").read_text() == "mine"
    assert csv_keys(tmp_path / "out.csv") == KEYS


def test_a_failed_export_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "out.parquet").write_text("mine")

    with pytest.raises(MissingPackageError):
        export_run(run(), tmp_path / "out.parquet")

    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert (tmp_path / "out.parquet").read_text() == "mine"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="mkdir -p"):
        export_run(run(), tmp_path / "missing" / "out.csv")


def test_a_folder_of_a_files_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()

    with pytest.raises(ConfigurationError, match="that is a folder"):
        export_run(run(), tmp_path / "out.csv")
