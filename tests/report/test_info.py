"""A run in the terminal."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.support.report_runs import STARTED_AT, about, each_epoch, run, train_cost
from trainsignal.report.info import describe
from trainsignal.report.records import CallbackTime, Run, SavedCheckpoint, Series
from trainsignal.report.terminal_text import columns
from trainsignal.report.wording import moment, zoned_moment


def facts(one: Run, **options: Any) -> list[tuple[str, str]]:
    """Return the lines of the overview: what stands before and after column 13."""
    overview = describe(one, **options).split("\n\n")[0]
    return [(line[:13].rstrip(), line[13:]) for line in overview.splitlines()]


def test_the_overview_tells_what_ran_and_how_it_ended() -> None:
    one = run(name="mine", about=about(status="stopped", author="EarlyStopCallback", detail="enough"))

    assert facts(one) == [
        ("run", "mine"),
        ("archive", "/runs/mine.h5"),
        ("state", "stopped by EarlyStopCallback: enough"),
        ("progress", "4 of 4 epochs, 40 minibatches"),
        ("started", zoned_moment(STARTED_AT)),
        ("ended", moment(STARTED_AT + 60)),
        ("duration", "1 min"),
        ("model", "Model"),
        ("script", "train.py"),
        ("host", "machine"),
        ("run id", "a1b2"),
        ("trainsignal", "1.0"),
    ]


def test_a_run_that_is_nowhere_archived_names_no_archive() -> None:
    assert "archive" not in dict(facts(run(path="")))


def test_the_newest_checkpoints_are_listed_each_file_once() -> None:
    saved = [("a.h5", 0), ("best.h5", 0), ("b.h5", 1), ("c.h5", 2), ("best.h5", 3), ("d.h5", 3)]
    checkpoints = tuple(SavedCheckpoint(path, epoch, 9, None) for path, epoch in saved)

    lines = facts(run(about=about(checkpoints=checkpoints)))

    assert [line for line in lines if line[0] == "checkpoint"] == [
        ("checkpoint", "c.h5 (epoch 2)"),
        ("checkpoint", "best.h5 (epoch 3)"),
        ("checkpoint", "d.h5 (epoch 3)"),
    ]
    assert lines[-1] == ("", "and 2 older")


def test_the_slowest_callbacks_are_listed_and_every_failure() -> None:
    times = tuple(
        CallbackTime(f"Callback{place}", 7.0 - place, (0, 0, 1, 0, 0, 3)[place]) for place in range(6)
    )

    lines = facts(run(callback_times=times))

    assert [text.split() for label, text in lines if label == "time"] == [
        [f"{7 - place}", "s", f"Callback{place}"] for place in range(5)
    ]
    assert [text for label, text in lines if label == "problem"] == [
        "Callback2 failed once", "Callback5 failed 3 times",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("histograms", "layers", "told"),
    [
        (1, 0, "1 histogram: `trainsignal report` draws them"),
        (0, 2, "feature maps of 2 layers: `trainsignal report` draws them"),
        (2, 1, "2 histograms and feature maps of 1 layer: `trainsignal report` draws them"),
    ],
)
def test_what_only_pages_show_is_counted(histograms: int, layers: int, told: str) -> None:
    one = run(histogram_count=histograms, map_layer_count=layers)

    assert ("also", told) in facts(one, width=100)


def test_problems_are_told() -> None:
    assert ("problem", "a series is damaged") in facts(run(problems=("a series is damaged",)))


def test_long_lines_go_on_below_their_text_and_paths_are_not_torn_at_hyphens() -> None:
    lines = facts(
        run(path="/a/very-long/path/of-a/run.h5", about=about(status="failed", detail="x " * 30)), width=45
    )

    assert ("archive", "/a/very-long/path/of-a/run.h5") in lines
    place = [label for label, _ in lines].index("state")
    assert [label for label, _ in lines[place + 1 : place + 3]] == ["", ""]
    assert all(len(text) <= 45 - 13 for _, text in lines)


def test_losses_and_metrics_come_first_in_the_table() -> None:
    keys = ["time/loss", "metrics/Accuracy", "learning_rate", "multicost/train[0]", "cost/loss"]

    parts = describe(run(*(each_epoch(key, [1.0]) for key in keys))).split("\n\n")

    assert [line.split()[0] for line in parts[1].splitlines()] == [
        "series", "cost/loss", "metrics/Accuracy", "multicost/train[0]", "time/loss", "learning_rate",
    ]  # fmt: skip


def test_of_very_many_series_the_first_are_shown_unless_all_are_asked_for() -> None:
    one = run(*(each_epoch(f"metrics/{place}", [1.0, 2.0]) for place in range(500)))

    short, every = describe(one).split("\n\n"), describe(one, every_series=True).split("\n\n")

    assert len(short[1].splitlines()) == 42
    assert short[1].splitlines()[-1] == "and 460 more series: --all shows them"
    assert len(short) == 2 + 8 + 1 and short[-1] == "492 more charts: --all shows them"
    assert len(every[1].splitlines()) == 501 and len(every) == 2 + 500


def test_losses_metrics_and_costs_have_charts_where_a_line_can_be_drawn() -> None:
    one = run(
        train_cost(), each_epoch("cost/loss", [1.0]), each_epoch("metrics/Accuracy", [0.5, 0.75]),
        each_epoch("time/loss", [1.0, 2.0]), each_epoch("gan/cost_dis", [1.0, 2.0]),
    )  # fmt: skip

    titles = [part.splitlines()[0] for part in describe(one).split("\n\n")[2:]]

    assert titles == ["cost/train", "metrics/Accuracy", "gan/cost_dis"]


def test_charts_can_be_left_out() -> None:
    assert len(describe(run(), charts=False).split("\n\n")) == 2


def test_a_terminal_too_narrow_for_charts_gets_none() -> None:
    assert len(describe(run(), width=31).split("\n\n")) == 2
    assert len(describe(run(), width=32).split("\n\n")) == 2 + 3


def test_charts_in_a_wide_terminal_do_not_grow_for_ever() -> None:
    wide, widest = (describe(run(), width=width).split("\n\n")[2:] for width in (100, 300))

    assert widest == wide != describe(run(), width=99).split("\n\n")[2:]


def test_a_run_without_series_says_so() -> None:
    assert describe(run(train_cost(), series=())).split("\n\n")[1:] == ["no series"]


def test_missing_uniplot_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uniplot", None)

    parts = describe(run()).split("\n\n")

    assert len(parts) == 3
    assert parts[-1].startswith("no charts: ") and 'pip install "trainsignal[report]"' in parts[-1]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp437"])
def test_whatever_strangers_wrote_can_be_printed(encoding: str) -> None:
    hostile = "\x1b]0;owned\x07\u202e\udcff日本\r"
    one = run(
        each_epoch(hostile, [1.0, 2.0], unit=hostile, direction="min"),
        each_epoch(f"cost/{hostile}", [1.0, 2.0], unit=hostile),
        name=hostile,
        path=hostile,
        about=about(
            model=hostile, script=hostile, host=hostile, version=hostile, detail=hostile, author=hostile,
            checkpoints=(SavedCheckpoint(hostile, 0, 0, None),),
        ),
        callback_times=(CallbackTime(hostile, 1.0, 2),),
        problems=(hostile,),
    )  # fmt: skip

    text = describe(one, encoding=encoding)

    assert all(line.isprintable() for line in text.split("\n"))
    text.encode(encoding)


@pytest.mark.parametrize("width", [80, 40])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    values = Series("metrics/per_label/Precision/cat", np.array([0.5, 0.25]), "epoch", np.arange(2))
    one = run(train_cost(), values, about=about(detail="one two three " * 20, status="failed"))

    assert max(columns(line) for line in describe(one, width=width).splitlines()) <= width
