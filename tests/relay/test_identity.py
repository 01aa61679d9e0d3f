from __future__ import annotations

import platform
import sys
import time

import pytest

import trainsignal
from trainsignal.relay.identity import default_name, entry_of
from trainsignal.relay.requests import RunEntry
from trainsignal.relay.streams import check_run_name


@pytest.mark.parametrize(
    "argv, name",
    [
        (["/a/train.py", "x"], "train-012345"),
        (["/a/my: <run>.v2.py"], "my- -run-.v2-012345"),
        (["-c"], "run-012345"),
        ([""], "run-012345"),
        ([], "run-012345"),
        (["/a/ .py"], "-012345"),
        (["a" * 300 + ".py"], "a" * 93 + "-012345"),
    ],
)
def test_run_is_named_after_its_script(argv: list[str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert default_name("0123456789") == name
    check_run_name(name)


def test_script_of_an_interactive_session_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    assert entry_of("id", allow_remote_stop=True).script is None
    assert default_name("0123456789") == "run-012345"


def test_entry_says_what_runs_and_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/a/train.py"])
    before = time.time()
    entry = entry_of("id", allow_remote_stop=False)
    assert before <= entry.started_at == entry.seen_at <= time.time()
    assert entry == RunEntry(
        "id", platform.node(), "train.py", trainsignal.__version__, entry.started_at, allow_remote_stop=False,
        state="running", seen_at=entry.started_at,
        process=entry.process,
    )  # fmt: skip


def test_each_process_of_a_run_has_an_id_of_its_own() -> None:
    ids = {entry_of("id", allow_remote_stop=False).process for _ in range(3)}
    assert len(ids) == 3
