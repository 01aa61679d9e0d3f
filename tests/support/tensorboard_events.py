"""What TensorBoard shows of a folder, read by TensorBoard's own reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator


def shown(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return (step, value) of each point that TensorBoard shows, by tag."""
    accumulator: Any = EventAccumulator(str(folder), size_guidance={SCALARS: 0})
    accumulator.Reload()
    tags = accumulator.Tags()["scalars"]
    return {tag: [(one.step, one.value) for one in accumulator.Scalars(tag)] for tag in sorted(tags)}
