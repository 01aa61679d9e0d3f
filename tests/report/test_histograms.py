"""Histograms of parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.archives import archive, found_in, mark, put
from tests.support.neon_reference import NEON_DATA
from trainsignal.report import histograms as histograms_module
from trainsignal.report.histograms import read_histograms
from trainsignal.report.reading import read_run
from trainsignal.report.records import Histogram

EPOCHS = {"bins": 4, "offset": -2, "time_markers": "epoch"}


def read(file: Any) -> tuple[list[Histogram], list[str]]:
    contents, progress, told = found_in(file)
    return list(read_histograms(contents, progress)), told


def group_of(file: Any, name: str = "hist", **changes: Any) -> Any:
    group = file.create_group(name)
    group.attrs.update({**EPOCHS, **changes})
    return group


def test_a_column_a_step_with_the_exponents_of_the_bins() -> None:
    counts = np.arange(1, 13, dtype="i4").reshape(4, 3)
    with archive() as file:
        put(group_of(file), "Linear_0_0_W", counts)
        (histogram,), told = read(file)

    assert told == []
    assert histogram.name == "Linear_0_0_W"
    assert histogram.axis == "epoch"
    assert histogram.exponents.tolist() == [-2, -1, 0, 1]
    assert histogram.counts.dtype == np.float32
    np.testing.assert_array_equal(histogram.counts, counts)
    assert histogram.begins.tolist() == [0, 1, 2]
    assert histogram.ends.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("said", "axis"), [("minibatch", "minibatch"), ("epoch", "epoch"), ("?", "row"), (3, "row")]
)
def test_the_group_says_what_a_step_is(said: Any, axis: str) -> None:
    with archive() as file:
        put(group_of(file, time_markers=said), "L_0_W", np.ones((4, 2), "i4"))
        assert read(file)[0][0].axis == axis


@pytest.mark.parametrize("offset", ["-2", np.nan, 2.0**40])
def test_without_an_offset_it_is_neons(offset: Any) -> None:
    with archive() as file:
        put(group_of(file, offset=offset), "L_0_W", np.ones((4, 2), "i4"))
        assert read(file)[0][0].exponents.tolist() == [-48, -47, -46, -45]


def test_columns_at_the_end_that_were_never_reached_are_cut_off() -> None:
    counts = np.zeros((4, 9), "i4")
    counts[1, [0, 4]] = 1
    with archive() as file:
        mark(file, [5, 10, 0], epochs=2, minibatches=10)
        group = group_of(file)
        put(group, "beyond_0_W", counts)
        put(group, "zero_1_W", np.zeros((4, 9), "i4"))
        put(group, "short_2_W", np.zeros((4, 1), "i4"))
        beyond, zero, short = read(file)[0]

    assert beyond.counts.shape == (4, 5)
    assert zero.counts.shape == (4, 2)
    assert short.counts.shape == (4, 1)


def test_histograms_of_minibatches_are_cut_by_minibatches() -> None:
    with archive() as file:
        mark(file, [5, 0], epochs=1, minibatches=5)
        put(group_of(file, time_markers="minibatch"), "L_0_W", np.zeros((4, 9), "i4"))
        assert read(file)[0][0].counts.shape == (4, 5)


@pytest.mark.parametrize("block_bytes", [1, 200, 2**24])
def test_neighbours_are_averaged_where_steps_are_many(
    block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histograms_module, "_BLOCK_BYTES", block_bytes)
    counts = np.random.default_rng(0).integers(1, 100, (4, 1000), "i4")
    with archive() as file:
        put(group_of(file), "L_0_W", counts, chunks=(4, 64))
        (histogram,), _ = read(file)

    means = [counts[:, begin : begin + 4].mean(axis=1) for begin in range(0, 1000, 4)]
    np.testing.assert_allclose(histogram.counts, np.stack(means, axis=1), rtol=1e-6)
    assert histogram.begins.tolist() == list(range(0, 1000, 4))
    assert histogram.ends[-1] == 1000


def test_the_last_column_is_the_mean_of_those_that_are_left() -> None:
    counts = np.arange(4 * 301, dtype="i4").reshape(4, 301) + 1
    with archive() as file:
        put(group_of(file), "L_0_W", counts)
        (histogram,), _ = read(file)

    assert histogram.counts.shape == (4, 151)
    np.testing.assert_array_equal(histogram.counts[:, -1], counts[:, -1])
    assert (histogram.begins[-1], histogram.ends[-1]) == (300, 301)


def test_histograms_are_in_the_order_of_the_layers_those_of_a_second_callback_after() -> None:
    with archive() as file:
        second, first = group_of(file, "hist_2"), group_of(file)
        put(file.create_group("hist_other"), "L_0_W", np.ones((4, 2), "i4"))
        for name in ("Linear_1_10_W", "Linear_0_9_W", "nameless", "Conv_0_bias_2_W"):
            put(first, name, np.ones((4, 1), "i4"))
        put(second, "Linear_1_10_W", np.ones((4, 1), "i4"))
        names = [one.name for one in read(file)[0]]

    assert names == ["Conv_0_bias_2_W", "Linear_0_9_W", "Linear_1_10_W", "nameless", "hist_2/Linear_1_10_W"]


@pytest.mark.parametrize(
    "counts", [np.ones(4, "i4"), np.ones((4, 2), "f4"), np.ones((0, 2), "i4"), np.ones((2000, 2), "i4")]
)
def test_what_is_no_histogram_is_told(counts: Any) -> None:
    with archive() as file:
        put(group_of(file), "L_0_W", counts)
        found, told = read(file)

    assert found == []
    assert told == ["'hist/L_0_W' cannot be read: it holds no counts of the shape (bins, steps)"]


def test_announced_steps_cost_nothing_and_too_many_written_ones_are_told() -> None:
    with archive() as file:
        group = group_of(file)
        group.create_dataset("announced_0_W", (64, 2**40), "i4", chunks=(64, 64))
        group.create_dataset("written_1_W", (64, 2**40), "i4", chunks=(64, 64))[:, 2**39] = 1
        found, told = read(file)

    assert [one.counts.shape for one in found] == [(64, 0)]
    assert told == [f"'hist/written_1_W' cannot be read: it has {2**39 + 64:,} steps, more than are read"]


@pytest.mark.parametrize("scenario", ["mlp", "convbn", "hist_mini"])
def test_neons_histograms_are_read_as_neon_wrote_them(scenario: str) -> None:
    run = read_run(NEON_DATA / f"{scenario}.h5")
    with np.load(NEON_DATA / f"{scenario}.npz") as reference:
        expected = {name: reference[name] for name in reference.files if name.startswith("h5_hist")}

    assert expected
    assert len(run.histograms) == len(expected)
    for histogram in run.histograms:
        (name,) = (one for one in expected if one.endswith(histogram.name))
        np.testing.assert_array_equal(histogram.counts, expected[name])
        assert histogram.exponents[[0, -1]].tolist() == [-48, 15]


def test_a_histogram_that_vanishes_while_it_is_read_is_told() -> None:
    with archive() as file:
        put(group_of(file), "L_0_W", np.ones((4, 1), "i4"))
        contents, progress, told = found_in(file)
        del file["hist/L_0_W"]
        assert list(read_histograms(contents, progress)) == []
    assert len(told) == 1
    assert told[0].startswith("'hist/L_0_W' cannot be read: ")
