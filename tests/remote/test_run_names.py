"""The names of runs, as they are told."""

from __future__ import annotations

from trainsignal.remote.run_names import in_words, run_names


def test_names_are_sorted_by_their_numbers_and_what_is_none_is_left_out() -> None:
    listed = ["b", "a (10)", "../x", "a (2)", "", "a", "c (2) (3)"]

    assert run_names(listed) == ["a", "a (2)", "a (10)", "b"]


def test_of_many_names_the_first_are_told() -> None:
    names = [f"run{number:02}" for number in range(23)]

    assert in_words(names[:2]) == "run00, run01"
    assert in_words(names[:20]).endswith(", run19")
    assert in_words(names).endswith(", run19 and 3 more")
