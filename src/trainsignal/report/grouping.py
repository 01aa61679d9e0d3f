"""Which series share a chart, and its title and unit. Pure; draws nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from trainsignal import keys
from trainsignal.report.records import RowAxis, Run, Series

Section = Literal["costs", "gan", "branches", "metrics", "learning rate", "system", "time", "other"]
"""What a chart is about; they stand on a page in this order."""

SECTIONS: tuple[Section, ...] = get_args(Section)

GroupAxis = Literal["moment", "row"]
"""What the rows of a chart's series are: moments of a run, or nothing that is known."""

GROUP_AXES: tuple[GroupAxis, ...] = get_args(GroupAxis)

_ON_DATA = re.compile(
    r"(?:train|training|val|valid|validation|eval|evaluation|test)(?:_\d+)?[_\-/ ]+(.+)", re.IGNORECASE
)
"""A metric on one set of data, with its own name: "val_accuracy", "validation_0-rmse"."""

_COLUMN = re.compile(r"(.+)\[(\d+)\]")
"""One column of a series of several: "multicost/train[0]"."""

_OF_LABEL = re.compile(rf"{keys.LABEL_METRICS}/(.+)/([^/]+)")

_OF_GPU = re.compile(rf"{keys.GPU}(\d+)/(.+)")

_HISTOGRAM_NANS = re.compile(rf"{keys.HISTOGRAM_NANS}(_\d+)?")

_SECOND_WRITER = re.compile(r"(.+)_\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A series in a chart.

    Attributes:
        run: 0-based index of its run.
        series: what is drawn.
        name: what tells it from the others of its run in the chart: "val_accuracy".
        label: what tells it from all others in the chart; with several runs, "run · name" or "run".
    """

    run: int
    series: Series
    name: str
    label: str


@dataclass(frozen=True, slots=True, eq=False)
class ChartGroup:
    """The lines of one chart, one at least.

    Attributes:
        section: what it is about.
        title: of the chart.
        y_label: what its values are, without their unit.
        unit: of all its values; None: numbers without one.
        axis: what the rows of all its series are.
        lines: of one run after those of another.
        runs: how many are compared, also those that have no line here.
    """

    section: Section
    title: str
    y_label: str
    unit: str | None
    axis: GroupAxis
    lines: tuple[Line, ...]
    runs: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a series belongs: the chart's section, title and y label, and the line's name there."""

    section: Section
    title: str
    y_label: str
    name: str


def group_series(runs: Sequence[Run]) -> list[ChartGroup]:
    """Return the charts of runs, in the order of their sections; what has no rows is in none.

    Series of one chart have one unit. Training and evaluation values of a metric share one: names that agree
    but for "train", "val" and the like before them.
    """
    charts: dict[tuple[str, ...], list[tuple[int, Series, _Place]]] = {}
    for index, run in enumerate(runs):
        present = {series.key for series in run.series}
        drawn_as_cost = {series.reported_as for series in run.below(keys.LOSSES)} - {None}
        for series in run.series:
            if not series.values.size or _is_told_as_cost(series, drawn_as_cost) or _is_all_well(series):
                continue
            place = _place(series.key, present)
            identity = (place.section, place.title.casefold(), series.unit or "", _axis(series.axis))
            charts.setdefault(identity, []).append((index, series, place))
    groups = [_group(members, runs) for members in charts.values()]
    return sorted(groups, key=lambda group: SECTIONS.index(group.section))


def _group(members: Sequence[tuple[int, Series, _Place]], runs: Sequence[Run]) -> ChartGroup:
    """Return the chart of series; each with the index of its run, and where it belongs."""
    _, first, place = members[0]
    is_told_by_title = {one.name.casefold() for _, _, one in members} == {place.title.casefold()}

    def label(index: int, name: str) -> str:
        if len(runs) == 1:
            return name
        return runs[index].name if is_told_by_title else f"{runs[index].name} · {name}"

    lines = tuple(Line(index, series, one.name, label(index, one.name)) for index, series, one in members)
    axis = _axis(first.axis)
    return ChartGroup(place.section, place.title, place.y_label, first.unit, axis, lines, len(runs))


def _axis(axis: RowAxis) -> GroupAxis:
    return "row" if axis == "row" else "moment"


def _is_told_as_cost(series: Series, costs: set[str | None]) -> bool:
    """Return whether a metric is the loss of a framework, which stands among the costs too."""
    _, _, name = series.key.partition(f"{keys.METRICS}/")
    return bool(name) and (series.reported_as or name) in costs


def _is_all_well(series: Series) -> bool:
    """Return whether a series counts the NaN among the parameters, and there were none."""
    return _HISTOGRAM_NANS.fullmatch(series.key) is not None and not (series.values > 0).any()


def _place(key: str, present: set[str]) -> _Place:
    """Return where the series of a key belongs, among those that are present in its run."""
    group, _, name = key.partition("/")
    shown = unescaped(name)
    if group == keys.LOSSES:
        return _Place("costs", "Cost", "cost", shown)
    if group == keys.METRICS:
        return _place_of_metric(key, present)
    if group == keys.GAN:
        title = _GAN_TITLES.get(key, shown)
        return _Place("gan", title, title, title)
    if group == keys.SYSTEM:
        return _place_of_system(key)
    if group == keys.TIMES:
        return _Place("time", "Seconds of evaluation", "time", shown)
    column = _COLUMN.fullmatch(key)
    whole, name = column.groups() if column else (key, unescaped(key))
    if whole in _BRANCH_TITLES:
        return _Place("branches", _BRANCH_TITLES[whole], "cost", f"branch {name}")
    if whole == keys.LEARNING_RATE:
        return _Place("learning rate", "Learning rate", "learning rate", name.replace("_", " "))
    if _HISTOGRAM_NANS.fullmatch(whole):
        return _Place("other", "NaN among the parameters", "numbers", name)
    return _Place("other", unescaped(whole), unescaped(whole), name)


def _place_of_metric(key: str, present: set[str]) -> _Place:
    """Return where a series below `keys.METRICS` belongs, among those that are present."""
    of_label = _OF_LABEL.fullmatch(key)
    if of_label:
        metric, label = (unescaped(part) for part in of_label.groups())
        return _Place("metrics", f"{metric} of each label", metric, label)
    _, _, name = key.partition("/")
    second = _SECOND_WRITER.fullmatch(name)
    stem = unescaped(second[1] if second and keys.metric(second[1]) in present else name)
    on_data = _ON_DATA.fullmatch(stem)
    title = on_data[1] if on_data else stem
    return _Place("metrics", title, title, unescaped(name))


def _place_of_system(key: str) -> _Place:
    """Return where a series below `keys.SYSTEM` belongs: what is measured alike shares a chart."""
    gpu = _OF_GPU.fullmatch(key)
    measured = gpu[2] if gpu else key.removeprefix(f"{keys.SYSTEM}/")
    device = f"GPU {gpu[1]}" if gpu else "CPU" if key == keys.SYSTEM_CPU else "process"
    title = _SYSTEM_TITLES.get(f"{keys.GPU}0/{measured}" if gpu else key, unescaped(measured))
    return _Place("system", title, title.lower(), device)


def unescaped(key: str) -> str:
    """Return a key as people named it; see `keys.step`."""
    return key.replace("%2F", "/").replace("%2E", ".")


_GAN_TITLES = {
    keys.GAN_ITERATIONS: "Updates of the generator",
    keys.GAN_COST: "Cost of the discriminator",
}

_BRANCH_TITLES = {
    keys.MULTICOST_TRAIN: "Cost of each branch",
    keys.MULTICOST_BRANCHES: "Cost of each innermost branch",
}

_SYSTEM_TITLES = {
    keys.SYSTEM_MEMORY: "Memory",
    keys.SYSTEM_CPU: "Utilization",
    keys.gpu_memory(0): "Memory",
    keys.gpu_utilization(0): "Utilization",
}
"""What is measured of all GPUs has the title of what is measured of the first."""
