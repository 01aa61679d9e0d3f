"""What is asked of a run and answered by it, and how it introduces itself: records of JSON text. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final, Self

from trainsignal.relay.messages import BOOL, NAME, NUMBER, TEXT, MessageError, check, dump, load, optional

RUNNING: Final = "running"
"""The state of a run that has not ended; of one that has, its exit reason."""

_STOP: Final = "stop"


@dataclass(frozen=True, slots=True)
class StopCommand:
    """Somebody's wish, from afar, that a run stop.

    Attributes:
        id: tells it from all others; the answer has it too.
        reason: in words.
        author: who wishes it.
        run_id: of the run that is meant; later another one may have its name.
        process: of that run, that is meant; see `RunEntry`.
    """

    id: str
    reason: str
    author: str
    run_id: str
    process: str

    def encode(self) -> str:
        """Return it as JSON text."""
        return dump({"command": _STOP, **asdict(self)})

    @classmethod
    def decode(cls, text: str | bytes) -> Self:
        """Return what a text holds.

        Raises:
            MessageError: it holds no such command.
        """
        fields = load(text)
        kinds = {"id": NAME, "reason": TEXT, "author": NAME, "run_id": NAME, "process": NAME}
        check(fields, {"command": NAME, **kinds})
        if fields["command"] != _STOP:
            raise MessageError(f"command={fields['command']!r}: expected {_STOP!r}")
        return cls(**{name: fields[name] for name in kinds})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run says to a command.

    Attributes:
        id: of the command.
        accepted: whether it will be done.
        text: in words; why not, where it is refused.
    """

    id: str
    accepted: bool
    text: str

    def encode(self) -> str:
        """Return it as JSON text."""
        return dump(asdict(self))

    @classmethod
    def decode(cls, text: str | bytes) -> Self:
        """Return what a text holds.

        Raises:
            MessageError: it holds no answer.
        """
        fields = load(text)
        check(fields, {"id": NAME, "accepted": BOOL, "text": TEXT})
        return cls(fields["id"], fields["accepted"], fields["text"])


@dataclass(frozen=True, slots=True)
class RunEntry:
    """How a run is listed.

    Attributes:
        run_id: tells it from all others; a resumed run keeps it.
        host: name of the machine.
        script: file name of the program; None in an interactive session.
        version: of trainsignal.
        started_at: when this process began the run, in seconds since 1970-01-01 UTC.
        allow_remote_stop: whether it obeys a `StopCommand`.
        state: `RUNNING`, or the exit reason.
        seen_at: when it last gave a sign of life, about every 2 s, in seconds since 1970-01-01 UTC by the
            broker's clock.
        process: tells this process from the others of the run, where that is resumed.
    """

    run_id: str
    host: str
    script: str | None
    version: str
    started_at: float
    allow_remote_stop: bool
    state: str
    seen_at: float
    process: str = "-"

    def encode(self) -> str:
        """Return it as JSON text."""
        return dump(asdict(self))

    @classmethod
    def decode(cls, text: str | bytes) -> Self:
        """Return what a text holds.

        Raises:
            MessageError: it holds no such entry.
        """
        fields = load(text)
        kinds = {
            "run_id": NAME, "host": TEXT, "script": optional(TEXT), "version": TEXT, "started_at": NUMBER,
            "allow_remote_stop": BOOL, "state": NAME, "seen_at": NUMBER, "process": NAME,
        }  # fmt: skip
        check(fields, kinds)
        return cls(**{name: fields[name] for name in kinds})
