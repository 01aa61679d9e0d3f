"""`ScalarWriter`: points for TensorBoard, in files of events; the only file that imports TensorBoard.

By TensorBoard's own writer, the one under PyTorch's `SummaryWriter`: what goes wrong in its thread is raised
by the next call. tensorboardX needs fewer packages, but loses such an error, and then waits for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from trainsignal.extras import require

FILES = "events.out.tfevents.*"
"""What the files of events are called."""


def import_tensorboard() -> None:
    """Import what is needed to write.

    Raises:
        ConfigurationError: TensorBoard is not installed.
    """
    _import("summary.writer.event_file_writer")


def keep_events_aside(folder: Path) -> Path | None:
    """Move the events of an earlier run out of the way, which TensorBoard then shows as a run of its own.

    The folder is the first of "earlier_1", "earlier_2" that is free.

    Returns:
        Where they are now; None where there were none.

    Raises:
        OSError: they cannot be moved.
    """
    events = sorted(folder.glob(FILES))
    if not events:
        return None
    number = 1
    while (aside := folder / f"earlier_{number}").exists():
        number += 1
    aside.mkdir()
    for file in events:
        file.rename(aside / file.name)
    return aside


class ScalarWriter:
    """A new file of events in a folder, and the thread that writes it."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        """Make the file, and the folder where it is missing.

        Args:
            folder: what TensorBoard calls a run.
            clock: seconds since 1970-01-01 UTC; the time of a point.

        Raises:
            OSError: they cannot be made.
        """
        events = _import("compat.proto.event_pb2")
        self._event, self._session_log = events.Event, events.SessionLog
        self._summary = _import("compat.proto.summary_pb2").Summary
        self._clock = clock
        self._has_failed = False
        self._file = _import("summary.writer.event_file_writer").EventFileWriter(str(folder))

    def write(self, step: int, points: Mapping[str, float], *, at: float | None = None) -> None:
        """Hand points, by tag, to the thread.

        Args:
            step: where they stand.
            points: values by tag.
            at: their time, in seconds since 1970-01-01 UTC; None: now, by the clock.

        Raises:
            Exception: what went wrong in the thread before.
        """
        if points:
            values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in points.items()]
            self._add(at, step=step, summary=self._summary(value=values))

    def hide_from(self, step: int) -> None:
        """Have TensorBoard show none of the points so far that have this step or a later one.

        Raises:
            Exception: what went wrong in the thread before.
        """
        self._add(None, step=step, session_log=self._session_log(status=self._session_log.START))

    def flush(self) -> None:
        """Wait until all points are in the file.

        Raises:
            Exception: what went wrong in the thread.
        """
        with self._noting_failure():
            self._file.flush()

    def settle(self) -> None:
        """Wait until all points are in the file, as far as they can come there.

        What goes wrong in the thread is not raised here, but by the next call of another method.
        """
        with contextlib.suppress(Exception):
            self._file.flush()

    def close(self) -> None:
        """Write all points and end the thread.

        Raises:
            Exception: what went wrong in the thread, if that has not been raised before.
        """
        try:
            if not self._has_failed:
                self.flush()
        finally:
            self._file.close()

    def _add(self, at: float | None, **content: Any) -> None:
        with self._noting_failure():
            moment = self._clock() if at is None else at
            self._file.add_event(self._event(wall_time=moment, **content))

    @contextlib.contextmanager
    def _noting_failure(self) -> Generator[None]:
        try:
            yield
        except Exception:
            self._has_failed = True
            raise


def _import(module: str) -> Any:
    return require(f"tensorboard.{module}", "tensorboard", "writing for TensorBoard")
