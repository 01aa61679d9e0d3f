"""A run as one JSON object."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.report_runs import each_epoch, run, timeline, train_cost
from trainsignal.report.export.json import write_json
from trainsignal.report.records import Run, Series


def refuse(token: str) -> None:
    raise AssertionError(f"{token} is no JSON")


def written(one: Run, path: Path) -> dict[str, Any]:
    write_json(one, one.series, path / "out.json")
    text = (path / "out.json").read_text(encoding="utf-8")
    told: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return told


def test_a_series_is_an_object_with_its_facts_and_columns(tmp_path: Path) -> None:
    one = run(
        each_epoch("cost/loss", [1.5, 0.75], direction="min", reported_as="val_loss", unit="nats"),
        timeline=timeline(2, 10, 5.0),
    )

    assert written(one, tmp_path)["series"] == {
        "cost/loss": {
            "unit": "nats",
            "direction": "min",
            "axis": "epoch",
            "reported_as": "val_loss",
            "row": [0, 1],
            "epoch": [0, 1],
            "epochs_done": [1.0, 2.0],
            "minibatches_done": [10, 20],
            "seconds": [5.0, 10.0],
            "value": [1.5, 0.75],
        }
    }


def test_the_run_is_told(tmp_path: Path) -> None:
    told = written(run(name="mine"), tmp_path)["run"]

    assert (told["name"], told["model"], told["epochs_complete"]) == ("mine", "Model", 4)


def test_missing_numbers_are_null_and_infinities_are_texts(tmp_path: Path) -> None:
    one = run(Series("mine", np.array([1.0, math.nan, math.inf, -math.inf]), "row"))

    told = written(one, tmp_path)["series"]["mine"]

    assert told["value"] == [1.0, None, "Infinity", "-Infinity"]
    assert told["epoch"] == told["epochs_done"] == told["minibatches_done"] == told["seconds"] == [None] * 4
    assert told["unit"] is told["direction"] is told["reported_as"] is None


def test_any_key_is_kept(tmp_path: Path) -> None:
    names = ['a "quoted"\n\\key', "</script>", "café/日本", "a\udcffb"]

    told = written(run(*(each_epoch(name, [0.5]) for name in names)), tmp_path)

    assert list(told["series"]) == names


def test_a_run_without_series_is_an_object_too(tmp_path: Path) -> None:
    one = run()
    write_json(one, [], tmp_path / "out.json")

    assert json.loads((tmp_path / "out.json").read_text())["series"] == {}


def test_a_series_without_rows_has_empty_columns(tmp_path: Path) -> None:
    assert written(run(each_epoch("cost/loss", [])), tmp_path)["series"]["cost/loss"]["value"] == []


def test_many_rows_are_written_block_by_block(tmp_path: Path) -> None:
    costs = train_cost(70_000)  # more than a block holds

    told = written(run(costs, timeline=timeline(7, 10_000)), tmp_path)["series"]["cost/train"]

    assert told["value"] == costs.values.tolist()
    assert told["row"] == list(range(70_000))
