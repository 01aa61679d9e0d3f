"""What is known of a run, as names and words: the same on pages, in terminals and in notebooks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trainsignal.report.records import About
from trainsignal.report.wording import duration, moment, progress

_MOST_SEAMS = 10


def facts(about: About) -> Iterator[tuple[str, str]]:
    """Yield the name of each fact that the archive tells, and the fact in words; but for how the run ended."""
    yield "progress", progress(about)
    began, ended = about.started_at, about.ended_at
    if began is not None:
        yield "started", moment(began)
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


def _resumptions(seams: Sequence[int]) -> str:
    """Return where a run was resumed, the last ten times; `seams`: minibatches that were done then."""
    if not any(seams):  # epochs without minibatches, as boosting rounds are
        return "once" if len(seams) == 1 else f"{len(seams)} times"
    shown = ", ".join(f"{seam:,}" for seam in seams[-_MOST_SEAMS:])
    return f"after minibatch {'…, ' if len(seams) > _MOST_SEAMS else ''}{shown}"
