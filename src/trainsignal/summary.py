"""What became of a run, in lines that a person reads when it is over. Pure: from the run and its archive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainsignal import keys
from trainsignal.ending import why
from trainsignal.receiver import Receiver, totals
from trainsignal.run import TrainingRun
from trainsignal.shared_data import SharedData


def summarize(run: TrainingRun, receivers: Iterable[Receiver], output_file: str | Path | None) -> str:
    """Return the summary of a run.

    Args:
        run: any, also one that is still in progress.
        receivers: whose time is listed.
        output_file: the archive; None where there is none.
    """
    lines = [_ending(run), _progress(run), *_resumptions(run)]
    lines += _best_values(run.data)
    lines += _times(receivers)
    lines.append(
        f"archive      {'none: pass output_file to keep one' if output_file is None else output_file}"
    )
    newest = {one.path: one for one in run.checkpoints if Path(one.path).exists()}
    lines += [f"checkpoint   {_short(Path(one.path))} (epoch {one.epoch})" for one in newest.values()]
    lines += [f"problem      {problem}" for problem in run.problems]
    lines += _failures(receivers)
    return "\n".join(lines)


def _short(path: Path) -> Path:
    """Return a path as a person would type it here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _ending(run: TrainingRun) -> str:
    if run.exit_reason is None:
        return "run          in progress" if run.has_begun else "run          not begun"
    detail, author = why(run)
    where = "in" if run.exit_reason == "failed" else "by"
    by = "" if author is None or (run.error is not None and author == "loop") else f" {where} {author}"
    return f"run          {run.exit_reason}{by}" + ("" if detail is None else f": {detail}")


def _progress(run: TrainingRun) -> str:
    is_short = run.total_epochs is not None and run.epochs_complete <= run.total_epochs
    asked = f" of {run.total_epochs}" if is_short else ""
    return f"epochs       {run.epochs_complete}{asked}, {run.minibatches_done} minibatches"


def _resumptions(run: TrainingRun) -> list[str]:
    if not run.is_resumed or keys.CONFIG not in run.data:
        return []
    seams = run.data[keys.CONFIG].attrs.get(keys.RESUMED_AT, ())
    if not any(seams):  # epochs without minibatches, as boosting rounds are
        return [f"resumed      {len(seams)} times" if len(seams) > 1 else "resumed      once"]
    return [f"resumed      at minibatch {', '.join(str(int(seam)) for seam in seams)}"]


def _best_values(data: SharedData) -> list[str]:
    """Return the best of each evaluated series whose better direction is known, with its epoch."""
    lines: list[str] = []
    told: set[str] = set()
    for group in (keys.LOSSES, keys.METRICS):
        if group not in data:
            continue
        for name, series in data[group].items():
            direction = series.attrs.get(keys.DIRECTION)
            if direction is None or series.attrs.get(keys.TIME_MARKERS) != keys.PER_EPOCH_FREQ:
                continue
            values, source = series[:], series.attrs.get(keys.REPORTED_AS, name)
            if np.isnan(values).all() or source in told:  # the loss is among the framework's metrics too
                continue
            row = int(np.nanargmin(values) if direction == "min" else np.nanargmax(values))
            if source != name:
                told.add(source)
                name = f"{name} ({source})"
            lines.append(f"best {name:<20} {values[row]:.6g} at epoch {_epoch_of(series.attrs, row)}")
    return lines


def _epoch_of(axis: Mapping[str, Any], row: int) -> int:
    """Return the 0-based epoch of a row; `axis`: the attributes that `keys.epoch_axis` made."""
    if keys.EPOCHS in axis:
        return int(axis[keys.EPOCHS][row])
    return (row + 1) * int(axis.get(keys.EPOCH_FREQ, 1)) - 1


def _times(receivers: Iterable[Receiver]) -> list[str]:
    slowest_first = sorted(totals(receivers)[0].items(), key=lambda item: -item[1])
    return [f"time         {1000 * seconds:10.1f} ms  {name}" for name, seconds in slowest_first]


def _failures(receivers: Iterable[Receiver]) -> list[str]:
    counts = totals(receivers)[1]
    return [f"problem      {name} failed {_times_in_words(times)}" for name, times in counts.items() if times]


def _times_in_words(times: int) -> str:
    return "once" if times == 1 else f"{times} times"
