"""The head of a page: what ran, how it ended, last and best values, checkpoints."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.browser import browser_page
from tests.support.pieces import HOSTILE, shown
from tests.support.report_runs import STARTED_AT, about, each_epoch, run, train_cost
from trainsignal.report.pages.overview import Overview
from trainsignal.report.records import Run, SavedCheckpoint, Series
from trainsignal.report.wording import moment, zoned_moment

SILENT: dict[str, Any] = dict.fromkeys(
    ("run_id", "model", "script", "host", "version", "started_at", "ended_at", "total_epochs")
)
"""What neon's archives do not tell."""


def html_of(shown: Run) -> str:
    text: str = Overview(shown).model.text
    return text


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))


def saved(path: str, epoch: int, saved_at: float | None = None) -> SavedCheckpoint:
    return SavedCheckpoint(path, epoch, 9, saved_at)


@pytest.mark.parametrize(
    ("changes", "pill", "words"),
    [
        pytest.param({"status": "completed"}, "pill good", "completed", id="completed"),
        pytest.param(
            {"status": "stopped", "author": "EarlyStopCallback", "detail": "the loss rises"},
            "pill busy",
            "Stopped by EarlyStopCallback: the loss rises",
            id="stopped",
        ),
        pytest.param(
            {"status": "failed", "author": "HistCallback", "detail": "KeyError: 'W'"},
            "pill bad",
            "Failed in HistCallback: KeyError: &#x27;W&#x27;",
            id="failed",
        ),
        pytest.param({"status": "killed"}, "pill bad", "Killed: its process is gone", id="killed"),
        pytest.param({"status": "interrupted"}, "pill warn", "interrupted", id="interrupted"),
        pytest.param(
            {"status": "unknown"}, 'pill unknown">unknown', "Nobody noted how it ended", id="unknown"
        ),
    ],
)
def test_the_headline_says_how_the_run_ended_and_who_said_so(
    changes: dict[str, Any], pill: str, words: str
) -> None:
    html = html_of(run(about=about(**changes)))

    assert pill in html
    assert words in words_of(html)


def test_facts_stand_with_their_names() -> None:
    words = words_of(html_of(run(about=about(resumed_at=(10, 2500)))))

    assert "progress 4 of 4 epochs, 40 minibatches" in words
    assert f"started {zoned_moment(STARTED_AT)} ended {moment(STARTED_AT + 60)} duration 1 min" in words
    assert "model Model script train.py host machine run id a1b2 trainsignal 1.0" in words
    assert "resumed after minibatch 10, 2,500" in words
    assert "archive /runs/run.h5" in words
    assert "callbacks 2, in their order LossCallback TrainCostCallback" in words


def test_what_the_archive_does_not_tell_is_absent() -> None:
    words = words_of(html_of(run(about=about(**SILENT, callbacks=()), path="")))

    for name in (
        "started",
        "ended",
        "duration",
        "model",
        "script",
        "host",
        "run id",
        "resumed",
        "archive",
        "callbacks",
    ):
        assert name not in words


@pytest.mark.parametrize(
    ("changes", "bar"),
    [
        pytest.param({"minibatches_done": 15}, 'value="15" max="40"', id="by minibatches"),
        pytest.param({"total_minibatches": None, "epochs_complete": 1}, 'value="1" max="4"', id="by epochs"),
        pytest.param({"total_minibatches": None, "total_epochs": None}, None, id="nobody knows"),
        pytest.param({"status": "completed"}, None, id="over"),
    ],
)
def test_a_run_in_progress_has_a_bar(changes: dict[str, Any], bar: str | None) -> None:
    html = html_of(run(about=about(**{"status": "in progress"} | changes)))

    assert "<progress" not in html if bar is None else f"<progress {bar}" in html


def test_series_have_last_and_best_values_in_their_units() -> None:
    words = words_of(
        html_of(
            run(
                train_cost(),
                each_epoch("metrics/Accuracy", [0.25, 0.75, 0.5], direction="max", reported_as="val_acc"),
                each_epoch("cost/loss", [3.0, np.nan], direction="min", reported_as="loss"),
                each_epoch("system/memory", [2.0**30, 3 * 2.0**30], unit="bytes"),
                each_epoch("metrics/none", [np.nan]),
                Series("metrics/fine", np.array([4.0, 1.0, 2.0]), "minibatch", direction="min"),
            )
        )
    )

    assert "cost/train 0 " in words
    assert "metrics/Accuracy val_acc 0.5 0.75 epoch 1" in words
    assert "cost/loss NaN 3 epoch 0" in words
    assert "system/memory 3 GiB" in words
    assert "metrics/none NaN" in words
    assert "metrics/fine 2 1 minibatch 1" in words


def test_of_many_series_the_rest_is_folded() -> None:
    html = html_of(run(*(each_epoch(f"metrics/m{number:02}", [1.0]) for number in range(33))))
    before, _, after = html.partition('<details data-name="series"')

    assert "m29" in before
    assert "m30" not in before
    assert "3 more" in after
    assert "m32" in after


def test_no_series_no_checkpoints_no_tables() -> None:
    assert "<table" not in html_of(Run("run", "", about(), run().timeline, ()))


def test_checkpoints_stand_newest_first_and_one_that_was_overwritten_once() -> None:
    checkpoints = (saved("a", 0), saved("best", 1), saved("b", 2), saved("best", 3, STARTED_AT))
    words = words_of(html_of(run(about=about(checkpoints=checkpoints))))

    assert re.search(rf"best 3 9 {moment(STARTED_AT)} b 2 9 a 0 9", words)
    assert words.count("best 3") == 1
    assert "best 1" not in words


def test_of_many_checkpoints_the_oldest_are_folded() -> None:
    html = html_of(
        run(about=about(checkpoints=tuple(saved(f"file{number:02}", number) for number in range(12))))
    )
    before, _, after = html.partition('<details data-name="checkpoints"')

    assert "file02" in before
    assert "file01" not in before
    assert "2 more" in after
    assert "file00" in after


def test_problems_stand_on_top() -> None:
    alone = html_of(run(problems=("it is <broken>",)))
    both = html_of(run(problems=("it is broken", "it is late")))

    assert alone.startswith('<div class="notice" role="status">it is &lt;broken&gt;</div>')
    assert both.startswith('<div class="notice" role="status"><ul><li>it is broken</li><li>it is late</li>')


def test_an_update_shows_the_run_as_it_is_now() -> None:
    overview = Overview(run(about=about(status="in progress", epochs_complete=1)))
    overview.update(run(about=about(epochs_complete=4)))

    assert "pill good" in overview.model.text
    assert "4 of 4 epochs" in overview.model.text


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_hostile_text_stays_text_and_nothing_sticks_out_of_a_narrow_window(
    tmp_path: Path, color_scheme: Any
) -> None:
    hostile = run(
        each_epoch(f"metrics/{HOSTILE}", [1.0], direction="min", unit=HOSTILE, reported_as=HOSTILE),
        name=HOSTILE,
        path=HOSTILE * 5,
        about=about(
            status="failed", detail=HOSTILE, author=HOSTILE, model=HOSTILE, script=HOSTILE, host=HOSTILE,
            run_id=HOSTILE, version=HOSTILE, callbacks=(HOSTILE,), checkpoints=(saved(HOSTILE, 0),),
        ),
        problems=(HOSTILE,),
    )  # fmt: skip

    with browser_page(width=420, color_scheme=color_scheme) as tab:
        tab.open(shown(tmp_path, Overview(hostile).model))
        page = tab.page

        assert page.locator("h1").inner_text() == HOSTILE
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
        red = {"light": "rgb(198, 40, 40)", "dark": "rgb(255, 123, 114)"}[color_scheme]
        assert page.locator(".pill").evaluate("pill => getComputedStyle(pill).backgroundColor") == red
        assert (tab.console, tab.requests) == ([], [])


def test_a_series_that_is_still_the_same_is_not_read_again() -> None:
    loss = each_epoch("cost/loss", [1, 2])
    overview = Overview(run(loss))
    loss.values[1] = 3

    overview.update(run(loss, about=about(status="killed")))
    assert '<td class="number">2</td>' in overview.model.text
    assert "pill bad" in overview.model.text
    overview.update(run(replace(loss)))
    assert '<td class="number">3</td>' in overview.model.text
