"""The name of a run on the broker, and where its streams end: looked at after each connection anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from trainsignal.errors import RelayError
from trainsignal.relay.broker import Broker, WrongKeyError
from trainsignal.relay.messages import Message, MessageError, decode
from trainsignal.relay.requests import RUNNING, RunEntry
from trainsignal.relay.streams import RUNS, events, free_name, minibatches

MOST_NAMES: Final = 1000
"""So many runs may have the same name but for the number behind it."""

_LOOKED_AT: Final = 100
"""Entries at the end of a stream among which the last message is sought; others may have written into it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The run's place on the broker.

    Attributes:
        name: of the run.
        number: of the last message of the run in its streams; 0: none.
        durable: count of the last durable one; 0: none.
        obstacle: why the name that was tried first is not free, in words; None: the run has it.
    """

    name: str
    number: int
    durable: int
    obstacle: str | None = None


def claim_name(broker: Broker, wanted: str, entry: RunEntry, before: str | None = None) -> Claim:
    """List the run under the wanted name, or "name (2)" and so on where another run has it.

    A run that was listed before, as one that is resumed, keeps its name and goes on with its streams.

    Args:
        broker: where.
        wanted: the name to try first.
        entry: what the list says of the run.
        before: the name that this process had a while ago, which it keeps unless another run has it by now.

    Raises:
        RelayError: the broker cannot be reached, or no name is free.
    """
    first = None
    names = (free_name(wanted, number) for number in range(1, MOST_NAMES + 1))
    for name in names if before is None else (before, *names):
        found = _try_name(broker, name, entry)
        if isinstance(found, Claim):
            return replace(found, obstacle=first)
        first = first or found
    raise RelayError(f"{MOST_NAMES} runs at {broker.url} have the name {wanted!r}: choose another run_name")


def _try_name(broker: Broker, name: str, entry: RunEntry) -> Claim | str:
    """Return the run's place under a name, or why it cannot have that, in words."""
    try:
        last = _last(broker, events(name), lambda message: message.durable is not None)
        block = _last(broker, minibatches(name), lambda message: message.run_id == entry.run_id)
    except WrongKeyError as error:
        holder = _holder(broker, name)
        if holder is not None and holder.run_id == entry.run_id:
            broker.remove(RUNS, name)  # it goes on under another one
        return str(error)
    if last is not None and last.run_id != entry.run_id:  # also where the list has lost the other run
        return _taken(name, broker, _holder(broker, name))
    if not broker.put_new(RUNS, name, entry.encode()):
        holder = _holder(broker, name)
        if holder is None or holder.run_id != entry.run_id:
            return _taken(name, broker, holder)
        broker.put(RUNS, name, entry.encode())
    return Claim(
        name,
        max(0 if one is None else one.number for one in (last, block)),
        0 if last is None else last.durable or 0,
    )


def _taken(name: str, broker: Broker, holder: RunEntry | None) -> str:
    """Return in words that another run has a name, and whether that run is over."""
    is_over = "" if holder is None or holder.state == RUNNING else f", which is over ({holder.state}),"
    return f"another run at {broker.url}{is_over} has the name {name!r}"


def _holder(broker: Broker, name: str) -> RunEntry | None:
    """Return the run that a name belongs to, as it is listed; None where the list holds something else."""
    text = broker.field(RUNS, name)
    try:
        return None if text is None else RunEntry.decode(text)
    except MessageError:
        return None


def _last(broker: Broker, stream: str, is_meant: Callable[[Message], bool]) -> Message | None:
    """Return the last message that is meant near the end of a stream; None: there is none."""
    for entry in broker.newest(stream, _LOOKED_AT):
        try:
            message = decode(entry.text)
        except MessageError:  # it is not ours
            continue
        if is_meant(message):
            return message
    return None
