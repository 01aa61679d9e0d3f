"""What is known of a run in words, and its checkpoints: the same on pages, in terminals and in notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from trainsignal.report.records import About, Run, SavedCheckpoint
from trainsignal.report.wording import counted, duration, moment, progress, zoned_moment

_MOST_SEAMS = 10


def facts(about: About) -> Iterator[tuple[str, str]]:
    """Yield the name of each fact that the archive tells, and the fact in words; not how the run ended."""
    yield "progress", progress(about)
    began, ended = about.started_at, about.ended_at
    if began is not None:
        yield "started", zoned_moment(began)
    if ended is not None:
        yield "last seen" if about.status in ("in progress", "killed") else "ended", moment(ended)
    if began is not None and ended is not None:
        yield "duration", duration(ended - began)
    known = {
        "model": about.model,
        "script": about.script,
        "host": about.host,
        "run id": about.run_id,
        "trainsignal": about.version,
    }
    yield from ((name, told) for name, told in known.items() if told is not None)
    if about.resumed_at:
        yield "resumed", _resumptions(about.resumed_at)


def drawn_elsewhere(run: Run) -> list[str]:
    """Return what only pages show, counted: "1 histogram", "feature maps of 2 layers"."""
    told = [counted(run.histogram_count, "histogram")] if run.histogram_count else []
    return told + (
        [f"feature maps of {counted(run.map_layer_count, 'layer')}"] if run.map_layer_count else []
    )


def newest_checkpoints(run: Run) -> list[SavedCheckpoint]:
    """Return the checkpoints of a run, newest first; of those at one path, the last.

    Paths below the archive's folder are told from there, so that they hold after both were moved; where
    there is no archive, as they are.
    """
    last = {one.path: one for one in run.about.checkpoints}
    newest = [one for one in reversed(run.about.checkpoints) if last[one.path] is one]
    if not run.path:
        return newest
    home = Path(run.path).absolute().parent
    return [replace(one, path=_from(home, Path(one.path))) for one in newest]


def _from(home: Path, path: Path) -> str:
    return str(path.relative_to(home) if path.is_relative_to(home) else path)


def _resumptions(seams: Sequence[int]) -> str:
    """Return where a run was resumed, the last ten times; `seams`: minibatches that were done then."""
    if not any(seams):  # epochs without minibatches, as boosting rounds are
        return "once" if len(seams) == 1 else f"{len(seams)} times"
    shown = ", ".join(f"{seam:,}" for seam in seams[-_MOST_SEAMS:])
    return f"after minibatch {'…, ' if len(seams) > _MOST_SEAMS else ''}{shown}"
