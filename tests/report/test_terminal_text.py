"""Text of strangers in a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainsignal.report.terminal_text import can_show, columns, cut, literal, padded


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cost/loss é 日本 🙂", "cost/loss é 日本 🙂"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("a\x9b2Jb", "a\\x9b2Jb"),
        ("\u202eabc", "\\u202eabc"),
        ("a\udcffb", "a\\udcffb"),
    ],
    ids=["plain", "escape sequence", "lines", "C1 control", "direction", "lone surrogate"],
)
def test_what_would_steer_a_terminal_becomes_an_escape(text: str, shown: str) -> None:
    assert literal(text, "utf-8") == shown


def test_what_the_encoding_lacks_becomes_an_escape() -> None:
    assert literal("é 日", "latin-1") == "é \\u65e5"
    assert literal("é", "ascii") == "\\xe9"


@given(st.text(st.characters()), st.sampled_from(["utf-8", "ascii", "cp437"]))
def test_what_is_shown_can_be_printed(text: str, encoding: str) -> None:
    shown = literal(text, encoding)

    assert shown.isprintable() and can_show(shown, encoding)


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🙂!", 3), ("", 0)])
def test_wide_and_combining_characters_are_counted(text: str, width: int) -> None:
    assert columns(text) == width


def test_what_fits_is_left_as_it_is() -> None:
    assert cut("cost/train", 10) == "cost/train"


def test_the_middle_of_what_is_too_wide_is_left_out() -> None:
    assert cut("metrics/per_label/Precision/cat", 15) == "metric...on/cat"


@given(st.text(st.characters(categories=["L", "N", "P", "S"])), st.integers(5, 40))
def test_what_was_cut_fits(text: str, width: int) -> None:
    assert columns(cut(text, width)) <= width


def test_padding_counts_columns() -> None:
    assert padded("日", 4) == "日  "
    assert padded("abc", 2) == "abc"
