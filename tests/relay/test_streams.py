from __future__ import annotations

import pytest

from trainsignal.errors import ConfigurationError
from trainsignal.relay import streams


def test_keys_are_those_of_the_format() -> None:
    assert streams.RUNS == "trainsignal:runs"
    assert streams.events("a") == "trainsignal:run:a:events"
    assert streams.minibatches("a") == "trainsignal:run:a:minibatches"
    assert streams.commands("a") == "trainsignal:run:a:commands"
    assert streams.answers("a") == "trainsignal:run:a:answers"
    assert streams.listener("a") == "trainsignal:listener:a"


@pytest.mark.parametrize("name", ["a", "train-3f2a9c", "my run 2.1_b", "é" * 100])
def test_name_of_a_run(name: str) -> None:
    streams.check_run_name(name)
    assert streams.is_run_name(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "a/b", "a:b", "a\n", "a" * 101, "<b>", "a (2)"])
def test_what_cannot_name_a_run(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"run_name=.*letters"):
        streams.check_run_name(name)


def test_names_on_the_broker_may_be_numbered() -> None:
    assert [streams.free_name("a", number) for number in (1, 2)] == ["a", "a (2)"]
    assert streams.is_run_name("a (2)")
    assert not streams.is_run_name("a (2) (3)") and not streams.is_run_name("a (x)")
    assert not streams.is_run_name("../a") and not streams.is_run_name(" ")


def test_base_name_is_that_which_a_run_was_given() -> None:
    assert [streams.base_name(name) for name in ("a", "a (2)", "a (10)", "a 2", "(2)")] == [
        "a", "a", "a", "a 2", "(2)",
    ]  # fmt: skip
