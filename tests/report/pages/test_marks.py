"""Where runs were resumed, and where they ended early."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.report_runs import about, each_epoch, run, timeline, train_cost
from trainsignal.report.colours import COLOURS
from trainsignal.report.pages.marks import Marks
from trainsignal.report.pages.toolkit import plotting
from trainsignal.report.records import Run
from trainsignal.report.timeline import Timeline


def marked(*runs: Run) -> dict[str, Any]:
    figure = plotting.figure()
    Marks(runs).draw(figure, "epoch")
    [renderer] = figure.renderers
    return {name: column.tolist() for name, column in renderer.data_source.data.items()}


def test_a_resumption_lies_where_it_was_on_each_axis() -> None:
    data = marked(run(about=about(resumed_at=(15,))))
    assert (data["epoch"], data["minibatch"], data["time"]) == ([1.5], [15], [22.5])
    assert (data["text"], data["dash"]) == (["resumed"], ["dotted"])


def test_an_early_end_says_why() -> None:
    data = marked(
        run(about=about(status="stopped", author="EarlyStop", detail="enough", minibatches_done=20))
    )
    assert (data["epoch"], data["dash"]) == ([2], ["dashed"])
    assert data["text"] == ["stopped by EarlyStop: enough"]


@pytest.mark.parametrize("status", ["completed", "in progress", "unknown"])
def test_what_is_no_early_end_has_no_mark(status: str) -> None:
    assert marked(run(about=about(status=status)))["epoch"] == []


def test_without_minibatches_a_run_ends_at_its_last_epoch() -> None:
    boosted = run(
        each_epoch("cost/loss", [1, 2]),
        about=about(status="stopped", minibatches_done=0, epochs_complete=2, resumed_at=(0,)),
        timeline=timeline(4, 0),
    )
    assert marked(boosted)["epoch"] == [2]


def test_of_several_runs_each_mark_has_the_runs_colour_and_name() -> None:
    failed = run(train_cost(), name="adam", about=about(status="failed"))
    data = marked(run(train_cost(), name="sgd"), failed)
    assert (data["colour"], data["text"]) == ([COLOURS[1]], ["adam: failed"])


def test_marks_change_with_the_runs() -> None:
    figure = plotting.figure()
    marks = Marks([run()])
    marks.draw(figure, "epoch")
    marks.update([run(about=about(status="killed"))])
    assert figure.renderers[0].data_source.data["epoch"].tolist() == [4]


def test_a_mark_at_no_known_time_is_not_sent_again() -> None:
    figure = plotting.figure()
    untimed = run(
        about=about(resumed_at=(15,)), timeline=Timeline(timeline().minibatches, np.full(5, np.nan))
    )
    marks = Marks([untimed])
    marks.draw(figure, "epoch")
    before = figure.renderers[0].data_source.data
    marks.update([untimed])
    assert figure.renderers[0].data_source.data is before
    assert np.isnan(before["time"]).all()
