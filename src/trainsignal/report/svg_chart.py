"""A small line chart as SVG that stands in HTML: no script, the reader's own text colour.

Knows nothing of archives and of notebooks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np

from trainsignal.report.colours import colour_of
from trainsignal.report.timeline import Float64s
from trainsignal.report.wording import amount

_WIDTH, _HEIGHT = 340, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 332, 8, 128
"""Edges of the part in which curves are."""

_FINE: Final = 4
"""Coordinates of curves are whole numbers of so many parts of a pixel, which keeps them short."""

_WIDEST_LABEL: Final = 9
"""Characters."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One curve.

    Attributes:
        xs: (points,) ascending.
        ys: (points,) finite.
        told: what a pointer that rests on it is told.
        best: index of its best point; None: none is marked.
    """

    xs: Float64s
    ys: Float64s
    told: str
    best: int | None = None


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values lie between two edges: `low` at `begin`, `high` at `end`."""

    low: float
    high: float
    begin: float
    end: float

    def places(self, values: Float64s) -> Float64s:
        """Return coordinates, in pixels. Halves are compared, for a difference could overflow."""
        height = self.high / 2 - self.low / 2
        parts = (values / 2 - self.low / 2) / height
        return self.begin + parts * (self.end - self.begin)


def svg_chart(
    curves: Sequence[Curve], *, title: str, x_name: str, unit: str | None, marks: Sequence[float] = ()
) -> str:
    """Return a chart as an `<svg>` element.

    Args:
        curves: with a point each at least.
        title: for who hears it instead of seeing it.
        x_name: what the x axis is.
        unit: of the y values; None: numbers without one.
        marks: x values at which a dashed line stands.
    """
    across = _scale([one.xs for one in curves], _LEFT, _RIGHT, from_zero=True)
    up = _scale([one.ys for one in curves], _BOTTOM, _TOP, from_zero=False)
    parts = [*_rows(up, unit), *_columns(across, x_name), *_marks(across, marks)]
    parts += [_curve(one, colour_of(index), across, up) for index, one in enumerate(curves)]
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" width="100%" '
        f'font-size="10" fill="currentColor" style="display:block">{"".join(parts)}</svg>'
    )


def _scale(values: Sequence[Float64s], begin: float, end: float, *, from_zero: bool) -> _Scale:
    """Return a scale on which all values lie, and which has some height."""
    low = min(float(one.min()) for one in values)
    high = max(float(one.max()) for one in values)
    if from_zero:
        low = min(low, 0.0)
    if high / 2 - low / 2 < _SMALLEST:
        room = abs(low) / 10 if abs(low) > _SMALLEST else 1.0
        low, high = max(low - room, -_LARGEST), min(high + room, _LARGEST)
    return _Scale(low, high, begin, end)


_SMALLEST: Final = 1e-300
"""Below it, digits get lost; so the numbers are drawn as one."""

_LARGEST: Final = float(np.finfo(np.float64).max)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round numbers from `low` to `high`, evenly apart: at most so many, by 1, 2, 5, 10, ..."""
    rough = (high / 2 - low / 2) / most * 2
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * times for times in (1, 2, 5, 10) if size * times >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [index * step for index in range(first, last + 1)]


def _rows(up: _Scale, unit: str | None) -> Iterator[str]:
    """Yield the horizontal lines with their numbers."""
    size = _unit_size(max(abs(up.low), abs(up.high))) if unit == "bytes" else 1
    for value in (size * one for one in _shown(up.low / size, up.high / size, 5)):
        y = f"{up.places(np.array(value)):.1f}"
        yield f'<path d="M{_LEFT} {y}H{_RIGHT}" stroke="currentColor" stroke-opacity=".16"/>'
        told = amount(value, unit)
        label = told if len(told) <= _WIDEST_LABEL else f"{value:.3g}"
        yield _text(_LEFT - 5, f"{float(y) + 3.5:.1f}", label, "end")


def _columns(across: _Scale, name: str) -> Iterator[str]:
    """Yield the numbers below, and what they are."""
    for value in _shown(across.low, across.high, 5):
        x = float(across.places(np.array(value)))
        if x < _RIGHT - 45:
            yield _text(f"{x:.1f}", _BOTTOM + 14, f"{value:.6g}", "middle")
    yield _text(_RIGHT, _BOTTOM + 14, name, "end")


def _unit_size(number_of_bytes: float) -> float:
    """Return the bytes of the largest unit in which a number of bytes is 1 or more: 1024.0 for 2,000."""
    return float(1024.0 ** (math.log2(max(number_of_bytes, 1)) // 10))


def _shown(low: float, high: float, most: int) -> list[float]:
    """Return the ticks of a scale; its ends, where it is so short that digits do not tell numbers apart."""
    is_wide = high / 2 - low / 2 > max(abs(low), abs(high)) * 1e-9 and math.isfinite(high - low)
    return ticks(low, high, most) if is_wide else [low, high]


def _marks(across: _Scale, marks: Sequence[float]) -> Iterator[str]:
    for mark in marks:
        x = f"{across.places(np.array(mark)):.1f}"
        dashes = 'stroke="currentColor" stroke-opacity=".5" stroke-dasharray="3 3"'
        yield f'<path d="M{x} {_TOP}V{_BOTTOM}" {dashes}/>'


def _curve(curve: Curve, colour: str, across: _Scale, up: _Scale) -> str:
    """Return a curve, with a dot at its best point, or at its only one."""
    xs, ys = across.places(curve.xs), up.places(curve.ys)
    points = " ".join(f"{x:.0f},{y:.0f}" for x, y in zip(xs * _FINE, ys * _FINE, strict=True))
    line = (
        f'<polyline points="{points}" transform="scale({1 / _FINE})" fill="none" stroke="{colour}" '
        'stroke-width="1.5" stroke-linejoin="round" vector-effect="non-scaling-stroke"/>'
    )
    dotted = 0 if xs.size == 1 else curve.best
    dot = (
        ""
        if dotted is None
        else f'<circle cx="{xs[dotted]:.1f}" cy="{ys[dotted]:.1f}" r="3" fill="{colour}"/>'
    )
    return f"<g><title>{escape(curve.told)}</title>{line}{dot}</g>"


def _text(x: float | str, y: float | str, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill-opacity=".7">{escape(text)}</text>'
