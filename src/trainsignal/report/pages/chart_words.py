"""What stands around the curves of a chart, and how they look. Pure; draws nothing."""

from __future__ import annotations

from collections.abc import Iterable

from trainsignal.report.colours import round_of
from trainsignal.report.grouping import ChartGroup, Line
from trainsignal.report.pages.digests import Digest, Digests
from trainsignal.report.pages.toolkit import label
from trainsignal.report.wording import shortened

_LONGEST_TITLE = 60
_LONGEST_Y_LABEL = 28
_LONGEST_LABEL = 40


def headings(group: ChartGroup, digests: Digests) -> dict[str, str]:
    """Return what stands around a group's curves: "title", "y_label" and "note", which may be empty."""
    unit = "" if group.unit in (None, "bytes") else f" ({group.unit})"
    return {
        "title": label(shortened(group.title, _LONGEST_TITLE)),
        "y_label": label(shortened(group.y_label, _LONGEST_Y_LABEL) + unit),
        "note": not_drawn(digests[line.series] for line in group.lines),
    }


def tag(line: Line) -> dict[str, object]:
    """Return what the readout tells of a line."""
    return {
        "label": line.label,
        "unit": line.series.unit or "",
        "axis": line.series.axis,
        "holds": line.series.holds_from_begin,
    }


def legend_label(line: Line) -> str:
    """Return what the legend calls a line."""
    return label(shortened(line.label, _LONGEST_LABEL))


def needs_legend(group: ChartGroup) -> bool:
    """Return whether a legend says more than the title."""
    return [line.label.casefold() for line in group.lines] != [group.title.casefold()]


def styles(group: ChartGroup) -> list[tuple[int, int]]:
    """Return colour and dash of each line: of runs that are compared each has a colour, else each series.

    Runs that share a colour differ in their dashes; the first series of a chart has that of its run.
    """
    names = list(dict.fromkeys(line.name for line in group.lines))
    if group.runs > 1:
        rounds = round_of(group.runs - 1) + 1
        return [(line.run, names.index(line.name) * rounds + round_of(line.run)) for line in group.lines]
    return [(index, round_of(index)) for index in range(len(group.lines))]


def not_drawn(digests: Iterable[Digest]) -> str:
    """Return how many values of series are not drawn; nothing if all are."""
    counts = [(one.missing, one.infinite) for one in digests]
    missing, infinite = map(sum, zip(*counts, strict=True))
    told = [f"{missing:,} NaN or missing"] if missing else []
    told += [f"{infinite:,} infinite"] if infinite else []
    return f"not drawn: {', '.join(told)}" if told else ""
