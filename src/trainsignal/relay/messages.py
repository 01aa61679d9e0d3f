"""What travels between a run and its listeners: messages as JSON text, checked when they are read.

Pure: knows no broker and no run. What was read comes from another machine and is trusted in nothing; it is
never unpickled.
"""

from __future__ import annotations

import json
import reprlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from trainsignal.errors import TrainSignalError

SCHEMA: Final = 1
"""Version of the format. What is added to it later is passed over by those that do not know it."""

LARGEST_BYTES: Final = 2**20
"""Of the JSON of one message."""

MINIBATCHES: Final = "minibatches"
"""The signal of a block of minibatches; no run has one of this name."""

LONGEST_NAME: Final = 200
"""Characters of an id, or of the name of a signal."""


class MessageError(TrainSignalError, ValueError):
    """Something that is no message, or one of a newer trainsignal."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a run says of one moment.

    Attributes:
        run_id: tells the run from all others; a resumed run keeps it.
        number: place in the order of publication, from 1; what is dropped leaves a gap.
        signal: `MINIBATCHES`, or the name of the signal that was published.
        content: the other fields, plain JSON values; when it is written, also NumPy arrays of real numbers.
        durable: count among the messages that are never dropped, from 1, without gaps; None: it may be.
        process: tells the process that says it from all others of the run, whose numbers may begin at 1 too.
    """

    run_id: str
    number: int
    signal: str
    content: Mapping[str, Any]
    durable: int | None = None
    process: str = "-"


LARGEST_NUMBER: Final = sys.float_info.max
"""A larger integer can be made no float."""

Kind: TypeAlias = tuple[str, Callable[[Any], bool]]
"""What a field holds, in words, and whether a value is that."""


def optional(kind: Kind) -> Kind:
    """Return the kind of a field that may also be null."""
    words, is_fit = kind
    return f"{words} or null", lambda value: value is None or is_fit(value)


BOOL: Final[Kind] = "true or false", lambda value: isinstance(value, bool)
TEXT: Final[Kind] = "text", lambda value: isinstance(value, str)
NAME: Final[Kind] = "a short text", lambda value: isinstance(value, str) and 0 < len(value) <= LONGEST_NAME
COUNT: Final[Kind] = "0 or a positive integer", lambda value: type(value) is int and 0 <= value < 2**62
NUMBER: Final[Kind] = "a number", lambda value: type(value) in (int, float) and abs(value) <= LARGEST_NUMBER
OBJECT: Final[Kind] = "an object", lambda value: isinstance(value, dict)
LIST: Final[Kind] = "a list", lambda value: isinstance(value, list)

_HEAD: Final[Mapping[str, Kind]] = {"run_id": NAME, "process": NAME, "number": COUNT, "signal": NAME}
FIELDS: Final[Mapping[str, Mapping[str, Kind]]] = {
    "train_begin": {
        "epochs": optional(COUNT), "minibatches_per_epoch": optional(COUNT), "model": TEXT, "callbacks": LIST,
        "resumed": BOOL, "epochs_complete": COUNT, "minibatches_complete": COUNT, "series": LIST,
    },
    "epoch_begin": {"epoch": COUNT},
    "epoch_end": {"epoch": COUNT, "minibatches": COUNT, "rows": OBJECT},
    "checkpoint_saved": {"path": TEXT, "epoch": COUNT, "minibatch": COUNT},
    "stop_requested": {"reason": TEXT, "author": TEXT},
    "train_end": {},
    "run_closed": {"reason": TEXT, "detail": optional(TEXT), "author": optional(TEXT), "rows": OBJECT},
    MINIBATCHES: {"epoch": COUNT, "first": COUNT, "last": COUNT, "rows": OBJECT, "thinned": COUNT},
}  # fmt: skip
"""The content of each signal: the name and the kind of its fields."""

_CUSTOM: Final[Mapping[str, Kind]] = {"payload": OBJECT}

DURABLE_SIGNALS: Final = frozenset(FIELDS) - {MINIBATCHES}
"""Those that are never dropped."""


_OF_NUMPY: Final[tuple[type, ...]] = (np.ndarray, np.generic)


def encode(message: Message) -> str:
    """Return a message as JSON text.

    Raises:
        MessageError: it is larger than `LARGEST_BYTES`, or holds what JSON cannot.
    """
    head: dict[str, object] = {
        "run_id": message.run_id, "process": message.process, "number": message.number,
        "signal": message.signal,
    }  # fmt: skip
    if message.durable is not None:
        head["durable"] = message.durable
    return dump({**head, **message.content})


def decode(text: str | bytes) -> Message:
    """Return the message that a text holds; numbers that are not finite are floats again.

    Raises:
        MessageError: it holds none, or one that is too large, or of another schema, or wrong in a field.
    """
    fields = load(text)
    check(fields, _HEAD)
    signal, durable = fields["signal"], fields.get("durable")
    check(fields, FIELDS.get(signal, _CUSTOM))
    check(fields, {"durable": COUNT} if signal in DURABLE_SIGNALS else {})
    try:
        if "rows" in fields:
            fields["rows"] = {key: _decoded_span(key, span) for key, span in fields["rows"].items()}
        if "payload" in fields:
            fields["payload"] = _finite_or_not(fields["payload"])
    except RecursionError as error:
        raise MessageError(f"{signal!r}: nested too deep") from error
    content = {name: value for name, value in fields.items() if name not in ("durable", *_HEAD)}
    return Message(fields["run_id"], fields["number"], signal, content, durable, fields["process"])


def dump(fields: Mapping[str, Any]) -> str:
    """Return an object as JSON text, with the version of the format.

    Raises:
        MessageError: it is too large, or holds what JSON cannot.
    """
    try:
        text = json.dumps(
            {"schema": SCHEMA, **fields}, allow_nan=False, ensure_ascii=True, separators=(",", ":"),
            default=_as_plain,
        )  # fmt: skip
    except (TypeError, ValueError, RecursionError) as error:
        raise MessageError(f"a message holds what JSON cannot: {error}") from error
    if len(text) > LARGEST_BYTES:  # in ASCII, characters are bytes
        raise MessageError(f"a message of {len(text):,} bytes is larger than {LARGEST_BYTES:,}")
    return text


def load(text: str | bytes) -> dict[str, Any]:
    """Return the object that a JSON text holds.

    Raises:
        MessageError: it holds none, or one that is too large, or of another schema.
    """
    if len(text) > LARGEST_BYTES:
        raise MessageError(f"a message of {len(text):,} bytes is larger than {LARGEST_BYTES:,}")
    try:
        fields: object = json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise MessageError("no message: expected an object")
    found = cast("dict[str, Any]", fields)
    schema = found.pop("schema", None)
    if type(schema) is not int or schema < 1:
        raise MessageError(f"no message: schema={reprlib.repr(schema)}")
    if schema > SCHEMA:
        raise MessageError(
            f"the message has schema {schema}, this trainsignal reads schema {SCHEMA}: the reader is older "
            "than the writer. Install the newer trainsignal here."
        )
    return found


def check(fields: Mapping[str, Any], kinds: Mapping[str, Kind]) -> None:
    """Refuse fields that are missing or hold something else; others may be there.

    Raises:
        MessageError: the text names the field.
    """
    for name, (words, is_fit) in kinds.items():
        if name not in fields:
            raise MessageError(f"no field {name!r}: expected {words}")
        if not is_fit(fields[name]):
            raise MessageError(f"{name}={reprlib.repr(fields[name])}: expected {words}")


def plain_numbers(array: npt.NDArray[Any]) -> Any:
    """Return real numbers as nested lists, or one: float32 as the shortest number that gives it again.

    Numbers that are not finite become "nan", "inf" and "-inf".
    """
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        array = array.astype(np.str_).astype(np.float64)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        texts = array.astype(object)
        texts[~np.isfinite(array)] = array[~np.isfinite(array)].astype(np.str_)
        array = texts
    return array.tolist()


def _as_plain(value: object) -> Any:
    """Return an array, or a number of NumPy's, as plain values."""
    numbers: npt.NDArray[Any] = np.asarray(cast("Any", value))
    if not isinstance(value, _OF_NUMPY) or numbers.dtype.kind not in "biuf":
        raise TypeError(f"{cast('Any', value).__class__.__name__} is no plain value")
    return plain_numbers(numbers)


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not allowed")


def _decoded_span(key: str, span: object) -> dict[str, Any]:
    """Return rows of one series: {"first": index of the first, "values": list of numbers or lists}."""
    if not isinstance(span, dict):
        raise MessageError(f"rows of {key!r:.100}: expected an object")
    fields = cast("dict[str, Any]", span)
    check(fields, {"first": COUNT, "values": LIST})
    return {"first": fields["first"], "values": _finite_or_not(fields["values"])}


def _finite_or_not(value: Any) -> Any:
    """Return a JSON value with the texts that stand for numbers that are not finite as these."""
    kind = cast("Any", type(value))
    if kind is str:
        return float(value) if value in ("nan", "inf", "-inf") else value
    if kind is list:
        return [_finite_or_not(item) for item in value]
    if kind is dict:
        return {key: _finite_or_not(item) for key, item in value.items()}
    return value
