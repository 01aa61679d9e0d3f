"""What a run says of itself: its default name, its entry in the list of runs, its end."""

from __future__ import annotations

import platform
import re
import time
import uuid
from pathlib import Path
from typing import Any

from trainsignal.ending import why
from trainsignal.record import package_version, script_name
from trainsignal.relay.plain_payload import short
from trainsignal.relay.requests import RUNNING, RunEntry
from trainsignal.relay.streams import LONGEST_NAME
from trainsignal.run import TrainingRun
from trainsignal.run_link import ExitReason

_ID_CHARACTERS = 6


def entry_of(run_id: str, *, allow_remote_stop: bool) -> RunEntry:
    """Return what the list of runs says of a run that begins, or goes on, now in this process."""
    now = time.time()
    return RunEntry(
        run_id=run_id,
        host=platform.node(),
        script=script_name(),
        version=package_version(),
        started_at=now,
        allow_remote_stop=allow_remote_stop,
        state=RUNNING,
        seen_at=now,
        process=uuid.uuid4().hex,
    )


def default_name(run_id: str) -> str:
    """Return a name for a run whose user gave none: "train-3f2a9c" for train.py."""
    stem = Path(script_name() or "run").stem
    allowed = re.sub(r"[^\w.\- ]", "-", stem)[: LONGEST_NAME - _ID_CHARACTERS - 1].strip()
    return f"{allowed}-{run_id[:_ID_CHARACTERS]}"


def ending_of(run: TrainingRun, reason: ExitReason) -> dict[str, Any]:
    """Return what is told of the end of a run, now; `ended_at` in seconds since 1970-01-01 UTC."""
    detail, author = (None if words is None else short(words) for words in why(run))
    return {"reason": reason, "detail": detail, "author": author, "ended_at": time.time()}
