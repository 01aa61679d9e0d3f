"""Names on the broker: of the keys of a run, and which names a run can have. Pure."""

from __future__ import annotations

import re
from typing import Final

from trainsignal.errors import ConfigurationError

FIELD: Final = "m"
"""The one field of each entry of a stream: a message as JSON text."""

RUNS: Final = "trainsignal:runs"
"""Hash: the name of each run -> its `requests.RunEntry` as JSON text."""

LONGEST_NAME: Final = 100
"""Characters of the name of a run, as its user gives it."""

MOST_MINIBATCH_BLOCKS: Final = 2_000
"""Entries that the broker keeps of `minibatches`, about."""

MOST_REQUESTS: Final = 100
"""Entries that the broker keeps of `commands` and of `answers`, about."""

_NAME = re.compile(rf"[\w.\- ]{{1,{LONGEST_NAME}}}")
_NUMBER = re.compile(r" \(\d{1,6}\)$")
_NAME_ON_BROKER = re.compile(rf"[\w.\- ]{{1,{LONGEST_NAME}}}(?: \(\d{{1,6}}\))?")


def events(run: str) -> str:
    """Return the key of the stream of messages that are never dropped."""
    return f"trainsignal:run:{run}:events"


def minibatches(run: str) -> str:
    """Return the key of the stream of blocks and custom signals, which may be dropped."""
    return f"trainsignal:run:{run}:minibatches"


def commands(run: str) -> str:
    """Return the key of the stream of requests to the run."""
    return f"trainsignal:run:{run}:commands"


def answers(run: str) -> str:
    """Return the key of the stream of answers to the requests."""
    return f"trainsignal:run:{run}:answers"


def listener(name: str) -> str:
    """Return the key of the hash in which a named listener keeps how far it is.

    A field for each run: run_id -> JSON object of durable counts, one for each process of the run.
    """
    return f"trainsignal:listener:{name}"


def check_run_name(name: object) -> None:
    """Refuse what cannot name a run.

    Raises:
        ConfigurationError: it is no text, empty, too long, or holds other characters.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name != name.strip():
        raise ConfigurationError(
            f"run_name={name!r}: expected up to {LONGEST_NAME} letters, digits, '.', '_', '-' and spaces "
            "between them"
        )


def is_run_name(name: str) -> bool:
    """Return whether a run can have this name on the broker, where "name (2)" tells it from another."""
    return _NAME_ON_BROKER.fullmatch(name) is not None and name == name.strip()


def base_name(name: str) -> str:
    """Return the name that a run was given, of the one that it has on the broker: "name" of "name (2)"."""
    return _NUMBER.sub("", name)


def free_name(name: str, number: int) -> str:
    """Return the name to try as the 1-based `number`: "name", "name (2)", "name (3)"."""
    return name if number == 1 else f"{name} ({number})"
