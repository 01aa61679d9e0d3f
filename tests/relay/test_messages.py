from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from trainsignal.relay.messages import (
    DURABLE_SIGNALS,
    LARGEST_BYTES,
    MINIBATCHES,
    Message,
    MessageError,
    decode,
    dump,
    encode,
    load,
    plain_numbers,
)

BLOCK = {"epoch": 0, "first": 0, "last": 1, "rows": {}, "thinned": 0}
CONTENTS: dict[str, dict[str, Any]] = {
    "train_begin": {
        "epochs": None, "minibatches_per_epoch": 3, "model": "Net", "callbacks": ["Loss"], "resumed": False,
        "epochs_complete": 0, "minibatches_complete": 0, "series": [],
    },
    "epoch_begin": {"epoch": 0},
    "epoch_end": {"epoch": 0, "minibatches": 3, "rows": {"cost/loss": {"first": 2, "values": [0.5, None]}}},
    "checkpoint_saved": {"path": "/a/b", "epoch": 0, "minibatch": 2},
    "stop_requested": {"reason": "enough", "author": "user"},
    "train_end": {},
    "run_closed": {"reason": "failed", "detail": None, "author": "loop", "rows": {}},
    MINIBATCHES: BLOCK,
    "mine": {"payload": {"x": [1, {"y": "text"}], "z": None}},
}  # fmt: skip


def message(signal: str, number: int = 7) -> Message:
    durable = 3 if signal in DURABLE_SIGNALS else None
    return Message("id", number, signal, CONTENTS[signal], durable, "p")


def text_with(**changes: Any) -> str:
    fields = json.loads(encode(message(MINIBATCHES)))
    return json.dumps({name: value for name, value in {**fields, **changes}.items() if value != "absent"})


@pytest.mark.parametrize("signal", CONTENTS)
def test_message_comes_back_as_it_was(signal: str) -> None:
    assert decode(encode(message(signal))) == message(signal)


def test_signals_of_the_format_are_durable_but_for_the_blocks() -> None:
    assert set(CONTENTS) - {MINIBATCHES, "mine"} == DURABLE_SIGNALS


def test_text_is_json_with_the_fields_of_the_format() -> None:
    assert json.loads(encode(message("epoch_begin"))) == {
        "schema": 1, "run_id": "id", "process": "p", "number": 7, "signal": "epoch_begin", "durable": 3,
        "epoch": 0,
    }  # fmt: skip


def test_text_is_ascii_whatever_the_user_wrote() -> None:
    one = Message("id", 1, "mine", {"payload": {"x": "ä \ud800 \u2028"}})
    assert encode(one).isascii()
    assert decode(encode(one)) == one


def test_float32_is_written_as_the_shortest_number_that_gives_it_again() -> None:
    values = np.array([0.1, 1 / 3, 1e-8, 3e30, 16777217, -0.0, 1e16], np.float32)
    assert plain_numbers(values) == [0.1, 0.33333334, 1e-08, 3e30, 16777216.0, 0.0, 1e16]


@pytest.mark.parametrize("kind", ["f2", "f4", ">f4", "f8"])
def test_any_float_comes_back_to_the_bit(kind: str) -> None:
    bits = random.Random(5).randbytes(800)
    values = np.frombuffer(bits, kind)
    finite = values[np.isfinite(values)].reshape(-1, 1)
    rows = {"rows": {"x": {"first": 0, "values": finite}}}
    back = decode(encode(Message("id", 1, MINIBATCHES, {**BLOCK, **rows}))).content["rows"]["x"]["values"]
    assert np.array_equal(np.array(back, kind), finite)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_numbers_that_are_not_finite_travel_as_text(kind: str) -> None:
    values = np.array([[1, math.nan], [math.inf, -math.inf]], kind)
    assert plain_numbers(values) == [[1.0, "nan"], ["inf", "-inf"]]
    rows = {"x": {"first": 4, "values": values}}
    text = encode(Message("id", 1, MINIBATCHES, {**BLOCK, "rows": rows}))
    assert "NaN" not in text and "Infinity" not in text
    back = decode(text).content["rows"]["x"]
    assert back["first"] == 4
    assert np.array_equal(np.array(back["values"]), values, equal_nan=True)


def test_integers_and_flags_are_written_as_such() -> None:
    assert plain_numbers(np.array([2**63 - 1])) == [2**63 - 1]
    assert plain_numbers(np.array([True])) == [True]


def test_payload_of_a_signal_has_its_numbers_back() -> None:
    one = Message("id", 1, "mine", {"payload": {"x": ["inf", {"y": "-inf"}], "z": "nano"}})
    assert decode(encode(one)).content["payload"] == {"x": [math.inf, {"y": -math.inf}], "z": "nano"}


def test_field_that_is_not_known_is_passed_over() -> None:
    assert decode(text_with(later=[1])).content["later"] == [1]


def test_message_that_is_too_large_is_neither_written_nor_read() -> None:
    large = Message("id", 1, "mine", {"payload": {"x": "a" * LARGEST_BYTES}})
    with pytest.raises(MessageError, match=r"1,048,\d+ bytes is larger than 1,048,576"):
        encode(large)
    with pytest.raises(MessageError, match="larger than"):
        load(b" " * (LARGEST_BYTES + 1))
    assert load(dump({}) + " " * (LARGEST_BYTES - len(dump({})))) == {}


@pytest.mark.parametrize("value", [object(), math.nan, {1, 2}, b"x"], ids=repr)
def test_what_json_cannot_hold_is_not_written(value: object) -> None:
    with pytest.raises(MessageError, match="what JSON cannot"):
        dump({"x": value})


def test_what_is_nested_in_itself_is_not_written() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(MessageError, match="what JSON cannot"):
        dump({"x": endless})


@pytest.mark.parametrize(
    "text, words",
    [
        pytest.param("", "no JSON", id="nothing"),
        pytest.param(b"\xff\xfe", "no JSON", id="no text"),
        pytest.param("{", "no JSON", id="cut short"),
        pytest.param("[" * 100_000, "no JSON", id="nested too deep"),
        pytest.param('{"schema":1,"x":NaN}', "no JSON: NaN is not allowed", id="NaN"),
        pytest.param('{"schema":1,"x":1' + "0" * 5000 + "}", "no JSON", id="an endless number"),
        pytest.param("[]", "expected an object", id="a list"),
        pytest.param("{}", "schema=None", id="no schema"),
        pytest.param('{"schema":true}', "schema=True", id="a flag as schema"),
        pytest.param('{"schema":0}', "schema=0", id="schema 0"),
        pytest.param('{"schema":2}', "schema 2, this trainsignal reads schema 1.*older", id="a newer schema"),
    ],
)
def test_what_is_no_message_is_refused(text: str | bytes, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        load(text)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"run_id": "absent"}, "no field 'run_id': expected a short text"),
        ({"run_id": ""}, "run_id='': expected a short text"),
        ({"run_id": "a" * 201}, "run_id='a+.*: expected a short text"),
        ({"process": "absent"}, "no field 'process': expected a short text"),
        ({"number": -1}, "number=-1: expected 0 or a positive integer"),
        ({"number": True}, "number=True"),
        ({"number": 2**62}, "number=4611686018427387904"),
        ({"signal": 5}, "signal=5"),
        ({"signal": "epoch_begin"}, "'durable'|'epoch'"),
        ({"signal": "train_end"}, "no field 'durable'"),
        ({"signal": "train_end", "durable": 1.0}, "durable=1.0"),
        ({"signal": "mine"}, "no field 'payload': expected an object"),
        ({"signal": "mine", "payload": []}, r"payload=\[\]"),
        ({"first": "0"}, "first='0'"),
        ({"rows": []}, r"rows=\[\]: expected an object"),
        ({"rows": {"x": 5}}, "rows of 'x': expected an object"),
        ({"rows": {"x": {"first": 0, "values": 5}}}, "values=5: expected a list"),
        ({"rows": {"x": {"values": []}}}, "no field 'first'"),
    ],
    ids=str,
)
def test_message_that_is_wrong_in_a_field_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(MessageError, match=words):
        decode(text_with(**changes))


@pytest.mark.parametrize(
    "field, wrong", [("epochs", "x"), ("resumed", 0), ("callbacks", {}), ("model", None)]
)
def test_begin_of_training_is_checked(field: str, wrong: object) -> None:
    text = json.loads(encode(message("train_begin")))
    with pytest.raises(MessageError, match=f"{field}="):
        decode(json.dumps({**text, field: wrong}))


@pytest.mark.parametrize(
    "value, read",
    [
        (np.int64(2**40), 2**40), (np.uint8(3), 3), (np.bool_(True), True), (np.float32(0.1), 0.1),
        (np.float16(0.5), 0.5), (np.float64(0.1), 0.1), (np.float32("nan"), "nan"), (np.array(4), 4),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_number_of_numpy_is_written_as_a_plain_one(value: object, read: object) -> None:
    found = json.loads(dump({"x": value}))["x"]
    assert found == read and type(found) is type(read)


NESTED = [f"{'[' * depth}{']' * depth}" for depth in range(50, 20_000, 150)]


@pytest.mark.parametrize(
    "name, field",
    [
        ("payload", '{"x": %s}'),
        ("rows", '{"x": {"first": 0, "values": %s}}'),
        ("epoch", "%s"),
        ("signal", "%s"),
    ],
)
def test_message_that_is_nested_too_deep_is_refused(name: str, field: str) -> None:
    """Python gives up at some depth, which depends on its version and on who calls."""
    fields = json.loads(encode(message("mine" if name == "payload" else MINIBATCHES)))
    refused = 0
    for nested in NESTED:
        text = json.dumps({**fields, name: "?"}).replace('"?"', field % nested)
        try:
            decode(text)
        except MessageError:
            refused += 1
    assert refused


def test_schema_that_is_nested_too_deep_is_refused() -> None:
    for nested in NESTED:
        with pytest.raises(MessageError):
            load(f'{{"schema": {nested}}}')
