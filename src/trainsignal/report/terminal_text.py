"""Text of strangers in a terminal: nothing in it steers the terminal, and its width is known.

Knows nothing of runs; prints nothing.
"""

from __future__ import annotations

import itertools
import unicodedata

_CUT = "..."


def literal(text: str, encoding: str) -> str:
    r"""Return `text` with escapes for what would steer a terminal, or what its encoding lacks.

    Control characters, escape sequences, newlines, characters that turn the direction of writing and lone
    surrogates become "\x1b", "\n", "\u202e".

    Args:
        text: of anybody.
        encoding: of the terminal, as Python names it.
    """
    return "".join(one if one.isprintable() and can_show(one, encoding) else _escaped(one) for one in text)


def can_show(text: str, encoding: str) -> bool:
    """Return whether an encoding has all characters of `text`."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def columns(text: str) -> int:
    """Return how many columns of a terminal `text` takes; East Asian wide characters and emoji take two."""
    return sum(_columns_of(one) for one in text)


def cut(text: str, width: int) -> str:
    """Return `text` in at most `width` columns: of one that is wider the middle is left out.

    Names of series differ at their ends: "metrics/per_label/Precision/cat" becomes "metrics/...on/cat".

    Args:
        text: printable.
        width: columns, at least 5.
    """
    if columns(text) <= width:
        return text
    left = width - len(_CUT)
    begin = _begin(text, left - left // 2)
    end = _begin(text[::-1], left // 2)[::-1]
    return f"{begin}{_CUT}{end}"


def padded(text: str, width: int) -> str:
    """Return `text` with spaces up to `width` columns."""
    return text + " " * (width - columns(text))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):  # drawn over the character before
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _begin(text: str, width: int) -> str:
    """Return the longest beginning of `text` that takes at most `width` columns."""
    ends = itertools.accumulate(map(_columns_of, text))
    return text[: sum(end <= width for end in ends)]
