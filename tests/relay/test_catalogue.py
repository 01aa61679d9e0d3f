from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest

from trainsignal import keys
from trainsignal.relay.catalogue import MOST_ANNOUNCED, Catalogue
from trainsignal.relay.messages import LARGEST_BYTES, MINIBATCHES, Message, encode
from trainsignal.relay.rows import MOST_VALUES
from trainsignal.shared_data import SharedData

PER_MINIBATCH = {keys.TIME_MARKERS: keys.PER_MINIBATCH}
PER_EPOCH = {keys.TIME_MARKERS: keys.PER_EPOCH_FREQ, keys.EPOCH_FREQ: 1}


def create(data: SharedData, key: str, attributes: dict[str, Any] | None = None, **layout: Any) -> Any:
    return data.create_series(
        key, 9, attributes=PER_MINIBATCH if attributes is None else attributes, **layout
    )


def announced(catalogue: Catalogue, *, is_durable: bool = True) -> list[str]:
    return [one["key"] for one in catalogue.announcement(is_durable=is_durable)]


def test_series_with_an_axis_of_time_are_announced_once_with_all_that_a_listener_needs() -> None:
    data = SharedData()
    create(data, "cost/train", {**PER_MINIBATCH, keys.DIRECTION: "min"})
    create(data, "metrics/a", {**PER_EPOCH, "array": np.arange(2)}, columns=(2, 3), dtype="i8")
    create(data, "weights/w", {keys.TIME_MARKERS: keys.PER_EPOCH})
    create(data, "no/axis", {})
    data.create_dataset("text", data="hello")
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    assert catalogue.announcement(is_durable=True) == [
        {
            "key": "cost/train", "shape_tail": [], "dtype": "<f4",
            "attributes": {"time_markers": "minibatch", "direction": "min"},
        },
        {
            "key": "metrics/a", "shape_tail": [2, 3], "dtype": "<i8",
            "attributes": {"time_markers": "epoch_freq", "epoch_freq": 1, "array": [0, 1]},
        },
        {"key": "weights/w", "shape_tail": [], "dtype": "<f4", "attributes": {"time_markers": "epoch"}},
    ]  # fmt: skip
    catalogue.look(0)
    assert announced(catalogue) == []


def test_series_that_comes_in_a_block_is_announced_again_where_it_cannot_be_dropped() -> None:
    data = SharedData()
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    create(data, "a")
    catalogue.look(0)
    assert announced(catalogue, is_durable=False) == ["a"]
    assert announced(catalogue, is_durable=False) == []
    assert announced(catalogue) == ["a"]
    assert announced(catalogue) == []


def test_series_that_comes_later_is_told_from_where_the_run_is() -> None:
    data = SharedData()
    catalogue = Catalogue(data, None)
    create(data, "a")[:] = range(9)
    catalogue.look(7)
    assert catalogue.minibatch_rows(9)["a"]["first"] == 7


def test_series_that_gets_its_axis_later_is_told_from_then_on() -> None:
    data = SharedData()
    series = create(data, "a", {})
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    series.attrs.update(PER_EPOCH)
    catalogue.look(0)
    assert announced(catalogue) == ["a"]


def test_wanted_series_alone_are_told_and_those_that_are_missing_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = SharedData()
    for key in ("cost/train", "cost/loss"):
        create(data, key)
    catalogue = Catalogue(data, ("cost/train", "cost/los"))
    catalogue.look(0)
    assert announced(catalogue) == ["cost/train"]
    assert list(catalogue.minibatch_rows(1)) == ["cost/train"]
    catalogue.tell_of_missing()
    catalogue.tell_of_missing()
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("the relay is to tell of the series 'cost/los', which is not there")


@pytest.mark.parametrize("columns, dtype", [((MOST_VALUES,), "f4"), ((), "g")])
def test_series_whose_rows_fit_into_no_message_is_left_out_and_named_once(
    columns: tuple[int, ...], dtype: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = SharedData()
    create(data, "a", columns=columns, dtype=dtype)
    create(data, "b")
    catalogue = Catalogue(data, ("a", "b"))
    with caplog.at_level(logging.WARNING):
        catalogue.look(0)
        catalogue.look(0)
    catalogue.tell_of_missing()
    assert announced(catalogue) == ["b"]
    assert caplog.messages == ["the relay leaves out the series 'a': its rows do not fit into a message"]


def test_series_of_flags_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    data = SharedData()
    data.create_dataset("a", (3,), "?").attrs.update(PER_EPOCH)
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    assert announced(catalogue) == [] and len(caplog.messages) == 1


def test_series_of_minibatches_fit_into_one_message_together() -> None:
    data = SharedData()
    for number in range(5):
        create(data, f"s{number}", columns=(MOST_VALUES // 4,))
        create(data, f"t{number}", PER_EPOCH, columns=(MOST_VALUES // 4,))
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    assert announced(catalogue) == ["s0", "s1", "s2", *(f"t{number}" for number in range(5))]
    assert catalogue.rows_in_a_block == 1
    assert Catalogue(SharedData(), None).rows_in_a_block == MOST_VALUES


def test_rows_of_epochs_that_do_not_fit_come_with_the_next_message() -> None:
    data = SharedData()
    for key in ("a", "b"):
        create(data, key, PER_EPOCH, columns=(MOST_VALUES // 5,))[:4] = 1
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    told = [
        {key: (span["first"], len(span["values"])) for key, span in catalogue.closing_rows(0).items()}
        for _ in range(4)
    ]
    assert told == [{"a": (0, 4)}, {"b": (0, 4)}, {}, {}]


def test_series_that_are_too_much_for_a_message_take_turns_and_the_end_says_what_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = SharedData()
    for key in ("a", "b", "c"):
        create(data, key, PER_EPOCH, columns=(int(MOST_VALUES * 0.45),))
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    told: list[set[str]] = []
    for epoch in range(3):
        for key in ("a", "b", "c"):
            data[key][epoch] = float(epoch)
        told.append(set(catalogue.closing_rows(0)))
    assert told == [{"a", "b"}, {"c"}, {"a"}], "two rows fit into a message"
    catalogue.tell_of_left_out()
    assert "has not told the last rows of" in caplog.text
    for _ in range(9):
        catalogue.closing_rows(0)
    caplog.clear()
    catalogue.tell_of_left_out()
    assert not caplog.records


def test_rows_of_minibatches_that_came_late_come_with_those_of_epochs_as_far_as_there_is_room() -> None:
    data = SharedData()
    create(data, "a", columns=(MOST_VALUES // 5,))[:] = 1
    create(data, "b", PER_EPOCH, columns=(MOST_VALUES // 5,))[:2] = 1
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    told = [
        {key: (span["first"], len(span["values"])) for key, span in catalogue.closing_rows(7).items()}
        for _ in range(4)
    ]
    assert told == [{"b": (0, 2), "a": (0, 2)}, {"a": (2, 4)}, {"a": (6, 1)}, {}]


def test_run_that_goes_on_tells_nothing_that_was_told() -> None:
    data = SharedData()
    create(data, "a")[:4] = 1
    epochs = create(data, "b", PER_EPOCH)
    epochs[:2] = 1
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    catalogue.begin_at(3)
    catalogue.pass_over_epochs()
    epochs[2] = 1
    assert catalogue.minibatch_rows(4)["a"]["first"] == 3
    assert catalogue.closing_rows(0)["b"]["first"] == 2


def test_strange_and_endless_attributes_are_left_out() -> None:
    data = SharedData()
    strange = {"many": np.arange(6_000, dtype="i2"), "no real": np.complex64(1), "long": "a" * 6_000}
    create(data, "a", {**PER_EPOCH, **strange})
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    (one,) = catalogue.announcement(is_durable=True)
    assert set(one["attributes"]) == {keys.TIME_MARKERS, keys.EPOCH_FREQ, "long"}
    assert len(one["attributes"]["long"]) == 5_001


def test_many_announcements_are_made_in_several_messages() -> None:
    data = SharedData()
    for number in range(40):
        create(data, f"s{number:02}", {**PER_EPOCH, "a": "a" * 5_000, "b": "b" * 5_000})
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    found: list[str] = []
    for is_durable in (False, False, True, True, True, True):
        part = catalogue.announcement(is_durable=is_durable)
        assert len(json.dumps(part)) <= MOST_ANNOUNCED * 1.01
        found += [one["key"] for one in part] if is_durable else []
    assert found == [f"s{number:02}" for number in range(40)]


def test_fullest_message_is_small_enough() -> None:
    data = SharedData()
    low = -np.finfo(np.float64).tiny * 1.2345678901234567
    for number in range(9):
        create(data, "é" * 40 + str(number), PER_EPOCH, columns=(MOST_VALUES // 10,), dtype="f8")[:] = low
        create(data, f"m{number}", columns=(10,), dtype="f8")[:] = low
    catalogue = Catalogue(data, None)
    catalogue.look(0)
    for rows in (catalogue.closing_rows(9), catalogue.minibatch_rows(9)):
        content = {
            "epoch": 0, "first": 0, "last": 8, "rows": rows, "thinned": 0, "series": "a" * MOST_ANNOUNCED,
            "detail": "é" * 5_000, "author": "é" * 5_000,
        }  # fmt: skip
        assert len(encode(Message("id", 1, MINIBATCHES, content))) < LARGEST_BYTES
