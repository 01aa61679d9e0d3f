"""What ran, when, how far it came, and why it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

from trainsignal import keys
from trainsignal.report import attributes
from trainsignal.report.attributes import is_moment
from trainsignal.report.checkpoints import read_checkpoints
from trainsignal.report.contents import Contents, is_numeric
from trainsignal.report.progress import Progress
from trainsignal.report.records import About, Status
from trainsignal.report.writer import status_of, writer_life
from trainsignal.run_link import ExitReason


def read_about(
    contents: Contents,
    progress: Progress,
    minibatches_done: int,
    path: str,
    clock: Callable[[], float] = time.time,
) -> About:
    """Return what the archive says of the run itself.

    Args:
        contents: of the archive.
        progress: what its markers say.
        minibatches_done: as far as any series tells.
        path: of the archive; "" for a run of this process whose data is in memory.
        clock: seconds since 1970-01-01 UTC.
    """
    config = contents.group(keys.CONFIG)
    host = attributes.text(config, keys.HOST)
    status, detail, author = _end(config, host, path, clock)
    started_at, ended_at = _moments(contents, config, status, path, clock)
    resumed_at = attributes.numbers(config, keys.RESUMED_AT)
    return About(
        run_id=attributes.text(config, keys.RUN_ID),
        model=attributes.text(config, keys.MODEL_CLASS),
        script=attributes.text(config, keys.SCRIPT),
        host=host,
        version=attributes.text(config, keys.VERSION),
        callbacks=attributes.texts(config, keys.CALLBACKS, most=contents.most_texts),
        started_at=started_at,
        ended_at=ended_at,
        epochs_complete=progress.epochs,
        total_epochs=progress.total_epochs,
        minibatches_done=minibatches_done,
        total_minibatches=progress.total_minibatches,
        status=status,
        detail=detail,
        author=author,
        resumed_at=tuple(int(one) for one in resumed_at.tolist() if 0 <= one < 2**53),
        checkpoints=read_checkpoints(contents),
    )


def _end(
    config: Any, host: str | None, path: str, clock: Callable[[], float]
) -> tuple[Status, str | None, str | None]:
    """Return how the run ended, why in words, and who wanted it; None where nobody said."""
    reason = attributes.text(config, keys.EXIT_REASON)
    if reason not in get_args(ExitReason):
        return status_of(writer_life(Path(path), clock), host) if path else "in progress", None, None
    detail = attributes.text(config, keys.EXIT_DETAIL)
    return cast("Status", reason), detail, attributes.text(config, keys.EXIT_AUTHOR)


def _moments(
    contents: Contents, config: Any, status: Status, path: str, clock: Callable[[], float]
) -> tuple[float | None, float | None]:
    """Return when the run began and when it ended; None where nobody knows."""
    noted = [one for one in attributes.numbers(config, keys.STARTED_AT).tolist() if is_moment(one)]
    began = noted[0] if noted else _moment_at(contents, keys.TRAIN_START)
    ended = _ended_at(contents, status, path, clock)
    return began, ended if ended is not None and ended >= (began or 0) else None


def _ended_at(contents: Contents, status: Status, path: str, clock: Callable[[], float]) -> float | None:
    """Return when the run ended; where nobody noted that, when the file was last written."""
    noted = _moment_at(contents, keys.TRAIN_END)
    if noted is not None and status not in ("in progress", "killed"):  # which may be of before a resumption
        return noted
    if not path:
        return clock()
    try:
        return Path(path).stat().st_mtime
    except OSError:  # it vanished meanwhile
        return None


def _moment_at(contents: Contents, path: str) -> float | None:
    """Return the seconds since 1970-01-01 UTC in a dataset of one number; None without."""
    with contents.telling(path):
        dataset = contents.dataset(path)
        if dataset is not None and is_numeric(dataset) and dataset.shape == (1,):
            seconds = float(contents.read(dataset)[0])
            return seconds if is_moment(seconds) else None
    return None
