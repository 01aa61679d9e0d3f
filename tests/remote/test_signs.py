"""Runs that are silent are told of once, and once that they are back."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from tests.remote.told import entry
from trainsignal.remote.signs import SignsOfLife, silence_s


def test_silence_is_that_of_a_run_that_is_listed_as_running() -> None:
    alive = replace(entry(), seen_at=100.0)

    assert silence_s(alive, 130_000) is None
    assert silence_s(alive, 131_000) == 31.0
    assert silence_s(replace(alive, state="failed"), 10**6) is None


def test_silent_run_is_told_of_once_and_once_that_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainsignal.remote")
    signs, run = SignsOfLife(), replace(entry(), seen_at=100.0)

    for now_s in (110, 131, 132, 140):
        signs.look({"digits": run, "mnist": replace(run, state="failed")}, now_s * 1000)
    for now_s in (141, 142):
        signs.look({"digits": replace(run, seen_at=141.0)}, now_s * 1000)
    signs.look({"digits": replace(run, seen_at=141.0)}, 200_000)

    assert [(one.levelname, one.getMessage()) for one in caplog.records] == [
        (
            "WARNING",
            "run 'digits': no sign of life for 31 s: its process may have been killed or suspended, or be "
            "away from the broker",
        ),
        ("INFO", "run 'digits' gives signs of life again"),
        (
            "WARNING",
            "run 'digits': no sign of life for 59 s: its process may have been killed or suspended, or be "
            "away from the broker",
        ),
    ]


def test_silent_run_that_is_said_to_have_ended_is_not_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainsignal.remote")
    signs = SignsOfLife()
    signs.look({"digits": entry()}, 100_000)
    signs.look({"digits": entry("interrupted")}, 100_000)

    assert len(caplog.records) == 1
