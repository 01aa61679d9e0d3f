"""Reading the archive of a run, all of it."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.archives import PER_EPOCH, PER_MINIBATCH, archive, mark, put
from tests.support.neon_reference import NEON_DATA, arrays
from tests.support.runs import Bare
from trainsignal import Callbacks, keys
from trainsignal.errors import ArchiveError, ConfigurationError
from trainsignal.report.best import last_of
from trainsignal.report.info import describe
from trainsignal.report.pages.charts import Charts
from trainsignal.report.pages.overview import Overview
from trainsignal.report.pages.toolkit import models
from trainsignal.report.reading import read_file, read_found_run, read_run, read_summary
from trainsignal.report.records import Run
from trainsignal.shared_data import SharedData

_h5py: Any = h5py  # h5py-stubs do not know all of it

NEONS = ("convbn", "deconv", "default_only", "hist_mini", "mlp", "multicost")
UNMARKED = "the archive does not say where epochs end: they are drawn as equally long"


def series_of(run: Run) -> dict[str, Any]:
    return {one.key: one for one in run.series}


@pytest.mark.parametrize("scenario", NEONS)
def test_neons_archives_are_read_without_a_problem(scenario: str) -> None:
    run = read_run(NEON_DATA / f"{scenario}.h5")

    assert run.problems == ()
    assert run.name == scenario
    assert run.path == str(NEON_DATA / f"{scenario}.h5")
    assert run.about.status == "unknown"
    assert run.about.total_epochs == run.about.epochs_complete
    assert run.about.started_at is not None
    assert run.about.ended_at is not None
    assert 0 < run.about.ended_at - run.about.started_at < 60
    assert run.timeline.seconds[-1] == run.about.ended_at - run.about.started_at


@pytest.mark.parametrize(
    ("scenario", "ends"),
    [
        ("convbn", [0, 32, 63]),
        ("deconv", [0, 10]),
        ("default_only", [0, 30, 60]),
        ("hist_mini", [0, 8, 16]),
        ("mlp", [0, 32, 63, 94, 125]),
        ("multicost", [0, 32, 63]),
    ],
)
def test_neons_epochs_end_where_neon_marked_them(scenario: str, ends: list[float]) -> None:
    run = read_run(NEON_DATA / f"{scenario}.h5")

    assert run.timeline.minibatches.tolist() == ends
    assert run.about.minibatches_done == ends[-1]


def test_neons_series_hold_neons_numbers_and_no_row_that_was_never_reached() -> None:
    reference, run = arrays("mlp"), series_of(read_run(NEON_DATA / "mlp.h5"))

    assert list(run) == ["cost/loss", "cost/train", "metrics/Accuracy", "metrics/Top1Misclass", "time/loss"]
    np.testing.assert_array_equal(run["cost/train"].values, reference["h5_cost_train"][:125])
    np.testing.assert_array_equal(run["cost/loss"].values, reference["h5_cost_loss"])
    np.testing.assert_array_equal(run["metrics/Accuracy"].values, reference["h5_metrics/Accuracy"])
    assert run["cost/train"].axis == "minibatch"
    assert run["cost/loss"].epochs.tolist() == run["time/loss"].epochs.tolist() == [0, 1, 2, 3]


def test_the_columns_of_neons_costs_are_series() -> None:
    reference, run = arrays("multicost"), series_of(read_run(NEON_DATA / "multicost.h5"))

    for branch in range(3):
        for key in ("multicost/train", "multicost/train_allbranches"):
            np.testing.assert_array_equal(run[f"{key}[{branch}]"].values, reference[f"h5_{key}"][:63, branch])


def test_a_run_of_ours_is_read_while_it_trains_and_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    callbacks = Callbacks(Bare(), output_file=path, progress_bar=False)
    with callbacks.training(3, 4) as training:
        for epoch in training.epochs():
            for minibatch in training.minibatches(range(4)):
                training.cost = 10.0 * epoch + minibatch
        callbacks.callback_data.flush()
        amid = read_run(path)
        in_memory = read_file(callbacks.callback_data, name="here", path="")
    over = read_run(path, name="mine")

    assert (amid.about.status, over.about.status) == ("in progress", "completed")
    assert in_memory.about.status == "in progress"
    assert (amid.name, in_memory.name, over.name) == ("run", "here", "mine")
    for one in (amid, in_memory, over):
        assert one.problems == ()
        assert one.about.minibatches_done == 12
        assert one.timeline.minibatches.tolist() == [0, 4, 8, 12]
        assert np.isfinite(one.timeline.seconds).all()
        assert series_of(one)["cost/train"].values.size == 12


@pytest.fixture
def diverged(tmp_path: Path) -> Path:
    """Return the archive of a run of 4 epochs, 10 minibatches each, whose cost is NaN from the 11th on."""
    path = tmp_path / "run.h5"
    callbacks = Callbacks(Bare(), output_file=path, progress_bar=False)
    callbacks.on_train_begin(4)
    for epoch in range(4):
        callbacks.on_epoch_begin(epoch)
        for minibatch in range(10):
            callbacks.on_minibatch_begin(epoch, minibatch)
            callbacks.run.cost = 2.0 if epoch == 0 else math.nan
            callbacks.on_minibatch_end(epoch, minibatch)
        callbacks.on_epoch_end(epoch)
    callbacks.on_train_end()
    return path


def test_a_run_that_diverged_shows_that_it_did(diverged: Path) -> None:
    run = read_run(diverged)
    cost = series_of(run)["cost/train"]

    np.testing.assert_array_equal(np.isnan(cost.values), np.arange(40) >= 10)
    assert math.isnan(last_of(cost) or 0)
    assert ["cost/train", "NaN"] in [line.split()[:2] for line in describe(run, charts=False).splitlines()]
    assert ">NaN</td>" in Overview(run).model.text
    (costs,) = Charts([run], "epoch").sections
    (note,) = [one for one in costs.models[0].select({"type": models.Title}) if "not drawn" in one.text]
    assert note.text == "not drawn: 30 NaN or missing"


def test_without_drawings_they_are_counted_alone() -> None:
    for scenario, histograms, layers in (("mlp", 4, 0), ("deconv", 0, 3)):
        whole = read_run(NEON_DATA / f"{scenario}.h5")
        run = read_run(NEON_DATA / f"{scenario}.h5", drawings=False)

        assert (whole.histogram_count, whole.map_layer_count) == (histograms, layers)
        assert (len(whole.histograms), len(whole.feature_maps)) == (histograms, layers)
        assert (run.histogram_count, run.map_layer_count) == (histograms, layers)
        assert (run.histograms, run.feature_maps) == ((), ())
        assert [one.key for one in run.series] == [one.key for one in whole.series]


def test_what_holds_nothing_but_drawings_is_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with _h5py.File(path, "w") as file:
        put(file, "hist/L_0_W", np.ones((64, 2), "i4"))
    assert read_run(path, drawings=False).histogram_count == len(read_run(path).histograms) == 1


def test_a_summary_tells_what_ran_and_the_loss(tmp_path: Path) -> None:
    summary, run = read_summary(NEON_DATA / "mlp.h5"), read_run(NEON_DATA / "mlp.h5")

    assert summary.about == run.about
    assert summary.loss is not None
    np.testing.assert_array_equal(summary.loss.values, arrays("mlp")["h5_cost_loss"])


def test_a_summary_of_a_run_without_an_evaluation_has_no_loss(diverged: Path) -> None:
    summary = read_summary(diverged)

    assert (summary.about.status, summary.about.minibatches_done, summary.loss) == ("completed", 40, None)


@pytest.mark.parametrize(("path", "is_run"), [("cost/train", True), ("layer/bias", False)])
def test_what_nothing_says_to_be_a_run_has_no_summary(path: str, is_run: bool, tmp_path: Path) -> None:
    with _h5py.File(tmp_path / "x.h5", "w") as file:
        file[path] = np.zeros(3)
    if is_run:
        assert read_summary(tmp_path / "x.h5").loss is None
    else:
        with pytest.raises(ArchiveError, match="not the archive of a run"):
            read_summary(tmp_path / "x.h5")


def test_a_summary_counts_the_minibatches_of_the_epoch_in_progress_as_the_page_does(tmp_path: Path) -> None:
    with _h5py.File(tmp_path / "run.h5", "w") as file:
        file.create_dataset("cost/train", data=np.array([3, 2, 1, 0.5, 0, 0], np.float32))
        file["cost/train"].attrs[keys.TIME_MARKERS] = keys.PER_MINIBATCH
        markers = file.create_group(keys.TIME_MARKERS)
        markers.attrs.update({keys.EPOCHS_COMPLETE: 1, keys.MINIBATCHES_COMPLETE: 3})

    summary, run = read_summary(tmp_path / "run.h5"), read_run(tmp_path / "run.h5")

    assert summary.about.minibatches_done == run.about.minibatches_done == 4
    assert summary.about.epochs_complete == run.about.epochs_complete == 1


def test_a_path_is_as_users_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNS", str(NEON_DATA))
    monkeypatch.setenv("HOME", str(NEON_DATA))
    assert read_run("$RUNS/mlp.h5").path == read_run("~/mlp.h5").path == str(NEON_DATA / "mlp.h5")


def test_a_path_with_a_dollar_is_filled_in_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FILE", str(tmp_path / "$HOME.h5"))
    shutil.copy(NEON_DATA / "mlp.h5", tmp_path / "$HOME.h5")
    assert read_run("$FILE").name == read_run("$FILE").name == "$HOME"


def test_nothing_is_filled_in_where_a_path_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("$HOME.h5", "~"):
        shutil.copy(NEON_DATA / "mlp.h5", name)
        assert read_found_run(Path(name)).path == name
        assert read_summary(Path(name)).about.run_id == read_found_run(Path(name)).about.run_id


def test_what_is_no_path_is_refused() -> None:
    given: Any = 3
    with pytest.raises(ConfigurationError, match="3 is no path"):
        read_run(given)


def test_texts_that_would_fill_the_memory_are_left_out(tmp_path: Path) -> None:
    with _h5py.File(tmp_path / "run.h5", "w") as file:
        config = file.create_group("config").attrs
        config["callbacks"] = ["A"] * 100
        config["total_epochs"] = 3
        whole = len(read_run_of(file, tmp_path).about.callbacks)
        config["script"] = "x" * 2**20
        assert (whole, read_run_of(file, tmp_path).about.callbacks) == (100, ())


def read_run_of(file: Any, folder: Path) -> Run:
    """Return a run as it is read of a file that is being written."""
    file.flush()
    shutil.copy(file.filename, folder / "copy.h5")
    return read_run(folder / "copy.h5")


def test_shared_data_that_holds_nothing_yet_is_an_empty_run() -> None:
    run = read_file(SharedData(), name="run", path="")

    assert (run.series, run.histograms, run.feature_maps, run.callback_times) == ((), (), (), ())
    assert run.about.status == "in progress"


def test_minibatches_are_done_as_far_as_any_series_tells() -> None:
    with archive() as file:
        mark(file, [4, 0], epochs=1, minibatches=4)
        put(file, "cost/train", np.ones(7, "f4"), PER_MINIBATCH)
        put(file, "learning_rate", np.ones(8), PER_MINIBATCH)
        run = read_file(file, name="run", path="")

    assert run.about.minibatches_done == 7
    assert run.about.epochs_complete == 1


def test_without_markers_the_series_tell_how_many_epochs_there_were() -> None:
    with archive() as file:
        put(file, "cost/train", np.ones(20, "f4"), PER_MINIBATCH)
        put(file, "cost/loss", np.ones(4, "f4"), PER_EPOCH)
        put(file, "cost/never", np.ones(0, "f4"), PER_EPOCH)
        run = read_file(file, name="run", path="")

    assert run.timeline.epochs_at(np.array([10.0])).tolist() == [2]
    assert run.problems == (UNMARKED,)


def test_what_cannot_be_read_is_told_and_the_rest_is_read() -> None:
    with archive() as file:
        put(file, "cost/train", np.ones(3, "f4"), PER_MINIBATCH)
        put(file, "hist/L_0_W", np.ones(3, "f4"))
        put(file, "deconv/max_act/0000/vis", np.ones(3, "f4"))
        put(file, "time/callbacks", np.ones(3, "f4"))
        put(file, "checkpoints", np.ones(3, "f4"))
        file["elsewhere"] = _h5py.SoftLink("/cost")
        run = read_file(file, name="run", path="")

    assert list(series_of(run)) == ["cost/train"]
    assert [problem.partition("'")[2].partition("'")[0] for problem in run.problems] == [
        "elsewhere", "checkpoints", "", "hist/L_0_W", "deconv/max_act/0000/vis", "time/callbacks",
    ]  # fmt: skip


def test_of_very_many_problems_the_first_are_told() -> None:
    with archive() as file:
        mark(file, [1], epochs=1, minibatches=1)
        for index in range(60):
            file[f"{index:03}"] = _h5py.SoftLink("/x")
        problems = read_file(file, name="run", path="").problems

    assert len(problems) == 51
    assert problems[0].startswith("'000' ")
    assert problems[-1] == "and 10 more such problems"


def test_an_hdf5_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    with _h5py.File(path, "w") as file:
        file["layer/kernel"] = np.zeros((3, 3))
    with pytest.raises(ArchiveError, match=r"not the archive of a run.*'layer/kernel'.*output_file"):
        read_run(path)


def test_an_empty_hdf5_file_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "empty.h5"
    _h5py.File(path, "w").close()
    with pytest.raises(ArchiveError, match="not the archive of a run"):
        read_run(path)


def test_an_archive_published_before_the_first_minibatch_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with _h5py.File(path, "w") as file:
        file.create_group("config").attrs["run_id"] = "a"
        mark(file, [0, 0], epochs=0, minibatches=0)
    assert read_run(path).about.epochs_complete == 0


def test_a_closed_file_cannot_be_read() -> None:
    with archive() as file:
        pass
    with pytest.raises(ArchiveError, match="the archive 'x' is damaged"):
        read_file(file, name="x", path="x")


def test_a_name_is_shown_as_text_in_one_line() -> None:
    assert read_file(SharedData(), name="a\nb", path="").name == "a\\nb"
