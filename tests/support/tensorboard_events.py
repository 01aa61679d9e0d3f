"""What TensorBoard shows of a folder, read by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) of each point that TensorBoard shows, by tag."""
    return {tag: [(one.step, one.value) for one in points] for tag, points in _points(folder).items()}


def times_shown(folder: Path) -> dict[str, list[float]]:
    """Return the time of each point that TensorBoard shows, by tag: seconds since 1970-01-01 UTC."""
    return {tag: [one.wall_time for one in points] for tag, points in _points(folder).items()}


def _points(folder: Path) -> dict[str, list[Any]]:
    accumulator: Any = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
    accumulator.Reload()
    return {tag: accumulator.Scalars(tag) for tag in sorted(accumulator.Tags()["scalars"])}
