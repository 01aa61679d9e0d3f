from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from trainsignal.report.colours import COLOURS
from trainsignal.report.svg_chart import Curve, svg_chart, ticks

LARGEST = float(np.finfo(np.float64).max)


def curve(ys: list[float], told: str = "curve", best: int | None = None) -> Curve:
    return Curve(np.arange(1, len(ys) + 1, dtype=np.float64), np.array(ys), told, best)


def chart(*curves: Curve, unit: str | None = None, **options: Any) -> ElementTree.Element:
    text = svg_chart(curves, title="Cost", x_name="epochs", unit=unit, **options)
    return ElementTree.fromstring(text)


def points(svg: ElementTree.Element, index: int = 0) -> list[list[float]]:
    """Return the (x, y) of a curve's points, in pixels."""
    line = list(svg.iter("polyline"))[index]
    scale = float(re.fullmatch(r"scale\((.*)\)", line.attrib["transform"])[1])  # type: ignore[index]
    return [[scale * float(part) for part in point.split(",")] for point in line.attrib["points"].split()]


def texts(svg: ElementTree.Element) -> list[str]:
    return [one.text or "" for one in svg.iter("text")]


def test_points_lie_where_their_values_are() -> None:
    drawn = points(chart(curve([2.0, 0.0, 1.0, 2.0])))
    (first, second, third, last) = drawn
    assert first[1] == last[1] < third[1] < second[1]  # y grows downwards
    assert third[1] == pytest.approx((first[1] + second[1]) / 2, abs=0.25)
    assert np.diff([x for x, _ in drawn]) == pytest.approx([(last[0] - first[0]) / 3] * 3, abs=0.25)


def test_curves_share_their_scale_and_have_colours_of_their_own() -> None:
    svg = chart(curve([0.0, 4.0]), curve([2.0, 2.0]))
    high, low = points(svg)[1][1], points(svg)[0][1]
    assert points(svg, 1)[0][1] == pytest.approx((high + low) / 2, abs=0.25)
    assert [line.attrib["stroke"] for line in svg.iter("polyline")] == list(COLOURS[:2])


def test_pointer_is_told_of_a_curve() -> None:
    assert [one.text for one in chart(curve([1.0], "a <b> & 'c'")).iter("title")] == ["a <b> & 'c'"]


def test_best_point_has_a_dot() -> None:
    svg = chart(curve([2.0, 0.0, 1.0], best=1))
    (dot,) = svg.iter("circle")
    x, y = points(svg)[1]
    assert (float(dot.attrib["cx"]), float(dot.attrib["cy"])) == pytest.approx((x, y), abs=0.25)


def test_only_point_has_a_dot_since_no_line_shows_it() -> None:
    assert len(list(chart(curve([3.0])).iter("circle"))) == 1


def test_marks_stand_where_their_values_are() -> None:
    svg = chart(curve([1.0, 2.0, 3.0]), marks=[2.0])
    (dashed,) = (one for one in svg.iter("path") if "stroke-dasharray" in one.attrib)
    x = float(re.match(r"M([0-9.]+) ", dashed.attrib["d"])[1])  # type: ignore[index]
    assert x == pytest.approx(points(svg)[1][0], abs=0.25)


@pytest.mark.parametrize("low, high, expected", [
    (0.0, 10.0, [0, 2, 4, 6, 8, 10]), (0.11, 0.69, [0.2, 0.4, 0.6]), (-3.0, 3.0, [-2, 0, 2]),
    (1e-9, 9e-9, [2e-9, 4e-9, 6e-9, 8e-9]), (-LARGEST, LARGEST, [-1e308, 0, 1e308]),
], ids=str)  # fmt: skip
def test_ticks_are_round_numbers(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high, 5) == pytest.approx(expected)


@pytest.mark.parametrize("ys, unit, labels", [
    ([0.0, 4.0], None, ["0", "1", "2", "3", "4"]),
    ([0.0, 4.0 * 2**30], "bytes", ["0 bytes", "1 GiB", "2 GiB", "3 GiB", "4 GiB"]),
    ([0.0, 1000.0], "bytes", ["0 bytes", "200 bytes", "400 bytes", "600 bytes", "800 bytes", "1e+03"]),
    ([0.0, 80.0], "percent", ["0 %", "20 %", "40 %", "60 %", "80 %"]),
], ids=["number", "GiB", "bytes", "percent"])  # fmt: skip
def test_numbers_on_the_y_axis_have_their_unit(ys: list[float], unit: str | None, labels: list[str]) -> None:
    assert texts(chart(curve(ys), unit=unit))[: len(labels)] == labels


@pytest.mark.parametrize("ys", [
    [5.0, 5.0], [0.0, 0.0], [-LARGEST, LARGEST], [LARGEST, LARGEST],
    [5e-324, 0.0], [1e-308, 2e-308], [1.0, 1.0 + 2**-52],
], ids=str)  # fmt: skip
def test_every_range_of_values_can_be_drawn(ys: list[float]) -> None:
    svg = chart(curve(ys))
    assert np.isfinite(points(svg)).all()
    assert 2 <= len(list(svg.iter("path"))) <= 7


def test_what_the_x_axis_is_stands_at_its_end() -> None:
    assert texts(chart(curve([1.0, 2.0, 3.0])))[-1] == "epochs"


def test_title_is_told_to_who_hears_it() -> None:
    svg = svg_chart([curve([1.0])], title='"<b>', x_name="epochs", unit=None)
    assert ElementTree.fromstring(svg).attrib["aria-label"] == '"<b>'
