"""Troubles are counted all, and told once."""

from __future__ import annotations

import pytest

from trainsignal.remote.troubles import Troubles


def test_each_kind_is_told_once_a_run_and_counted_always(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles()
    troubles.note("a", "bad", "first")
    troubles.note("a", "bad", "second", 3)
    troubles.note("a", "late", "third", 0)
    troubles.note("b", "bad", "fourth")

    assert [one.getMessage() for one in caplog.records] == ["run 'a': first", "run 'b': fourth"]
    assert troubles.counts == {("a", "bad"): 4, ("b", "bad"): 1}
