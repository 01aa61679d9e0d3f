"""The series of an archive."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.archives import PER_EPOCH, PER_MINIBATCH, archive, found_in, mark, put
from trainsignal.report.records import Series
from trainsignal.report.series import read_series

_h5py: Any = h5py  # h5py-stubs do not know all of it

NAN = np.nan


def read(file: Any, **bounds: int) -> tuple[dict[str, Series], list[str]]:
    """Return the series by their keys, and what was told."""
    contents, progress, told = found_in(file, **bounds)
    return {one.key: one for one in read_series(contents, progress)}, told


def test_rows_at_the_end_that_are_missing_are_cut_off() -> None:
    with archive() as file:
        put(file, "cost/train", np.array([3, NAN, 1, NAN, NAN], "f4"), PER_MINIBATCH, fillvalue=NAN)
        series, _ = read(file)

    np.testing.assert_array_equal(series["cost/train"].values, np.array([3, NAN, 1], "f4"))
    assert series["cost/train"].values.dtype == np.float32
    assert series["cost/train"].axis == "minibatch"


@pytest.mark.parametrize("missing", [NAN, 0])
def test_rows_that_the_run_has_reached_stay_though_it_found_nan(missing: float) -> None:
    costs = np.array([3, 2, NAN, NAN, NAN, missing, missing, missing], "f4")
    with archive() as file:
        mark(file, [2, 5, 0], epochs=2, minibatches=5)
        put(file, "cost/train", costs, PER_MINIBATCH, fillvalue=missing)
        put(file, "cost/loss", np.array([NAN, NAN, missing]), PER_EPOCH, fillvalue=missing)
        put(file, "x/sparse", np.array([NAN, missing]), {**PER_EPOCH, "epoch_freq": 2}, fillvalue=missing)
        put(file, "x/listed", np.array([NAN, NAN, NAN]), {**PER_EPOCH, "epochs": [4, 1, 0]})
        put(file, "loose", costs)
        series, _ = read(file)

    np.testing.assert_array_equal(series["cost/train"].values, costs[:5])
    assert series["cost/loss"].values.size == 2
    assert series["x/sparse"].values.size == 1
    assert series["x/listed"].epochs is not None
    assert series["x/listed"].epochs.tolist() == [0, 1]
    assert series["loose"].values.size == (2 if np.isnan(missing) else 8)


@pytest.mark.parametrize(
    ("path", "attributes", "is_sparse"),
    [
        ("gan/gen_iter", PER_MINIBATCH, True),
        ("gan/cost_dis", PER_MINIBATCH, True),
        ("metrics/loss", {**PER_MINIBATCH, "reported_as": "loss"}, True),
        ("metrics/loss", {**PER_EPOCH, "reported_as": "loss"}, False),
        ("cost/train", PER_MINIBATCH, False),
    ],
)
def test_rows_are_empty_on_purpose_where_not_each_minibatch_tells(
    path: str, attributes: Any, is_sparse: bool
) -> None:
    with archive() as file:
        put(file, path, np.ones(2), attributes)
        assert read(file)[0][path].is_sparse is is_sparse


def test_zeros_at_the_end_beyond_what_was_done_are_cut_off() -> None:
    with archive() as file:
        mark(file, [3, 0], epochs=1, minibatches=3)
        put(file, "cost/train", np.array([2, 0, 0, 4, 0, 5, 0, 0], "f4"), PER_MINIBATCH)
        put(file, "cost/zero", np.zeros(8, "f4"), PER_MINIBATCH)
        put(file, "cost/loss", np.zeros(4, "f4"), PER_EPOCH)
        series, _ = read(file)

    assert series["cost/train"].values.tolist() == [2, 0, 0, 4, 0, 5]
    assert series["cost/zero"].values.tolist() == [0, 0, 0]
    assert series["cost/loss"].values.tolist() == [0]


def test_zeros_stay_where_missing_is_nan_and_where_nobody_marked_what_was_done() -> None:
    with archive() as file:
        put(file, "cost/zeros", np.zeros(4, "f4"), PER_MINIBATCH)
        assert read(file)[0]["cost/zeros"].values.size == 4
        mark(file, [2, 0], epochs=1, minibatches=2)
        put(file, "cost/nan", np.zeros(4, "f4"), PER_MINIBATCH, fillvalue=NAN)
        put(file, "loose", np.zeros(4, "f4"))
        series, _ = read(file)

    assert series["cost/zeros"].values.size == 2
    assert series["cost/nan"].values.size == 4
    assert series["loose"].values.size == 4
    assert series["loose"].axis == "row"


@pytest.mark.parametrize(
    ("attributes", "epochs"),
    [
        (PER_EPOCH, [0, 1, 2]),
        ({"time_markers": "epoch_freq", "epoch_freq": 3}, [2, 5, 8]),
        ({"time_markers": "epoch_freq"}, [0, 1, 2]),
        ({"time_markers": "epoch"}, [0, 1, 2]),
        ({"time_markers": "epoch_freq", "epoch_freq": 0}, [0, 1, 2]),
        ({"time_markers": "epoch_freq", "epoch_freq": "2"}, [0, 1, 2]),
        ({"time_markers": "epoch_freq", "epochs": [1, 4, 6]}, [1, 4, 6]),
        ({"time_markers": np.bytes_("epoch_freq"), "epoch_freq": np.float64(2)}, [1, 3, 5]),
    ],
)
def test_rows_belong_to_the_epochs_at_which_the_frequency_fires(attributes: Any, epochs: list[int]) -> None:
    with archive() as file:
        put(file, "cost/loss", np.ones(3, "f4"), attributes)
        loss = read(file)[0]["cost/loss"]

    assert loss.axis == "epoch"
    assert loss.epochs is not None
    assert loss.epochs.tolist() == epochs


def test_rows_of_a_list_of_epochs_in_another_order_are_sorted() -> None:
    with archive() as file:
        put(file, "x/y", [5.0, 1.0, 3.0], {"time_markers": "epoch_freq", "epochs": [4, 0, 2]})
        series = read(file)[0]["x/y"]

    assert series.values.tolist() == [1, 3, 5]
    assert series.epochs is not None
    assert series.epochs.tolist() == [0, 2, 4]


@pytest.mark.parametrize("epochs", [[0, 1], [], [0, -1, 2], "0, 1, 2"])
def test_rows_without_an_epoch_are_left_out(epochs: Any) -> None:
    with archive() as file:
        put(file, "x/y", [5.0, 1.0, 3.0], {"time_markers": "epoch_freq", "epochs": epochs})
        series = read(file)[0]["x/y"]

    assert series.values.tolist() == ([5, 1] if epochs == [0, 1] else [])


def test_seconds_of_an_evaluation_have_the_axis_of_its_loss() -> None:
    with archive() as file:
        put(file, "cost/valid", np.ones(2, "f4"), {"time_markers": "epoch_freq", "epoch_freq": 5})
        put(file, "time/valid", np.ones(2, "f4"))
        put(file, "time/other", np.ones(2, "f4"))
        series, _ = read(file)

    assert series["time/valid"].epochs is not None
    assert series["time/valid"].epochs.tolist() == [4, 9]
    assert series["time/other"].axis == "row"


def test_each_column_becomes_a_series() -> None:
    values = np.arange(6.0).reshape(3, 2)
    with archive() as file:
        put(file, "multicost/train", values, PER_MINIBATCH, chunks=(2, 2))
        series, _ = read(file)

    assert list(series) == ["multicost/train[0]", "multicost/train[1]"]
    assert series["multicost/train[1]"].values.tolist() == [1, 3, 5]


def test_columns_are_read_in_blocks_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainsignal.report.series._BLOCK_BYTES", 64)
    values = np.random.default_rng(0).random((37, 3))
    with archive() as file:
        put(file, "multicost/train", values, PER_MINIBATCH)
        series, _ = read(file)

    for column in range(3):
        np.testing.assert_array_equal(series[f"multicost/train[{column}]"].values, values[:, column])


def test_of_very_many_columns_the_first_are_shown() -> None:
    with archive() as file:
        put(file, "x/wide", np.ones((2, 70)), PER_MINIBATCH)
        series, told = read(file)

    assert len(series) == 64
    assert told == ["'x/wide' has 70 columns: 64 are shown"]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8"])
def test_floating_types_stay_as_they_are(dtype: str) -> None:
    with archive() as file:
        put(file, "x/y", np.array([1.5, -2], dtype), PER_MINIBATCH)
        values = read(file)[0]["x/y"].values

    assert values.tolist() == [1.5, -2]
    assert values.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("dtype", ["i1", "u2", ">i4", "u8", "longdouble"])
def test_other_numbers_become_float64(dtype: str) -> None:
    with archive() as file:
        put(file, "x/y", np.array([3, 2], dtype), PER_MINIBATCH)
        values = read(file)[0]["x/y"].values

    assert values.tolist() == [3, 2]
    assert values.dtype == np.float64


def test_a_number_beyond_float64_is_infinite() -> None:
    with archive() as file:
        put(file, "x/y", np.array([np.finfo("longdouble").max]), PER_MINIBATCH)
        assert read(file)[0]["x/y"].values.tolist() == [np.inf]


def test_what_is_no_row_of_numbers_is_told_in_one_sentence() -> None:
    others: list[Any] = [
        1.0,
        np.zeros((2, 2, 2)),
        np.zeros((2, 2)),
        ["a"],
        np.zeros(2, "c8"),
        np.zeros(2, bool),
    ]
    with archive() as file:
        for index, values in enumerate(others):
            put(file, f"x{index}", values)
        file.create_dataset("x6", data=np.zeros(2, "i4"), dtype=_h5py.enum_dtype({"A": 0}))
        series, told = read(file)

    assert series == {}
    assert told == ["not shown, as it holds no rows of numbers: 'x0', 'x1', 'x2', 'x3', 'x4' and 2 more"]


def test_entries_that_are_read_as_something_else_are_no_series() -> None:
    entries = (
        "time_markers/minibatch", "hist/L_0_W", "hist_2/L_0_W", "deconv/max_act/0000/activation", "config/x",
        "checkpoints", "time/train/start_time", "time/callbacks", "time/epoch_end",
    )  # fmt: skip
    with archive() as file:
        for path in (*entries, "hist_nan", "history/x", "time/loss", "checkpointing"):
            put(file, path, np.ones(3))
        series, told = read(file)

    assert list(series) == ["checkpointing", "hist_nan", "history/x", "time/loss"]
    assert told == []


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        ("system/memory", "bytes"),
        ("system/gpu_12/memory", "bytes"),
        ("system/cpu", "percent"),
        ("system/gpu_0/utilization", "percent"),
        ("time/loss", "seconds"),
        ("cost/train", None),
    ],
)
def test_series_have_units(path: str, unit: str | None) -> None:
    with archive() as file:
        put(file, path, np.ones(2))
        assert read(file)[0][path].unit == unit
        file[path].attrs["units"] = "furlongs"
        assert read(file)[0][path].unit == "furlongs"


def test_direction_and_reported_name_are_those_of_the_attributes() -> None:
    with archive() as file:
        put(file, "a", np.ones(2), {"direction": "max", "reported_as": "val_acc"})
        put(file, "b", np.ones(2), {"direction": "up", "reported_as": 3})
        series, _ = read(file)

    assert (series["a"].direction, series["a"].reported_as) == ("max", "val_acc")
    assert (series["b"].direction, series["b"].reported_as) == (None, None)


def test_of_costs_the_lower_is_better_where_nobody_said() -> None:
    with archive() as file:
        put(file, "cost/loss", np.ones(2))
        put(file, "cost/profit", np.ones(2), {"direction": "max"})
        series, _ = read(file)

    assert series["cost/loss"].direction == "min"
    assert series["cost/profit"].direction == "max"


def test_a_learning_rate_holds_from_the_begin_of_its_row() -> None:
    with archive() as file:
        put(file, "learning_rate", np.ones(2), PER_MINIBATCH)
        put(file, "cost/train", np.ones(2), PER_MINIBATCH)
        series, _ = read(file)

    assert series["learning_rate"].holds_from_begin
    assert not series["cost/train"].holds_from_begin


def test_only_rows_that_were_ever_written_are_read() -> None:
    with archive() as file:
        rows = file.create_dataset("x", (2**40,), "f4", chunks=(64,), fillvalue=NAN)
        rows[100] = 7
        rows.attrs.update(PER_MINIBATCH)
        file.create_dataset("never", (2**40,), "f8", chunks=(64,))
        series, told = read(file)

    assert series["x"].values.size == 101
    assert series["x"].values[100] == 7
    assert series["never"].values.size == 0
    assert told == []


def test_a_series_that_would_fill_the_memory_is_told_and_left_out() -> None:
    with archive() as file:
        file.create_dataset("far", (2**40,), "f4", chunks=(64,))[2**40 - 1] = 1
        put(file, "near", np.ones(3))
        series, told = read(file)

    assert list(series) == ["near"]
    assert told == [
        f"'far' cannot be read: it has {2**42:,} bytes, and {2**30:,} are read of an archive in all"
    ]


def test_series_together_are_read_within_bounds() -> None:
    with archive() as file:
        for name in "abc":
            put(file, name, np.ones(3))
        series, told = read(file, most_bytes=50)

    assert list(series) == ["a", "b"]
    assert len(told) == 1
    assert told[0].startswith("'c' cannot be read: it has 24 bytes")


def test_a_chunk_that_would_fill_the_memory_is_not_unpacked() -> None:
    with archive() as file:
        file.create_dataset("bomb", (2**25,), "f4", chunks=(2**25,), compression="gzip", fillvalue=NAN)
        series, told = read(file)

    assert series == {}
    assert told == ["'bomb' cannot be read: its chunks are larger than 67,108,864 bytes"]


def test_names_that_would_act_instead_of_being_seen_are_escaped() -> None:
    with archive() as file:
        put(file, 'a<b>"q"\x1b[2J\u202e😀\n', np.ones(2))
        assert list(read(file)[0]) == ['a<b>"q"\\x1b[2J\\u202e😀\\n']


def test_a_series_that_vanishes_while_it_is_read_is_told() -> None:
    with archive() as file:
        put(file, "x", np.ones(2))
        put(file, "y", np.ones(2))
        contents, progress, told = found_in(file)
        del file["x"]
        assert [one.key for one in read_series(contents, progress)] == ["y"]
    assert len(told) == 1
    assert told[0].startswith("'x' cannot be read: ")


def test_a_dataset_as_long_as_the_run_was_to_be_has_a_row_for_each_epoch() -> None:
    with archive() as file:
        mark(file, [2, 4, 0, 0], epochs=2, minibatches=4)
        file.require_group("config").attrs["total_epochs"] = 4
        put(file, "norms/first", np.array([8.0, 7, 0, 0]))
        put(file, "norms/of_each_class", np.array([8.0, 7, 0]))
        series, _ = read(file)

    assert (series["norms/first"].axis, series["norms/of_each_class"].axis) == ("epoch", "row")
    assert series["norms/first"].values.tolist() == [8, 7]
    assert series["norms/of_each_class"].values.tolist() == [8, 7, 0]


def test_a_series_with_epochs_that_the_run_did_not_have_is_drawn_by_row_and_told() -> None:
    with archive() as file:
        mark(file, [2, 4], epochs=2, minibatches=4)
        file.require_group("config").attrs["total_epochs"] = 2
        put(file, "mine", np.arange(9.0) + 1, PER_EPOCH)
        put(file, "fits", np.array([1.0, 2]), PER_EPOCH)
        series, told = read(file)

    assert (series["mine"].axis, series["mine"].values.size) == ("row", 9)
    assert series["fits"].axis == "epoch"
    assert told == ["'mine' has rows of epochs that the run did not have: drawn by row"]


def test_of_several_costs_the_lower_are_better() -> None:
    with archive() as file:
        put(file, "multicost/train", np.ones((2, 2)), PER_MINIBATCH)
        put(file, "multicost/train_allbranches", np.ones((2, 2)), PER_MINIBATCH)
        series, _ = read(file)

    assert series["multicost/train[0]"].direction == "min"
    assert series["multicost/train_allbranches[0]"].direction is None  # neon's first is a difference of costs
