from __future__ import annotations

import json
import math
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trainsignal.relay.messages import dump
from trainsignal.relay.plain_payload import LONGEST_TEXT, NotJSONError, plain, plain_parts, short


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None), (True, True), (5, 5), (0.5, 0.5), ("a", "a"), (math.nan, "nan"), (-math.inf, "-inf"),
        (np.float32(0.1), 0.1), (np.int64(3), 3), (np.float64("nan"), "nan"), (Path("/a"), "/a"),
        (np.array([[1, 2]]), [[1, 2]]), (np.array([0.1], "f4"), [0.1]), ((1, [2]), [1, [2]]),
        ({"a": {"b": (1.5,)}}, {"a": {"b": [1.5]}}), ([], []), ({}, {}), (np.array(True), True),
        (np.array(["a"]), ["a"]), (np.array(["a", "b"], object), ["a", "b"]),
    ],
    ids=repr,
)  # fmt: skip
def test_value_becomes_what_json_holds(value: object, expected: object) -> None:
    assert plain(value) == expected
    assert json.loads(dump({"x": plain(value)}))["x"] == expected


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1: 2},
        {1},
        b"x",
        1j,
        Colour.RED,
        np.array([1j]),
        np.longdouble(1),
        [object()],
        np.zeros(40_001),
    ],
    ids=repr,
)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(NotJSONError):
        plain(value)


def test_what_is_nested_in_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(NotJSONError, match="too deep"):
        plain(endless)


def test_copy_does_not_change_with_the_value() -> None:
    array, items = np.array([1.0]), [1]
    copies = plain(array), plain(items)
    array[0], items[0] = 2, 2
    assert copies == ([1.0], [1])


def test_payload_keeps_its_plain_parts() -> None:
    parts, left_out = plain_parts({"x": 1, "y": object(), "z": (2,)})
    assert parts == {"x": 1, "z": [2]}
    assert left_out == {"y": "object"}


def test_text_is_cut() -> None:
    assert short("a" * LONGEST_TEXT) == "a" * LONGEST_TEXT
    assert short("a" * (LONGEST_TEXT + 1)) == "a" * LONGEST_TEXT + "…"
