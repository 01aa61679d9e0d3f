"""Asking a run on another machine to stop, and its answer."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Final

from trainsignal.errors import ConfigurationError, RelayError, RunStateError, did_you_mean
from trainsignal.relay import streams
from trainsignal.relay.broker import Addition, Broker
from trainsignal.relay.messages import LONGEST_NAME, MessageError
from trainsignal.relay.requests import RUNNING, Answer, RunEntry, StopCommand
from trainsignal.remote.run_names import in_words, run_names
from trainsignal.remote.signs import silence_s

ANSWER_S: Final = 10.0
"""Seconds to wait for an answer, unless told otherwise."""

_LOOK_S: Final = 0.5
_LONGEST_REASON: Final = 10_000


def request_remote_stop(
    url: str,
    run: str,
    reason: str,
    author: str = "user",
    timeout_s: float = ANSWER_S,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Ask a run to stop at its next minibatch or epoch, and return what it answers, in words.

    Args:
        url: of the broker.
        run: name of the run.
        reason: why it is to stop.
        author: who wants it.
        timeout_s: seconds to wait for the answer.
        clock: seconds, monotonic.

    Raises:
        ConfigurationError: `url` is no address, the author has no name, the time is none, or no run has
            that name.
        RunStateError: the run is over, or takes no such requests.
        RelayError: the broker is away, or the run does not answer in time.
    """
    if not timeout_s >= 0:
        raise ConfigurationError(f"timeout_s={timeout_s!r}: expected seconds to wait, 0 or more")
    if not author:
        raise ConfigurationError("author='': expected who wants the run to stop")
    broker = Broker(url)
    try:
        entry = _entry_of(broker, run)
        if entry.state != RUNNING:
            raise RunStateError(f"the run {run!r} is over: {entry.state}{_heirs_of(run, broker)}")
        if not entry.allow_remote_stop:
            raise RunStateError(
                f"the run {run!r} takes no requests to stop{_silence(entry, broker)}: start it with "
                "Relay(..., allow_remote_stop=True)"
            )
        silence = _silence(entry, broker)
        command = stop_command(entry, reason, author)
        broker.append([addition(run, command)])
        answer = _answer_to(command, broker, run, timeout_s, clock)
    finally:
        broker.close()
    if answer is None:
        raise RelayError(
            f"the run {run!r} has not answered within {timeout_s:g} s{silence}: its process may be gone or "
            "suspended, or be away from the broker. If it comes back, it may stop yet."
        )
    if not answer.accepted:
        raise RunStateError(f"the run {run!r} does not stop: {answer.text}")
    return answer.text


def stop_command(entry: RunEntry, reason: str, author: str) -> StopCommand:
    """Return a command that no other equals, for this process of this run alone."""
    return StopCommand(
        uuid.uuid4().hex, reason[:_LONGEST_REASON], author[:LONGEST_NAME], entry.run_id, entry.process
    )


def addition(run: str, command: StopCommand) -> Addition:
    """Return what brings a command to a run."""
    return Addition(streams.commands(run), command.encode(), streams.MOST_REQUESTS)


def _entry_of(broker: Broker, run: str) -> RunEntry:
    """Return how a run is listed.

    Raises:
        ConfigurationError: it is not.
        RelayError: what is listed is no run, or one of a newer trainsignal.
    """
    text = broker.field(streams.RUNS, run)
    if text is None:
        names = run_names(broker.fields(streams.RUNS))
        known = f" There are: {in_words(names)}." if names else " There is none."
        raise ConfigurationError(f"no run is named {run!r}.{did_you_mean(run, names) or known}")
    try:
        return RunEntry.decode(text)
    except MessageError as error:
        raise RelayError(f"what is listed as the run {run!r} is none: {error}") from error


def _silence(entry: RunEntry, broker: Broker) -> str:
    """Return, in words, for how long a run that is listed as running has been silent; "" where it is not."""
    silent_s = silence_s(entry, broker.now_ms())
    return "" if silent_s is None else f", and has given no sign of life for {silent_s:.0f} s"


def _heirs_of(run: str, broker: Broker) -> str:
    """Return, in words, which other runs were given the name of a run, and still go on."""
    base = streams.base_name(run)
    names = run_names(
        name
        for name, text in broker.fields(streams.RUNS).items()
        if streams.base_name(name) == base and _is_running(text)
    )
    return f". Of that name, there still goes on: {in_words(names)}" if names else ""


def _is_running(text: bytes) -> bool:
    try:
        return RunEntry.decode(text).state == RUNNING
    except MessageError:  # others may write into the list too
        return False


def _answer_to(
    command: StopCommand, broker: Broker, run: str, timeout_s: float, clock: Callable[[], float]
) -> Answer | None:
    """Return the answer to a command; None where it does not come in time."""
    stream, place, until = streams.answers(run), "0", clock() + timeout_s
    while True:
        for entry in broker.read({stream: place}, block_s=_LOOK_S).get(stream, []):
            place = entry.id
            try:
                answer = Answer.decode(entry.text)
            except MessageError:  # others may write there too
                continue
            if answer.id == command.id:
                return answer
        if clock() >= until:
            return None
