"""What runs say of their series is checked, for it comes from another machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.remote.told import per_minibatch, rows, series
from trainsignal import keys
from trainsignal.relay.messages import MessageError
from trainsignal.remote import announced
from trainsignal.remote.announced import MOST_ROWS, Catalogue, per_epoch

COST = per_minibatch("cost/train")


def known(*told: Any, tell: Callable[[str], object] = pytest.fail) -> Catalogue:
    catalogue = Catalogue(tell)
    catalogue.announce(list(told))
    return catalogue


def test_series_is_known_as_it_was_announced() -> None:
    (found,) = known(
        series("metrics/top", dtype="<i8", tail=(2, 3), units="images", time_markers="minibatch")
    ).series

    assert (found.key, found.columns, found.dtype) == ("metrics/top", (2, 3), np.dtype("<i8"))
    assert found.attributes == {"units": "images", "time_markers": "minibatch"}
    assert found.is_per_minibatch


def test_series_that_is_announced_again_stays_as_it_is() -> None:
    (found,) = known(series("a", dtype="<f4"), series("a", dtype="<f8")).series

    assert found.dtype == np.dtype("f4")


WRONG: dict[str, tuple[object, ...]] = {
    "key": (
        "", "/a", "a/", "a//b", "../a", "a/./b", "a\0b", "a\nb", "a\ud800", "x" * 501, 7, None, "config/a",
        "time_markers/a",
    ),
    "dtype": ("O", "<U9", "f1", "<c8", "V8", "", "f4,f4", None, 4),
    "shape_tail": (None, 3, [0], [-1], [True], [1.5], [10**6], [2] * 9, ["2"]),
    "attributes": (
        None, [], {"time_markers": "year"}, {"time_markers": 1}, {"epoch_freq": 0}, {"epoch_freq": -1},
        {"epoch_freq": True}, {"epoch_freq": 1.5}, {"epoch_freq": "2"}, {"epochs": 3}, {"epochs": [-1]},
        {"epochs": ["1"]}, {"epochs": [True]},
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "change", [{name: value} for name, values in WRONG.items() for value in values], ids=repr
)
def test_announcement_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        known({**series("a"), **change})


@pytest.mark.parametrize("told", [7, {"a": 1}, "a", [7], [[]]], ids=repr)
def test_list_of_announcements_that_is_none_is_refused(told: Any) -> None:
    with pytest.raises(MessageError, match="expected"):
        known().announce(told)


@pytest.mark.parametrize("keys_of", [("a", "a/b"), ("a/b", "a"), ("a/b/c", "a")], ids="-".join)
def test_series_and_group_of_one_name_are_refused(keys_of: tuple[str, str]) -> None:
    with pytest.raises(MessageError, match="cannot be beside"):
        known(*map(series, keys_of))


def test_series_whose_names_only_begin_alike_stand_beside_each_other() -> None:
    assert len(known(series("cost/loss"), series("cost/loss_2")).series) == 2


@pytest.mark.parametrize(
    "value, is_kept",
    [
        (1, True), (True, True), (0.5, True), ("seconds", True), ([1, 2], True), ([], True),
        (["a", "b"], True),
        (2**63, False), ("a\0b", False), ("\ud800", False), ("x" * 501, False), ([1, "a"], False),
        ([[1], [2]], False), (None, False), ({"a": 1}, False), ([1] * 4097, False),
    ],
    ids=lambda value: repr(value)[:20],
)  # fmt: skip
def test_attribute_that_no_file_takes_is_left_out(value: object, is_kept: bool) -> None:
    (found,) = known(series("a", note=value)).series

    assert found.attributes == ({"note": value} if is_kept else {})


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 501], ids=["empty", "newline", "long"])
def test_attribute_with_a_name_that_is_none_is_left_out(name: str) -> None:
    told = {**series("a"), "attributes": {name: 1, "b": 2}}

    assert known(told).series[0].attributes == {"b": 2}


def test_series_that_a_replica_makes_itself_are_passed_over() -> None:
    catalogue = known(series(keys.EPOCH_ENDS, dtype="<i8"))

    assert catalogue.series == ()
    assert catalogue.rows({keys.EPOCH_ENDS: rows(0, 4), keys.EPOCH_TIMES: rows(0, 4.0)}, per_epoch(0)) == []


def test_rows_have_the_type_of_their_series() -> None:
    (found,) = known(COST).rows({"cost/train": rows(3, 0.1, float("nan"), 1e300)}, announced.per_minibatch)

    assert (found.first, found.values.dtype, found.series.key) == (3, np.dtype("f4"), "cost/train")
    assert found.values.tolist() == [np.float32(0.1), pytest.approx(np.nan, nan_ok=True), np.inf]


def test_rows_of_several_numbers_have_the_shape_of_their_series() -> None:
    (found,) = known(series("a", tail=(2,))).rows({"a": rows(0, [1, 2], [3, 4])}, per_epoch(0))

    assert found.values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "told",
    [
        rows(10**15, 1.0), rows(MOST_ROWS, 1.0), rows(0, "text"), rows(0, [1.0]), rows(0, [1.0], 2.0),
        rows(0, {"a": 1}),
    ],
    ids=repr,
)  # fmt: skip
def test_rows_that_cannot_be_are_refused(told: dict[str, Any]) -> None:
    told_of: list[str] = []
    catalogue = known(series("a"), series("b"), tell=told_of.append)

    (found,) = catalogue.rows({"a": told, "b": rows(0, 1.0)}, per_epoch(0))

    assert found.series.key == "b"
    assert len(told_of) == 1 and told_of[0].startswith(
        "what it says of one series is passed over: rows of 'a'"
    )


def test_number_too_large_for_its_series_is_refused() -> None:
    told_of: list[str] = []
    catalogue = known(series("a", dtype="<i4"), tell=told_of.append)

    assert catalogue.rows({"a": rows(0, 2**40)}, per_epoch(0)) == []
    assert len(told_of) == 1


def test_span_without_values_is_passed_over() -> None:
    assert known().rows({"../a": rows(0)}, per_epoch(0)) == []


def test_series_that_nobody_announced_has_the_axis_of_its_message() -> None:
    catalogue = known()
    catalogue.rows({"lr": rows(7, 0.1)}, announced.per_minibatch)

    assert catalogue.series[0].is_per_minibatch and catalogue.series[0].dtype == np.dtype("f8")


@pytest.mark.parametrize(
    "epoch, last, frequency", [(9, 9, 1), (9, 4, 2), (299, 2, 100), (9, 3, 1), (0, 5, 1)]
)
def test_frequency_of_a_series_that_nobody_announced_follows_from_its_last_row(
    epoch: int, last: int, frequency: int
) -> None:
    catalogue = known()
    catalogue.rows({"a": rows(last, 0.1)}, per_epoch(epoch))

    assert catalogue.series[0].attributes == keys.epoch_axis(frequency)


def test_key_that_nobody_announced_is_checked_too() -> None:
    told_of: list[str] = []

    assert known(tell=told_of.append).rows({"../../etc/passwd": rows(0, 1.0)}, per_epoch(0)) == []
    assert "no key" in told_of[0]


def test_series_that_nobody_announced_has_the_columns_of_its_rows() -> None:
    catalogue = known()
    told = {"wide": rows(0, [1.0, 2.0], [3.0, float("nan")]), "loss": rows(1, 0.5)}

    wide, loss = catalogue.rows(told, per_epoch(1))

    assert (wide.series.columns, loss.series.columns) == ((2,), ())
    assert wide.values[0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    "values", [([1.0], [1.0, 2.0]), ([],), ([0] * 100_001,)], ids=["ragged", "empty", "wide"]
)
def test_rows_of_no_shape_are_passed_over(values: tuple[Any, ...]) -> None:
    told_of: list[str] = []
    catalogue = known(tell=told_of.append)

    assert catalogue.rows({"a": rows(0, *values)}, per_epoch(0)) == []
    assert len(told_of) == 1 and catalogue.series == ()
