"""What became of a run, in lines that a person reads when it is over. Pure: from the run and its archive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainsignal import keys
from trainsignal.receiver import Receiver
from trainsignal.run import TrainingRun
from trainsignal.shared_data import SharedData


def summarize(run: TrainingRun, receivers: Iterable[Receiver], output_file: str | Path | None) -> str:
    """Return the summary of a run.

    Args:
        run: any, also one that is still in progress.
        receivers: whose time is listed.
        output_file: the archive; None where there is none.
    """
    lines = [_ending(run), _progress(run)]
    lines += _best_values(run.data)
    lines += _times(receivers)
    lines.append(
        f"archive      {'none: pass output_file to keep one' if output_file is None else output_file}"
    )
    newest = {one.path: one for one in run.checkpoints if Path(one.path).exists()}
    lines += [f"checkpoint   {_short(Path(one.path))} (epoch {one.epoch})" for one in newest.values()]
    lines += [f"problem      {problem}" for problem in run.problems]
    lines += [f"problem      {one.name} failed {one.failures} times" for one in receivers if one.failures]
    return "\n".join(lines)


def _short(path: Path) -> Path:
    """Return a path as a person would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _ending(run: TrainingRun) -> str:
    if run.exit_reason is None:
        return "run          in progress" if run.has_begun else "run          not begun"
    line = f"run          {run.exit_reason}"
    if run.error is not None:
        return f"{line}: {type(run.error).__name__}: {run.error}"
    if run.votes:
        return f"{line} by {run.votes[0].author}: {run.votes[0].reason}"
    return line


def _progress(run: TrainingRun) -> str:
    asked = "" if run.total_epochs is None else f" of {run.total_epochs}"
    done = run.minibatches_complete + (run.epoch_minibatches if run.is_in_epoch else 0)
    return f"epochs       {run.epochs_complete}{asked}, {done} minibatches"


def _best_values(data: SharedData) -> list[str]:
    """Return the best of each evaluated series whose better direction is known, with its epoch."""
    lines: list[str] = []
    for group in (keys.LOSSES, keys.METRICS):
        if group not in data:
            continue
        for name, series in data[group].items():
            direction = series.attrs.get(keys.DIRECTION)
            if direction is None or series.attrs.get(keys.TIME_MARKERS) != keys.PER_EPOCH_FREQ:
                continue
            values = series[:]
            if np.isnan(values).all():
                continue
            row = int(np.nanargmin(values) if direction == "min" else np.nanargmax(values))
            lines.append(f"best {name:<20} {values[row]:.6g} at epoch {_epoch_of(series.attrs, row)}")
    return lines


def _epoch_of(axis: Mapping[str, Any], row: int) -> int:
    """Return the 0-based epoch of a row; `axis`: the attributes that `keys.epoch_axis` made."""
    if keys.EPOCHS in axis:
        return int(axis[keys.EPOCHS][row])
    return (row + 1) * int(axis.get(keys.EPOCH_FREQ, 1)) - 1


def _times(receivers: Iterable[Receiver]) -> list[str]:
    spent: dict[str, float] = {}
    for receiver in receivers:
        spent[receiver.name] = spent.get(receiver.name, 0.0) + receiver.spent_s
    slowest_first = sorted(spent.items(), key=lambda item: -item[1])
    return [f"time         {1000 * seconds:10.1f} ms  {name}" for name, seconds in slowest_first]
