"""The colours of curves, the same on pages and in notebooks; and dashes, where there are more curves."""

from __future__ import annotations

from typing import Final

COLOURS: Final = (
    "#1e8acb", "#e8500a", "#0ba667", "#dd62a6", "#8f9020", "#14a0b0", "#8b5ddd", "#7f7f7f",
)  # fmt: skip
"""Readable on white as on near-black, and told apart by the colour-blind too.

Source: the hues of M. Okabe, K. Ito: Color Universal Design, 2008; moved until the nearest two were 11 CIELAB
units apart for people with protanopia and deuteranopia, as G. Machado et al., 2009, say what these see.
"""

DASHES: Final[tuple[tuple[int, ...], ...]] = ((), (6,), (2, 4), (2, 4, 6, 4), (12, 4))
"""Lengths of the parts of a line, drawn and left out in turn, in pixels; () is solid."""


def colour_of(number: int) -> str:
    """Return the colour of a curve by its 0-based number; after the last the first comes again."""
    return COLOURS[number % len(COLOURS)]


def dash_of(number: int) -> list[int]:
    """Return the dash of a curve by its 0-based number; after the last the first comes again."""
    return list(DASHES[number % len(DASHES)])


def round_of(number: int) -> int:
    """Return how often all colours were used before the curve of that 0-based number."""
    return number // len(COLOURS)
