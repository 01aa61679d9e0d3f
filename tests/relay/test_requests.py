from __future__ import annotations

import json
from typing import Any

import pytest

from tests.relay.fakes import entry
from trainsignal.relay.messages import MessageError
from trainsignal.relay.requests import Answer, RunEntry, StopCommand

RECORDS: list[Any] = [
    StopCommand("1", "enough", "me", "id", "p"),
    Answer("1", accepted=False, text="no"),
    entry(),
]
each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)


@each_record
def test_record_comes_back_as_it_was(record: Any) -> None:
    assert type(record).decode(record.encode()) == record


@each_record
def test_record_lacks_no_field(record: Any) -> None:
    fields = json.loads(record.encode())
    for name in fields:
        with pytest.raises(MessageError):
            type(record).decode(json.dumps({one: fields[one] for one in fields if one != name}))


@each_record
def test_field_of_another_kind_is_refused(record: Any) -> None:
    fields = json.loads(record.encode())
    for name in fields:
        with pytest.raises(MessageError, match=name):
            type(record).decode(json.dumps({**fields, name: []}))


def test_text_is_that_of_the_format() -> None:
    assert json.loads(RECORDS[0].encode()) == {
        "schema": 1, "command": "stop", "id": "1", "reason": "enough", "author": "me",
        "run_id": "id", "process": "p",
    }  # fmt: skip
    assert json.loads(RECORDS[1].encode()) == {"schema": 1, "id": "1", "accepted": False, "text": "no"}
    assert json.loads(entry().encode()) == {
        "schema": 1, "run_id": "id", "host": "host", "script": "train.py", "version": "1.0",
        "started_at": 5.0, "allow_remote_stop": True, "state": "running", "seen_at": 5.0,
        "process": "-",
    }  # fmt: skip


def test_command_of_a_later_kind_is_refused() -> None:
    fields = json.loads(RECORDS[0].encode())
    with pytest.raises(MessageError, match="command='pause': expected 'stop'"):
        StopCommand.decode(json.dumps({**fields, "command": "pause"}))


def test_run_may_have_no_script() -> None:
    fields = json.loads(entry().encode())
    assert RunEntry.decode(json.dumps({**fields, "script": None})).script is None
