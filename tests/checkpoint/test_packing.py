from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from trainsignal.checkpoint.packing import DamagedError, pack, unpack

ARRAYS: dict[str, Any] = {"state/W": np.ones(2), "state/codes": np.zeros((2, 3), "u4")}


def skeleton(state: object, **changes: object) -> str:
    return json.dumps({"format": "trainsignal checkpoint", "version": 1, "state": state} | changes)


def test_skeleton_is_plain_json_where_the_state_is() -> None:
    text, arrays = pack({"a": [1, None, "x"], "t": (1.5,), "W": np.ones(2)})

    assert json.loads(text)["state"] == {
        "a": [1, None, "x"],
        "t": {"$tuple": [1.5]},
        "W": {"$array": "state/W"},
    }
    assert list(arrays) == ["state/W"]


def test_text_is_stored_as_code_points() -> None:
    _, arrays = pack(np.array(["a", "é!"]))

    assert arrays["state"].tolist() == [[97, 0], [233, 33]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is damaged"),
        ("\xff", "it is damaged"),
        ("[]", "does not name the format"),
        ("{}", "does not name the format"),
        (skeleton(None, version=2), "of version 2, and this trainsignal reads version 1"),
        (json.dumps({"format": "trainsignal checkpoint", "version": 1}), "it is damaged"),
        ('{"a":' * 100_000, "nested too deep|it is damaged"),
        (skeleton({"$unknown": 1}), "unknown kind"),
        (skeleton({"$array": "state/other"}), "it is damaged"),
        (skeleton([{"$array": "state/W"}] * 2), "uses the array 'state/W' twice"),
        (skeleton({"$array": "state/W", "text": "<U2"}), "cannot be text of dtype '<U2'"),
        (skeleton({"$array": "state/codes", "text": "<U2"}), "cannot be text of dtype '<U2'"),
        (skeleton({"$array": "state/codes", "text": "f4"}), "it is damaged"),
        (skeleton({"$array": "state/codes", "text": 3}), "it is damaged"),
        (skeleton({"$dict": [[[], 1]]}), "it is damaged"),
        (skeleton({"$dict": 3}), "it is damaged"),
        (skeleton({"$tuple": None}), "it is damaged"),
        (skeleton({"$bytes": "?"}), "it is damaged"),
        (skeleton({"$int": "0xg"}), "it is damaged"),
        (skeleton({"$float": "much"}), "it is damaged"),
        (skeleton(1).replace('"state": 1', '"state": ' + "9" * 5000), "it is damaged"),
    ],
)
def test_skeleton_that_pack_did_not_write_is_damaged(text: str, message: str) -> None:
    with pytest.raises(DamagedError, match=message):
        unpack(text, lambda name: ARRAYS[name])


def test_array_of_objects_from_a_foreign_file_is_damaged() -> None:
    with pytest.raises(DamagedError, match="has the dtype 'object'"):
        unpack(skeleton({"$array": "state"}), lambda _: np.array([object()]))
