"""What is left of a durable message that cannot be written: its signal and its plain fields. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, cast

import numpy as np

from trainsignal.relay.messages import FIELDS, LONGEST_NAME, Kind, Message

_EMPTY: Final[tuple[Any, ...]] = (None, False, "", [], {})


def stub_of(message: Message) -> Message | None:
    """Return a durable message without what may be large or strange; None: it would tell nothing true."""
    kept = {
        name: _plain_or_empty(message.content.get(name), kind)
        for name, kind in FIELDS[message.signal].items()
    }
    fits = all(is_fit(kept[name]) for name, (_, is_fit) in FIELDS[message.signal].items())
    return replace(message, content=kept) if fits else None


def _plain_or_empty(value: Any, kind: Kind) -> Any:
    """Return a field that surely can be written: itself, else what is empty, else None."""
    plain: Any = cast("Any", value).item() if isinstance(value, (np.integer, np.bool_)) else value
    is_small = type(plain) in (bool, int) or (isinstance(plain, str) and len(plain) <= LONGEST_NAME)
    _, is_fit = kind
    if is_small and is_fit(plain):
        return plain
    return next((empty for empty in _EMPTY if is_fit(empty)), None)
