from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.relay.test_messages import CONTENTS
from trainsignal.relay.messages import DURABLE_SIGNALS, Message, decode, encode
from trainsignal.relay.stub import stub_of


def stub(signal: str, **changes: Any) -> dict[str, Any] | None:
    found = stub_of(Message("id", 4, signal, {**CONTENTS[signal], **changes}, 2, "p"))
    if found is None:
        return None
    assert decode(encode(found)) == found
    assert (found.run_id, found.number, found.durable, found.process) == ("id", 4, 2, "p")
    return dict(found.content)


@pytest.mark.parametrize("signal", sorted(DURABLE_SIGNALS))
def test_stub_has_the_plain_fields_and_empty_ones_in_place_of_the_others(signal: str) -> None:
    left = {
        name: type(value)() if isinstance(value, (dict, list)) else value
        for name, value in CONTENTS[signal].items()
    }
    assert stub(signal) == left


def test_what_is_strange_or_large_is_empty() -> None:
    assert stub("stop_requested", reason=object()) == {"reason": "", "author": "user"}
    assert stub("stop_requested", reason="a" * 201) == {"reason": "", "author": "user"}
    assert stub("run_closed", detail=object(), series=[object()]) == {**CONTENTS["run_closed"]}
    begin = stub("train_begin", epochs=1.5, resumed=np.True_, minibatches_per_epoch=np.int32(3))
    assert begin == {**CONTENTS["train_begin"], "epochs": None, "resumed": True, "callbacks": []}
    assert stub("train_begin", resumed="x") == {**CONTENTS["train_begin"], "callbacks": []}


def test_position_that_is_not_known_leaves_nothing_to_tell() -> None:
    assert stub("epoch_begin", epoch=object()) is None
    assert stub_of(Message("id", 4, "epoch_begin", {}, 2)) is None
