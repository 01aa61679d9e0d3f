"""How a run introduces itself: its default name, and its entry in the list of runs."""

from __future__ import annotations

import platform
import re
import time
import uuid
from pathlib import Path

from trainsignal.record import package_version, script_name
from trainsignal.relay.requests import RUNNING, RunEntry
from trainsignal.relay.streams import LONGEST_NAME

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
