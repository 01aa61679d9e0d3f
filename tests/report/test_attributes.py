"""Attributes that nobody can trust."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import pytest

from tests.support.archives import archive
from trainsignal.report import attributes

_h5py: Any = h5py  # h5py-stubs do not know all of it

STRANGE: tuple[Any, ...] = (
    _h5py.Empty("f4"), _h5py.Empty(_h5py.string_dtype()), np.zeros((2, 2)), np.zeros(0), True, 1j,
    np.void(b"ab"), np.zeros(2, [("a", "f4")]),
)  # fmt: skip
"""What is neither text nor a number nor a list."""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (np.bytes_("fixed"), "fixed"),
        (np.bytes_(b"caf\xe9"), "caf\ufffd"),
        ("two\nlines\x1b[2J", "two\\nlines\\x1b[2J"),
        ("\u202eesrever", "\\u202eesrever"),
        ("👨\u200d👩 ü", "👨\u200d👩 ü"),
        ("x" * 3000, "x" * 2000 + "…"),
        ("", ""),
        (3, None),
        (["a"], None),
    ],
)
def test_text_is_one_line_that_can_be_shown_anywhere(value: Any, text: str | None) -> None:
    with archive() as file:
        file.attrs["a"] = value
        assert attributes.text(file, "a") == text


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (3, 3),
        (np.uint8(3), 3),
        (np.float32(3), 3),
        ([3], 3),
        (3.5, None),
        (-1, None),
        (np.nan, None),
        (np.inf, None),
        (2.0**70, None),
        ("3", None),
        ([3, 4], None),
    ],
)
def test_a_whole_number_is_not_negative_and_no_text(value: Any, whole: int | None) -> None:
    with archive() as file:
        file.attrs["a"] = value
        assert attributes.whole(file, "a") == whole


@pytest.mark.parametrize("value", STRANGE)
def test_what_is_something_else_counts_as_absent(value: Any) -> None:
    with archive() as file:
        file.attrs["a"] = value
        assert attributes.text(file, "a") is None
        assert attributes.whole(file, "a") is None
        assert attributes.texts(file, "a") == ()


def test_what_is_not_there_is_absent() -> None:
    with archive() as file:
        assert attributes.text(file, "a") is None
        assert attributes.numbers(file, "a").size == 0
    assert attributes.texts(None, "a") == ()


def test_lists_are_read_in_order_without_what_does_not_belong() -> None:
    with archive() as file:
        file.attrs["texts"] = ["b", "a"]
        file.attrs["bytes"] = np.array([b"b", b"a"])
        file.attrs["numbers"] = np.array([2, 1], "i2")
        assert attributes.texts(file, "texts") == ("b", "a")
        assert attributes.texts(file, "bytes") == ("b", "a")
        assert attributes.texts(file, "numbers") == ()
        assert attributes.numbers(file, "numbers").tolist() == [2, 1]
        assert attributes.numbers(file, "texts").size == 0


def test_lists_that_are_too_long_count_as_absent() -> None:
    with archive() as file:
        file.attrs["texts"] = ["x"] * 1001
        assert attributes.texts(file, "texts") == ()
        file.attrs["numbers"] = np.zeros(5)
        assert attributes.numbers(file, "numbers", most=4).size == 0


def test_a_number_beyond_float64_is_infinite() -> None:
    with archive() as file:
        file.attrs["a"] = np.finfo("longdouble").max
        assert attributes.numbers(file, "a").tolist() == [np.inf]


def test_what_cannot_be_read_counts_as_absent() -> None:
    with archive() as file:
        group = file.create_group("g")
    assert attributes.text(group, "a") is None  # the file is closed
