"""A run as TensorBoard's events, read by TensorBoard."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.report_runs import STARTED_AT, about, each_epoch, run, timeline, train_cost
from tests.support.tensorboard_events import shown, times_shown
from trainsignal.errors import ConfigurationError, MissingPackageError
from trainsignal.report.export.tensorboard import write_events
from trainsignal.report.records import Run, Series
from trainsignal.report.timeline import Timeline


def written(one: Run, path: Path) -> dict[str, list[tuple[int, float]]]:
    write_events(one, one.series, path / "events")
    return shown(path / "events")


def test_a_point_stands_at_the_minibatches_that_were_done(tmp_path: Path) -> None:
    one = run(train_cost(3), each_epoch("cost/loss", [1.5, 0.75]), timeline=timeline(2, 10))

    assert written(one, tmp_path) == {
        "cost/train": [(1, 2.0), (2, 1.0), (3, 0.0)],
        "cost/loss": [(10, 1.5), (20, 0.75)],
    }


def test_missing_values_are_no_points_and_infinite_ones_are(tmp_path: Path) -> None:
    one = run(each_epoch("cost/loss", [1.5, np.nan, np.inf]), timeline=timeline(3, 10))

    assert written(one, tmp_path) == {"cost/loss": [(10, 1.5), (30, np.inf)]}


def test_a_run_without_minibatches_has_its_epochs_as_steps(tmp_path: Path) -> None:
    one = run(each_epoch("cost/loss", [1.5, 0.75]), timeline=Timeline(np.zeros(3), np.arange(3.0)))

    assert written(one, tmp_path) == {"cost/loss": [(1, 1.5), (2, 0.75)]}


def test_rows_that_nobody_explained_are_their_own_steps(tmp_path: Path) -> None:
    one = run(Series("mine", np.array([1.5, 0.75]), "row"))

    assert written(one, tmp_path) == {"mine": [(0, 1.5), (1, 0.75)]}


def test_a_point_has_the_time_at_which_it_was_made(tmp_path: Path) -> None:
    written(run(each_epoch("cost/loss", [1.5, 0.75]), timeline=timeline(2, 10, 15.0)), tmp_path)

    assert times_shown(tmp_path / "events") == {"cost/loss": [STARTED_AT + 15, STARTED_AT + 30]}


@pytest.mark.parametrize("began", [STARTED_AT, None], ids=["begin", "nothing"])
def test_a_time_that_nobody_noted_is_that_of_the_begin(began: float | None, tmp_path: Path) -> None:
    untimed = Timeline(np.array([0.0, 10.0, 20.0]), np.full(3, np.nan))

    written(run(train_cost(2), about=about(started_at=began), timeline=untimed), tmp_path)

    assert times_shown(tmp_path / "events") == {"cost/train": [began or 0.0] * 2}


def test_any_key_can_be_written(tmp_path: Path) -> None:
    assert list(written(run(each_epoch("a\udcff <b>", [1.0])), tmp_path)) == ["a\\udcff <b>"]


def test_events_of_an_earlier_export_are_moved_aside(tmp_path: Path) -> None:
    written(run(each_epoch("cost/loss", [1.0]), timeline=timeline(1, 10)), tmp_path)

    again = written(run(each_epoch("cost/loss", [2.0]), timeline=timeline(1, 10)), tmp_path)

    assert again == {"cost/loss": [(10, 2.0)]}
    assert shown(tmp_path / "events" / "earlier_1") == {"cost/loss": [(10, 1.0)]}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("mine")

    with pytest.raises(ConfigurationError, match="that is a file"):
        written(run(), tmp_path)

    assert (tmp_path / "events").read_text() == "mine"


def test_missing_tensorboard_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard.summary.writer.event_file_writer", None)

    with pytest.raises(MissingPackageError, match=r"trainsignal\[tensorboard\]"):
        written(run(), tmp_path)

    assert list(tmp_path.iterdir()) == []
