"""What the messages of a run say, as plain values that have been checked: they come from another machine.

Publishes nothing. What cannot be is refused before anything is done with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

from trainsignal.relay.messages import Message, MessageError
from trainsignal.remote.announced import MOST_ROWS, Catalogue, Rows, per_epoch, per_minibatch
from trainsignal.report.attributes import is_moment
from trainsignal.run_link import ExitReason
from trainsignal.signals import CATALOGUE

_MOST_MINIBATCHES: Final = 10**6
"""Of one block."""

_LONGEST_TEXT: Final = 10_000
"""What is longer is cut: so long a reason says nothing more."""

_TAKEN: Final = frozenset(spec.name for spec in CATALOGUE)


@dataclass(frozen=True, slots=True)
class TrainBegin:
    """A process begins or resumes the run; None: nobody knows how many there will be."""

    epochs: int | None
    minibatches_per_epoch: int | None
    model: str
    callbacks: tuple[str, ...]
    is_resumed: bool
    epochs_complete: int
    minibatches_complete: int


@dataclass(frozen=True, slots=True)
class EpochBegin:
    """The 0-based `epoch` begins."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Minibatches:
    """The minibatches `first` to `last` of an epoch, both included, have been done."""

    epoch: int
    first: int
    last: int
    rows: list[Rows]
    thinned: int


@dataclass(frozen=True, slots=True)
class EpochEnd:
    """The `epoch` has ended, after so many minibatches."""

    epoch: int
    minibatches: int
    rows: list[Rows]


@dataclass(frozen=True, slots=True)
class CheckpointSaved:
    """A checkpoint is on the disk of the run's machine."""

    path: str
    epoch: int
    minibatch: int


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody voted to stop the run."""

    reason: str
    author: str


@dataclass(frozen=True, slots=True)
class TrainEnd:
    """The last epoch has ended."""


@dataclass(frozen=True, slots=True)
class RunClosed:
    """Why the run ended, who wanted it or whose error it was, and when; None: nobody said.

    `ended_at` is in seconds since 1970-01-01 UTC, by the clock of the run's host.
    """

    reason: ExitReason
    detail: str | None
    author: str | None
    ended_at: float | None
    rows: list[Rows]


@dataclass(frozen=True, slots=True)
class OwnSignal:
    """A signal that the run's user declared, with its payload."""

    name: str
    payload: dict[str, Any]


Content: TypeAlias = (
    TrainBegin | EpochBegin | Minibatches | EpochEnd | CheckpointSaved | StopRequested | TrainEnd | RunClosed
    | OwnSignal
)  # fmt: skip


def content_of(message: Message, catalogue: Catalogue) -> Content:
    """Return what a message says.

    Args:
        message: of which `relay.messages.decode` has checked the kinds of its fields.
        catalogue: the run's series; what the message announces is added.

    Raises:
        MessageError: something cannot be.
    """
    told = message.content
    if told.get("series"):
        catalogue.announce(told["series"])
    match message.signal:
        case "train_begin":
            return _train_begin(told)
        case "epoch_begin":
            return EpochBegin(_index(told, "epoch"))
        case "minibatches":
            return _minibatches(told, catalogue)
        case "epoch_end":
            epoch = _index(told, "epoch")
            return EpochEnd(
                epoch, _index(told, "minibatches"), catalogue.rows(told["rows"], per_epoch(epoch))
            )
        case "checkpoint_saved":
            return CheckpointSaved(_text(told, "path"), told["epoch"], told["minibatch"])
        case "stop_requested":
            return StopRequested(_text(told, "reason"), _text(told, "author"))
        case "train_end":
            return TrainEnd()
        case "run_closed":
            return _run_closed(told, catalogue)
        case _ if message.signal not in _TAKEN:
            return OwnSignal(message.signal, dict(told["payload"]))
        case _:
            raise MessageError(f"{message.signal!r} is no signal of the user's own")


def storable(text: str) -> str:
    """Return a text with what no file can hold (zeros, lone surrogates) written as escapes."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


def _train_begin(told: Mapping[str, Any]) -> TrainBegin:
    return TrainBegin(
        epochs=told["epochs"],
        minibatches_per_epoch=told["minibatches_per_epoch"],
        model=_text(told, "model"),
        callbacks=tuple(storable(str(one)[:_LONGEST_TEXT]) for one in told["callbacks"]),
        is_resumed=told["resumed"],
        epochs_complete=_index(told, "epochs_complete"),
        minibatches_complete=_index(told, "minibatches_complete"),
    )


def _minibatches(told: Mapping[str, Any], catalogue: Catalogue) -> Minibatches:
    first, last = told["first"], told["last"]
    if not first <= last < min(first + _MOST_MINIBATCHES, MOST_ROWS):
        raise MessageError(f"minibatches {first} to {last}: no such block can be")
    rows = catalogue.rows(told["rows"], per_minibatch)
    return Minibatches(_index(told, "epoch"), first, last, rows, told["thinned"])


def _run_closed(told: Mapping[str, Any], catalogue: Catalogue) -> RunClosed:
    reason = told["reason"]
    if reason not in get_args(ExitReason):
        raise MessageError(f"reason={reason!r:.100}: expected one of {', '.join(get_args(ExitReason))}")
    detail, author = (None if told[name] is None else _text(told, name) for name in ("detail", "author"))
    told_at = told.get("ended_at")
    ended_at = told_at if is_moment(told_at) else None
    return RunClosed(reason, detail, author, ended_at, catalogue.rows(told["rows"], per_minibatch))


def _text(told: Mapping[str, Any], name: str) -> str:
    return storable(told[name][:_LONGEST_TEXT])


def _index(told: Mapping[str, Any], name: str) -> int:
    """Return an index or a count that a run can come to.

    Raises:
        MessageError: it is larger.
    """
    if told[name] > MOST_ROWS:
        raise MessageError(f"{name}={told[name]}: no run can come so far")
    return int(told[name])
