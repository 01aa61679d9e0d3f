"""What all receivers of ours share: a name, an error policy, and what they have cost so far.

Knows neither blinker nor neon: `bus.Subscription` is one for handlers, `binding.HookReceiver` for callbacks.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias, get_args

from trainsignal.errors import CommunicatorError, ConfigurationError

OnError: TypeAlias = Literal["raise", "log", "disable"]
"""What an error leads to: it propagates; it is logged; it is logged and the receiver is disconnected."""

_logger = logging.getLogger(__name__)


class Receiver(ABC):
    """Something of ours that a signal calls.

    Attributes:
        name: how messages and the wiring call it.
        on_error: what happens when it raises an `Exception`.
        failures: how many times it has raised.
        disconnect: ends the connection; may be called twice.
        spent_s: seconds spent in it; where it is sampled, an estimate.
    """

    __slots__ = ("disconnect", "failures", "name", "on_error", "spent_s")

    def __init__(self, name: str, on_error: OnError, disconnect: Callable[[], None]) -> None:
        check_on_error(on_error)
        self.name = name
        self.on_error = on_error
        self.failures = 0
        self.spent_s = 0.0
        self.disconnect = disconnect

    @abstractmethod
    def __call__(self, sender: object, **payload: Any) -> object:
        """Receive one publication, in blinker's form."""

    def failed(self, error: Exception, where: str) -> None:
        """Treat an error as `on_error` says; re-raise it, with a note of its place, where that is "raise".

        So is what another rank's failure raises, whatever the policy: no receiver can do anything about it.
        """
        self.failures += 1
        if self.on_error == "raise" or isinstance(error, CommunicatorError):
            note_place(error, self.name, where)
            raise error
        consequence = "disabled" if self.on_error == "disable" else "kept (on_error='log')"
        _logger.error("%s failed at %s and was %s", self.name, where, consequence, exc_info=error)
        if self.on_error == "disable":
            self.disable()

    def disable(self) -> None:
        """Go on without this receiver."""
        self.disconnect()


def totals(receivers: Iterable[Receiver]) -> tuple[dict[str, float], dict[str, int]]:
    """Return the seconds spent and the failures by name; a callback has one receiver for each hook."""
    spent: dict[str, float] = {}
    failures: dict[str, int] = {}
    for receiver in receivers:
        spent[receiver.name] = spent.get(receiver.name, 0.0) + receiver.spent_s
        failures[receiver.name] = failures.get(receiver.name, 0) + receiver.failures
    return spent, failures


def check_on_error(value: object) -> None:
    """Refuse what is no error policy.

    Raises:
        ConfigurationError: neither "raise" nor "log" nor "disable".
    """
    if value not in get_args(OnError):
        raise ConfigurationError(f"on_error={value!r}: expected one of {', '.join(get_args(OnError))}")


def name_of(receiver: object) -> str:
    """Return how messages call a receiver that is not one of ours."""
    return str(getattr(receiver, "__qualname__", repr(receiver)))


def note_place(error: BaseException, name: str, where: str) -> None:
    """Add to `error` who raised it and where: `while EarlyStopCallback handled epoch_end, epoch 3`."""
    error.add_note(f"while {name} handled {where}")
    note_author(error, name)


def note_author(error: BaseException, name: str) -> None:
    """Remember who raised `error`, unless that is known already."""
    vars(error).setdefault(_AUTHOR, name)


def author_of(error: BaseException) -> str | None:
    """Return who raised `error`; None: the loop itself, as far as we know."""
    author: str | None = vars(error).get(_AUTHOR)
    return author


_AUTHOR = "trainsignal author"


def place(signal: str, payload: Mapping[str, Any]) -> str:
    """Return the position of a publication in words: "minibatch_end, epoch 3, minibatch 7"."""
    return ", ".join([signal, *(f"{key} {payload[key]}" for key in ("epoch", "minibatch") if key in payload)])


def deliver(
    receiver: Callable[..., Any],
    sender: object,
    signal: str,
    payload: Mapping[str, Any],
    clock: Callable[[], float],
) -> None:
    """Call one receiver, add its time by `clock` to its account, and a note to its error."""
    if isinstance(receiver, Receiver):
        began = clock()
        try:
            receiver(sender, **payload)
        finally:
            receiver.spent_s += clock() - began
        return
    try:
        receiver(sender, **payload)
    except Exception as error:
        note_place(error, name_of(receiver), place(signal, payload))
        raise
