from __future__ import annotations

import enum
from collections import OrderedDict, defaultdict, namedtuple
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from trainsignal.checkpoint.tree import DEPTH_LIMIT, PATH_LIMIT, child_path, make_plain
from trainsignal.errors import CheckpointError

Point = namedtuple("Point", ["x", "y"])


class Color(str, enum.Enum):  # noqa: UP042 - StrEnum prints its value, this older kind its name
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({np.int64(3): 1, Color.RED: 2}, {3: 1, "red": 2}),
        (Point(1, 2), (1, 2)),
        ([Color.RED, Level.HIGH], ["red", 3]),
    ],
    ids=["ordered", "default", "proxy", "keys", "namedtuple", "enums"],
)
def test_subclass_becomes_its_plain_base(value: Any, expected: Any) -> None:
    result = make_plain(value)

    assert repr(result) == repr(expected)


def test_arrays_are_not_copied() -> None:
    array = np.ones(3)

    assert make_plain({"a": [array]})["a"][0] is array


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [{"b": object()}]}, r"^a/0/b: a value of type builtins\.object cannot be saved"),
        (object(), r"^the state itself: a value of type"),
        ({"a": {(1, 2): 0}}, r"^a: a dict key must be a str or an int, not \(1, 2\)"),
        ({True: 0}, r"a dict key must be a str or an int, not True"),
        ({"a/b": {3: {1}}}, r"^a%2Fb/\[3\]: a value of type builtins\.set"),
        (np.array([object()]), r"an array of dtype 'object' cannot be saved"),
        (np.array(["2026-01-01"], "M8[D]"), r"an array of dtype 'datetime64\[D\]' .* \(dates: 'int64'\)"),
        (np.timedelta64(1, "s"), r"an array of dtype 'timedelta64\[s\]'"),
        (np.zeros(2, [("a", "f4")]), r"an array of dtype .* cannot be saved"),
        (np.zeros(2, np.longdouble), r"floats of 16 to 64 bits"),
        (np.ma.masked_array([1.0], [True]), r"a MaskedArray cannot be saved as what it is"),
    ],
)
def test_what_cannot_be_saved_is_named_by_its_path(value: Any, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        make_plain(value)


def test_state_that_contains_itself_is_refused() -> None:
    state: dict[str, Any] = {}
    state["self"] = state

    with pytest.raises(CheckpointError, match="Does the state contain itself"):
        make_plain(state)


def test_deepest_nesting_is_accepted() -> None:
    state: list[Any] = []
    for _ in range(DEPTH_LIMIT):
        state = [state]

    assert make_plain(state) == state


def test_path_too_long_for_a_name_is_refused() -> None:
    assert make_plain({"k" * PATH_LIMIT: 0})
    with pytest.raises(CheckpointError, match="Shorten them"):
        make_plain({"k" * (PATH_LIMIT + 1): 0})


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("W", "a/W"),
        ("conv.weight", "a/conv.weight"),
        ("x/y", "a/x%2Fy"),
        ("", "a/%"),
        ("..", "a/%2E%2E"),
        (3, "a/[3]"),
        ("3", "a/3"),
        ("[3]", "a/%5B3%5D"),
    ],
)
def test_each_key_has_a_path_of_its_own(key: str | int, expected: str) -> None:
    assert child_path("a", key) == expected
