"""The subcommands for remote runs."""

from __future__ import annotations

import argparse
import getpass
import platform
from pathlib import Path
from typing import Any

import pytest

from tests.remote.followed import Listened
from tests.remote.told import RUN_ID, Telling
from trainsignal import remote
from trainsignal.errors import ConfigurationError
from trainsignal.remote import command_line, listening, stop, view
from trainsignal.remote.command_line import (
    add_listen,
    add_stop,
    is_broker,
    run_listen,
    run_stop,
    run_view,
)
from trainsignal.remote.model import RemoteModel


@pytest.mark.parametrize(
    "path, is_so",
    [
        ("redis://host", True),
        ("unix:///tmp/a", True),
        ("runs", False),
        ("a/b.h5", False),
        ("C:\\runs", False),
    ],
)
def test_address_of_a_broker_is_told_from_a_path(path: str, is_so: bool) -> None:
    assert is_broker(path) == is_so


STOP = ("redis://host", "--run", "digits", "--reason", "enough")


def options_of(add: Any, *arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.set_defaults(parser=parser)
    add(parser)
    return parser.parse_args(arguments)


class Called:
    """Takes the place of a function, and keeps what it was called with."""

    def __init__(self, answer: object = None) -> None:
        self.arguments: tuple[Any, ...] = ()
        self.named: dict[str, Any] = {}
        self._answer = answer

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.arguments, self.named = arguments, named
        return self._answer


def listened(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[Called, list[str]]:
    called, lines = Called(), list[str]()
    monkeypatch.setattr(listening, "listen", called)
    run_listen(options_of(add_listen, "redis://host", *arguments), lines.append)
    return called, lines


def test_without_handlers_events_are_lines_that_steer_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    called, lines = listened(monkeypatch, "--run", "digits", "--name", "mail")
    told = Telling()
    told.begin(model="N\x1b[2J")
    Listened(handlers=called.named["handlers"]).take(told)

    assert called.arguments == ("redis://host",)
    assert (called.named["run"], called.named["name"]) == ("digits", "mail")
    assert lines == ["digits: trains N\\x1b[2J for 3 epochs by train.py on gpu7"]
    assert called.named["callbacks"](RemoteModel("digits", RUN_ID)) == []


def test_functions_are_handlers_and_classes_are_callbacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "here_for_tests.py").write_text(
        "from trainsignal import Callback\ndef tell(): ...\nclass Mine(Callback): ...\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)

    called, _ = listened(
        monkeypatch,
        "--handler",
        "here_for_tests:tell",
        "--handler",
        "here_for_tests:Mine",
        "--signal",
        "train_end",
    )

    ((signal, handler),) = called.named["handlers"]
    assert (signal, handler.__name__) == ("train_end", "tell")
    called_by_default, _ = listened(monkeypatch, "--handler", "here_for_tests:tell")
    assert called_by_default.named["handlers"][0][0] == "epoch_end"
    made = [called.named["callbacks"](RemoteModel("digits", RUN_ID)) for _ in range(2)]
    assert [type(one).__name__ for (one,) in made] == ["Mine", "Mine"] and made[0][0] is not made[1][0]


def test_module_that_is_misspelt_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="there is no module 'nowhere_for_tests'"):
        listened(monkeypatch, "--handler", "nowhere_for_tests:tell")


def test_stop_tells_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    called, lines = Called("it stops"), list[str]()
    monkeypatch.setattr(stop, "request_remote_stop", called)

    run_stop(options_of(add_stop, *STOP, "--author", "me"), lines.append)

    assert called.arguments == ("redis://host", "digits", "enough", "me")
    assert lines == ["digits: it stops"]


@pytest.mark.parametrize(
    "host, error, author",
    [("box", None, "ada@box"), ("", None, "ada"), ("box", OSError("no name"), "user@box")],
)
def test_whoever_types_the_stop_is_its_author(
    host: str, error: Exception | None, author: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def user() -> str:
        if error is not None:
            raise error
        return "ada"

    called = Called("it stops")
    monkeypatch.setattr(stop, "request_remote_stop", called)
    monkeypatch.setattr(getpass, "getuser", user)
    monkeypatch.setattr(platform, "node", lambda: host)

    run_stop(options_of(add_stop, *STOP), print)

    assert called.arguments[-1] == author


@pytest.mark.parametrize("port, served_at", [(None, 5100), (0, 0)])
def test_view_passes_its_options_on(
    port: int | None, served_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = Called()
    monkeypatch.setattr(view, "view_remote", called)
    options = argparse.Namespace(path="redis://host", host="::1", port=port, axis="time", open=True)

    run_view(options, print)

    assert called.arguments == ("redis://host",)
    assert called.named == {
        "host": "::1", "port": served_at, "axis": "time", "open_browser": True, "tell": print,
    }  # fmt: skip


def test_package_offers_what_its_users_need() -> None:
    assert {"listen", "request_remote_stop"} <= set(remote.__all__)
    assert command_line.__doc__


def test_variable_may_hold_the_whole_address() -> None:
    assert is_broker("${BROKER}")
    assert not is_broker("runs/${BROKER}")


@pytest.mark.parametrize("handlers", [(), ("--handler", "trainsignal:TrainCostCallback")])
def test_signal_without_a_function_to_call_at_it_is_an_error(
    handlers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        ConfigurationError, match=r"--signal epoch_begin without .*: add --handler MODULE:NAME"
    ):
        listened(monkeypatch, "--signal", "epoch_begin", *handlers)
