"""What stands in HTML of a run on pages and in notebooks."""

from __future__ import annotations

import re
from importlib import resources
from typing import get_args

import numpy as np
import pytest

from tests.support.report_runs import STARTED_AT, about, each_epoch
from trainsignal.report import html_parts
from trainsignal.report.records import CallbackTime, SavedCheckpoint, Series, Status
from trainsignal.report.wording import moment

HOSTILE = "<b>&"
ESCAPED = "&lt;b&gt;&amp;"


@pytest.mark.parametrize("status", get_args(Status))
def test_each_status_has_a_tone_and_each_tone_a_colour_in_both_style_sheets(status: str) -> None:
    html = html_parts.headline("", about(status=status))
    (tone,) = re.findall(rf'class="pill (.*?)">{status}<', html)

    for sheet in ("notebook.css", "pages/markup.css"):
        css = resources.files("trainsignal.report").joinpath(sheet).read_text("utf-8")
        assert (f".{tone} {{" in css) == (tone != "unknown")


def test_the_headline_says_why_a_run_ended_in_a_sentence() -> None:
    html = html_parts.headline("<b>run</b>", about(status="stopped", author="Early", detail=HOSTILE))

    assert html.startswith('<div class="headline"><b>run</b>')
    assert html.endswith(f"<p>Stopped by Early: {ESCAPED}</p>")
    assert "<p>" not in html_parts.headline("", about(status="completed"))


@pytest.mark.parametrize(
    ("changes", "bar"),
    [
        pytest.param({"minibatches_done": 15}, 'value="15" max="40"', id="by minibatches"),
        pytest.param({"total_minibatches": None, "epochs_complete": 1}, 'value="1" max="4"', id="by epochs"),
        pytest.param({"total_minibatches": None, "total_epochs": None}, None, id="nobody knows"),
        pytest.param({"status": "completed"}, None, id="over"),
    ],
)
def test_a_run_in_progress_has_a_bar(changes: dict[str, object], bar: str | None) -> None:
    html = html_parts.progress_bar(about(**{"status": "in progress"} | changes))

    assert html == "" if bar is None else f"<progress {bar}" in html


def test_a_table_has_a_cell_for_each_head_and_numbers_flush_right() -> None:
    table = html_parts.table(["name", "value"], [["a", "1"]], numbers=[1])

    assert '<th scope="col">name</th><th scope="col" class="number">value</th>' in table
    assert '<tr><td>a</td><td class="number">1</td></tr>' in table


def test_a_row_with_another_number_of_cells_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        html_parts.table(["name", "value"], [["a"]])


@pytest.mark.parametrize(
    ("series", "cells"),
    [
        (each_epoch("a", [3.0, 1.0, 2.0], direction="min"), ["a", "2", "1", "epoch 1"]),
        (each_epoch("a", [2.0**30], unit="bytes"), ["a", "1 GiB", "", ""]),
        (each_epoch("a", [1.0, np.nan]), ["a", "NaN", "", ""]),
        (each_epoch("a", []), ["a", "&ndash;", "", ""]),
        (Series("a", np.array([1.0, 4.0]), "minibatch", direction="max"), ["a", "4", "4", "minibatch 1"]),
        (each_epoch("metrics/acc", [1.0], reported_as="acc"), ["metrics/acc", "1", "", ""]),
        (
            each_epoch(HOSTILE, [1.0], unit=HOSTILE, reported_as="<i>"),
            [f'{ESCAPED} <span class="soft">&lt;i&gt;</span>', f"1 {ESCAPED}", "", ""],
        ),
    ],
    ids=["best", "unit", "NaN", "no rows", "minibatches", "reported by its name", "hostile"],
)
def test_cells_of_a_series(series: Series, cells: list[str]) -> None:
    assert html_parts.series_cells(series) == cells


def test_cells_of_a_checkpoint() -> None:
    early, late = SavedCheckpoint(HOSTILE, 1, 2000, None), SavedCheckpoint("a", 0, 1, STARTED_AT)

    assert html_parts.checkpoint_cells(early) == [ESCAPED, "1", "2,000", ""]
    assert moment(STARTED_AT) in html_parts.checkpoint_cells(late)[3]


def test_a_callback_that_failed_is_marked() -> None:
    assert html_parts.callback_name(CallbackTime(HOSTILE, 1.0, 0)) == ESCAPED
    assert (
        html_parts.callback_name(CallbackTime("A", 1.0, 1)) == 'A <span class="failed">⚠ failed once</span>'
    )
