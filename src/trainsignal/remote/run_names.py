"""The names of the runs that a broker lists, as they are told to a user. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from trainsignal.relay import streams

_MOST_TOLD: Final = 20


def run_names(listed: Iterable[str]) -> list[str]:
    """Return which of the listed names a run can have, sorted: "a (2)" before "a (10)"."""
    return sorted(filter(streams.is_run_name, listed), key=_by_number)


def in_words(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = len(names) - _MOST_TOLD
    return ", ".join(names[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")


def _by_number(name: str) -> tuple[str, int]:
    base = streams.base_name(name)
    return base, int("0" + re.sub(r"\D", "", name[len(base) :]))
