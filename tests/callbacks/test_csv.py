from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.given_series import Given, break_off, go_on, run_epochs
from tests.support.runs import FakeClock, fit, quiet, tiny_model, tiny_set
from trainsignal import CSVCallback, LossCallback, TrainCostCallback, keys
from trainsignal.errors import ConfigurationError

NAN = math.nan


def writing(path: Path, series: Any = None) -> CSVCallback:
    return CSVCallback(path, series, clock=FakeClock(1.5e9))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_line_of_an_epoch_tells_position_time_and_what_the_series_say_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    run_epochs(
        TrainCostCallback(1), Given("cost/loss", [3, 2.5]), Given("metrics/b", [7], 2), writing(path),
        epochs=2,
    )  # fmt: skip
    assert path.read_text() == (
        "epoch,minibatches,time,cost/loss,cost/train,metrics/b\n"
        "0,2,1500000000.0,3.0,2.0,\n"
        "1,4,1500000000.0,2.5,2.0,7.0\n"
    )


@pytest.mark.parametrize(
    "dtype, value", [("f4", 0.1), ("f8", 0.1), ("f8", math.pi), ("f4", 1e-42), ("f4", math.inf)]
)
def test_numbers_read_back_exactly_in_the_series_own_type(dtype: str, value: float, tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    run_epochs(Given("metrics/x", [value], dtype=dtype), writing(path), epochs=1)
    kind = np.dtype(dtype).type
    assert kind(rows_of(path)[0]["metrics/x"]) == kind(value)


def test_missing_value_is_an_empty_field(tmp_path: Path) -> None:
    run_epochs(Given("cost/loss", [NAN, 1]), writing(tmp_path / "run.csv"), epochs=2)
    assert [row["cost/loss"] for row in rows_of(tmp_path / "run.csv")] == ["", "1.0"]


def test_loop_that_tells_no_cost_has_no_column_of_it(tmp_path: Path) -> None:
    run_epochs(writing(tmp_path / "run.csv"), epochs=1)
    assert (tmp_path / "run.csv").read_text().splitlines()[0] == "epoch,minibatches,time"


def test_only_the_series_that_were_asked_for_are_written(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    run_epochs(
        TrainCostCallback(1), Given("cost/loss", [3]), Given("metrics/b", [7]),
        writing(path, ["metrics/b", "cost/train"]), epochs=1,
    )  # fmt: skip
    assert path.read_text().splitlines()[0] == "epoch,minibatches,time,metrics/b,cost/train"


def test_series_that_turns_up_later_gets_a_column_in_the_lines_above_too(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    run_epochs(Given("metrics/late", [9, 8, 7], from_epoch=1), writing(path), epochs=3)
    assert [row["metrics/late"] for row in rows_of(path)] == ["", "8.0", "7.0"]


def test_series_of_minibatches_other_than_the_cost_are_left_out(tmp_path: Path) -> None:
    class PerMinibatch(Given):
        def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
            callback_data.create_series("rates", 4, attributes={keys.TIME_MARKERS: keys.PER_MINIBATCH})

        def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
            pass

    run_epochs(PerMinibatch("rates", []), writing(tmp_path / "run.csv"), epochs=1)
    assert "rates" not in rows_of(tmp_path / "run.csv")[0]


@pytest.mark.parametrize("series, match", [
    (["cost/los"], "no series is named 'cost/los'. Did you mean 'cost/loss'?"),
    (["time_markers/minibatch"], "has no number for an epoch. Series that have: cost/loss"),
], ids=["unknown", "no axis"])  # fmt: skip
def test_series_that_cannot_be_written_is_refused_before_the_first_epoch(
    series: list[str], match: str, tmp_path: Path
) -> None:
    callbacks = quiet()
    callbacks.callbacks = [Given("cost/loss", [3]), writing(tmp_path / "run.csv", series)]
    with pytest.raises(ConfigurationError) as caught:
        callbacks.on_train_begin(1)
    assert match in str(caught.value)


def test_text_instead_of_a_list_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"expected a list of keys: \['cost/loss'\]"):
        CSVCallback("run.csv", "cost/loss")


def test_folder_that_is_missing_is_told_of_before_the_first_epoch(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot write the table to .* does not exist"):
        run_epochs(writing(tmp_path / "absent" / "run.csv"), epochs=1)


def test_path_of_the_archive_is_refused(tmp_path: Path) -> None:
    callbacks = quiet(output_file=tmp_path / "run.h5")
    callbacks.callbacks = [writing(tmp_path / "run.h5")]
    with pytest.raises(ConfigurationError, match=r"CSVCallback\(path\) would both write"):
        callbacks.on_train_begin(1)


def test_each_run_keeps_the_file_of_the_one_before_under_a_numbered_name(tmp_path: Path) -> None:
    callback = writing(tmp_path / "run.csv")
    for loss in (1, 2):
        run_epochs(Given("cost/loss", [loss]), callback, epochs=1)
    assert [rows_of(tmp_path / name)[0]["cost/loss"] for name in ("run.1.csv", "run.csv")] == ["1.0", "2.0"]


def test_line_is_on_the_disk_at_the_end_of_its_epoch(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    lines: list[int] = []
    callbacks = quiet()
    callbacks.callbacks = [writing(path)]
    callbacks.bus.subscribe("epoch_end", lambda: lines.append(len(path.read_text().splitlines())))
    with callbacks.training(3) as run:
        list(run.epochs())
    assert lines == [2, 3, 4]


def test_disk_that_refuses_ends_no_run_and_the_lines_follow(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "run.csv"
    path.parent.mkdir()
    callbacks = quiet()
    callbacks.callbacks = [writing(path)]

    def act(epoch: int) -> None:
        if epoch == 0:
            path.parent.rename(tmp_path / "hidden")
        if epoch == 2:
            (tmp_path / "hidden").rename(path.parent)

    callbacks.bus.subscribe("epoch_end", act)
    with callbacks.training(5) as run:
        list(run.epochs())

    assert run.exit_reason == "completed"
    (problem,) = run.problems
    assert problem.startswith(f"CSVCallback: {str(path)!r} cannot be written: [Errno 2]")
    assert [row["epoch"] for row in rows_of(path)] == ["0", "1", "2", "3", "4"]


def test_file_that_is_removed_amid_the_run_is_reported_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    callbacks = quiet()
    callbacks.callbacks = [writing(path)]
    callbacks.bus.subscribe("epoch_end", path.unlink, at=1)
    with callbacks.training(5) as run:
        list(run.epochs())
    assert run.problems == [
        f"CSVCallback: {str(path)!r} was gone: it has been made anew, without its first 2 lines."
    ]
    assert [row["epoch"] for row in rows_of(path)] == ["2", "3", "4"]


@pytest.mark.parametrize("path", [None, 3, b"run.csv"], ids=repr)
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"is no path: give text, or a pathlib\.Path"):
        CSVCallback(path)


def test_resumed_run_goes_on_without_the_lines_that_it_does_again(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    saved = writing(path)
    state = break_off(saved, saved=saved, after_epoch=1, until_epoch=3, epochs=6)
    assert [row["epoch"] for row in rows_of(path)] == ["0", "1", "2", "3"]

    go_on(fresh := writing(path), restored=fresh, state=state, from_epoch=2, epochs=4)

    assert [(row["epoch"], row["minibatches"]) for row in rows_of(path)] == [
        ("0", "2"), ("1", "4"), ("2", "6"), ("3", "8"),
    ]  # fmt: skip
    assert [file.name for file in tmp_path.iterdir()] == ["run.csv"]


def test_lines_that_are_missing_on_resuming_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    state = {"lines": 2, "unwritten": []}
    run = go_on(fresh := writing(path), restored=fresh, state=state, from_epoch=2, epochs=3).run
    assert [row["epoch"] for row in rows_of(path)] == ["2"]
    assert run.problems[0].startswith(f"CSVCallback: {str(path)!r} has less than the 2 lines")


def test_file_that_cannot_be_continued_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "run.csv"
    path.write_text("epoch\n0\n")

    def replace_by_a_folder() -> None:
        path.unlink()
        path.mkdir()

    with pytest.raises(ConfigurationError, match="cannot be continued"):
        go_on(
            fresh := writing(path), restored=fresh, state={"lines": 1, "unwritten": []},
            from_epoch=1, epochs=2,
            prepare=lambda callbacks: callbacks.bus.subscribe("train_begin", replace_by_a_folder),
        )  # fmt: skip


def test_callback_runs_after_those_that_are_added_after_it(tmp_path: Path) -> None:
    run_epochs(writing(tmp_path / "run.csv"), Given("cost/loss", [3]), epochs=1)
    assert rows_of(tmp_path / "run.csv")[0]["cost/loss"] == "3.0"


def test_reference_networks_file_holds_what_its_archive_holds(tmp_path: Path) -> None:
    model = tiny_model()
    callbacks = quiet(model, eval_set=tiny_set(), eval_freq=1)
    callbacks.add_callback(CSVCallback(tmp_path / "run.csv"))
    fit(model, callbacks, 3)
    assert any(isinstance(one, LossCallback) for one in callbacks.callbacks)
    data = callbacks.callback_data
    rows = rows_of(tmp_path / "run.csv")
    assert [np.float32(row["cost/loss"]) for row in rows] == data["cost/loss"][:].tolist()
    assert [np.float32(row["cost/train"]) for row in rows] == data["cost/train"][1::2].tolist()
