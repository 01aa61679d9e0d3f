"""The rows that all formats share."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.support.report_runs import STARTED_AT, about, each_epoch, run, timeline, train_cost
from trainsignal.report.export.table import Block, blocks, overview, storable
from trainsignal.report.records import SavedCheckpoint, Series
from trainsignal.report.timeline import Timeline


def only_block(series: Series, of: Timeline) -> Block:
    (block,) = blocks(series, of)
    return block


def numbers(column: object) -> list[float]:
    assert isinstance(column, np.ndarray)
    listed: list[float] = column.tolist()
    return listed


def test_a_minibatch_tells_of_its_end_and_belongs_to_the_epoch_that_it_is_in() -> None:
    block = only_block(train_cost(25), timeline(epochs=4, minibatches=10, seconds=15.0))

    rows = [0, 9, 10, 24]
    assert block.epoch is not None and block.epoch[rows].tolist() == [0, 0, 1, 2]
    assert block.minibatches_done is not None and block.minibatches_done[rows].tolist() == [1, 10, 11, 25]
    assert block.epochs_done is not None and block.epochs_done[rows].tolist() == [0.1, 1.0, 1.1, 2.5]
    assert block.seconds is not None
    assert block.seconds[rows].tolist() == pytest.approx([1.5, 15.0, 16.5, 37.5], rel=1e-12)


def test_an_evaluation_tells_of_the_end_of_its_epoch() -> None:
    series = Series("cost/loss", np.array([2.0, 1.0]), "epoch", np.array([1, 3]))

    block = only_block(series, timeline(epochs=4, minibatches=10, seconds=15.0))

    assert numbers(block.row) == [0, 1]
    assert numbers(block.epoch) == [1, 3]
    assert numbers(block.epochs_done) == [2.0, 4.0]
    assert numbers(block.minibatches_done) == [20, 40]
    assert numbers(block.seconds) == [30.0, 60.0]


def test_what_holds_from_the_begin_on_tells_of_the_begin() -> None:
    rate = each_epoch("learning_rate", [0.1, 0.1, 0.01], holds_from_begin=True)
    each_minibatch = Series("learning_rate", np.full(12, 0.1), "minibatch", holds_from_begin=True)

    by_epoch = only_block(rate, timeline(minibatches=10))
    by_minibatch = only_block(each_minibatch, timeline(minibatches=10))

    assert numbers(by_epoch.epoch) == [0, 1, 2]
    assert numbers(by_epoch.minibatches_done) == [0, 10, 20]
    assert numbers(by_minibatch.minibatches_done) == list(range(12))
    assert numbers(by_minibatch.epoch) == [0] * 10 + [1] * 2


def test_of_rows_that_nobody_explained_the_moment_is_missing() -> None:
    block = only_block(Series("mine", np.array([3.0, 4.0]), "row"), timeline())

    assert (block.epoch, block.epochs_done, block.minibatches_done, block.seconds) == (None,) * 4
    assert numbers(block.row) == [0, 1]
    assert numbers(block.value) == [3.0, 4.0]


def test_times_that_nobody_noted_are_missing() -> None:
    untimed = Timeline(np.array([0.0, 10.0, 20.0]), np.full(3, np.nan))

    assert only_block(train_cost(20), untimed).seconds is None


def test_a_run_whose_epochs_nobody_noted_has_no_minibatches_for_them() -> None:
    unknown = Timeline(np.zeros(1), np.zeros(1))

    assert only_block(each_epoch("cost/loss", [1.0]), unknown).minibatches_done is None


def test_minibatches_beyond_what_can_be_counted_are_missing() -> None:
    absurd = Timeline(np.array([0.0, 1e300]), np.array([0.0, 1.0]))

    assert only_block(each_epoch("cost/loss", [1.0]), absurd).minibatches_done is None


def test_blocks_hold_every_row_once_and_in_order() -> None:
    series = train_cost(25)

    several = list(blocks(series, timeline(), rows=10))

    assert [block.row.size for block in several] == [10, 10, 5]
    assert np.concatenate([block.row for block in several]).tolist() == list(range(25))
    assert np.concatenate([block.value for block in several]).tolist() == series.values.tolist()
    done = [block.minibatches_done for block in several if block.minibatches_done is not None]
    assert np.concatenate(done).tolist() == list(range(1, 26))


def test_a_series_without_rows_has_no_block() -> None:
    assert list(blocks(each_epoch("cost/loss", []), timeline())) == []


def test_values_keep_their_type() -> None:
    assert only_block(train_cost(), timeline()).value.dtype == np.float32


def test_the_overview_says_what_ran() -> None:
    one = run(name="mine", about=about(checkpoints=(SavedCheckpoint("a.h5", 2, 9, STARTED_AT + 1),)))

    told = overview(one)

    assert (told["name"], told["path"], told["status"]) == ("mine", "/runs/mine.h5", "completed")
    plain = json.loads(json.dumps(told, allow_nan=False))
    assert plain["callbacks"] == ["LossCallback", "TrainCostCallback"]
    assert plain["checkpoints"] == [{"path": "a.h5", "epoch": 2, "minibatch": 9, "saved_at": STARTED_AT + 1}]


def test_lone_surrogates_become_escapes() -> None:
    assert storable("cost/\udcff é") == "cost/\\udcff é"
