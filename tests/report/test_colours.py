"""The colours of curves."""

from __future__ import annotations

import itertools

import pytest

from trainsignal.report.colours import COLOURS, DASHES, colour_of, dash_of, round_of


def luminance(colour: str) -> float:
    """Return the relative luminance of "#rrggbb".

    Source: Web Content Accessibility Guidelines 2.2, "relative luminance".
    """
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS)
def test_a_colour_is_readable_on_white_and_on_near_black(colour: str) -> None:
    own = luminance(colour)
    assert 1.05 / (own + 0.05) >= 3
    assert (own + 0.05) / (luminance("#14171a") + 0.05) >= 3


def test_dashes_look_different_wherever_they_begin() -> None:
    turned = [{dash[begin:] + dash[:begin] for begin in range(0, len(dash), 2)} for dash in DASHES]
    assert all(one.isdisjoint(other) for one, other in itertools.combinations(turned, 2))
    assert dash_of(len(DASHES)) == []


def test_after_the_last_colour_the_first_comes_again() -> None:
    assert colour_of(len(COLOURS)) == COLOURS[0]
    assert [round_of(number) for number in (0, len(COLOURS) - 1, len(COLOURS))] == [0, 0, 1]
