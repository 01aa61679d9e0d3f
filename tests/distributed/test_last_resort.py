"""What becomes of a process that is blocked inside a collective when another rank has failed."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from trainsignal.distributed import last_resort
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.last_resort import FAILED_STATUS, LastResort

FAILURE = RankFailure(3, "ValueError: bad batch")


@pytest.fixture(autouse=True)
def end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_resort, "GOING_LAST_S", 0.0)


def wait_for_nobody(limit_s: float) -> None:
    """Stand for a watch whose other ranks are ready."""


class End:
    """Notes how the process would have ended."""

    def __init__(self) -> None:
        self.saved: list[RankFailure] = []
        self.statuses: list[int] = []
        self.has_come = threading.Event()

    def end_process(self, status: int) -> None:
        self.statuses.append(status)
        self.has_come.set()


def test_process_that_comes_to_no_boundary_is_saved_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    end = End()
    LastResort(lambda: 0.0, end.saved.append, end.end_process).call(FAILURE, wait_for_nobody)
    assert end.has_come.wait(20)
    assert (end.saved, end.statuses) == ([FAILURE], [FAILED_STATUS])
    assert "rank 3: ValueError: bad batch" in caplog.text


def test_the_rank_that_failed_ends_first(monkeypatch: pytest.MonkeyPatch) -> None:
    end, log = End(), list[object]()
    monkeypatch.setattr(last_resort, "GOING_LAST_S", 7.5)
    monkeypatch.setattr("trainsignal.distributed.last_resort.time.sleep", lambda s: log.append(("sleep", s)))

    def wait_for_others(limit_s: float) -> None:
        log.append(("wait", limit_s, list(end.saved), list(end.statuses)))

    LastResort(lambda: 0.0, end.saved.append, end.end_process).call(FAILURE, wait_for_others)
    assert end.has_come.wait(20)
    assert log == [("wait", last_resort.WAITING_S, [FAILURE], []), ("sleep", 7.5)]


def test_what_cannot_be_saved_ends_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    def fail(failure: RankFailure) -> None:
        raise OSError("disk full")

    end = End()
    LastResort(lambda: 0.0, fail, end.end_process).call(FAILURE, wait_for_nobody)
    assert end.has_come.wait(20)
    assert "disk full" in caplog.text


def hang(*arguments: object) -> None:
    """Wait until the test is over."""
    threading.Event().wait()


def test_disk_that_hangs_keeps_no_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(last_resort, "SAVING_S", 0.05)
    end = End()
    LastResort(lambda: 0.0, hang, end.end_process).call(FAILURE, wait_for_nobody)
    assert end.has_come.wait(20)
    assert end.statuses == [FAILED_STATUS]
    assert "the record of the run was not saved within 0.05 s" in caplog.text
    assert "it ends now" in caplog.text


def test_what_is_saved_slowly_is_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    end = End()

    def save(failure: RankFailure) -> None:
        assert not end.has_come.wait(0.2)
        end.saved.append(failure)

    LastResort(lambda: 0.0, save, end.end_process).call(FAILURE, wait_for_nobody)
    assert end.has_come.wait(20)
    assert end.saved == [FAILURE]
    assert "not saved" not in caplog.text


class Stuck(io.StringIO):
    """A pipe that nobody reads."""

    flush = hang


class Broken(io.StringIO):
    """A pipe whose reader has gone."""

    def flush(self) -> None:
        raise BrokenPipeError


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    "made", [Stuck, Broken, closed, lambda: None], ids=["stuck", "broken", "closed", "none"]
)
def test_output_that_nobody_takes_keeps_no_process(
    made: Callable[[], io.StringIO | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_resort, "SPEAKING_S", 0.05)
    error_output = io.StringIO()
    flushed = threading.Event()
    error_output.flush = flushed.set  # type: ignore[method-assign]
    output = made()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", error_output)
    end = End()
    LastResort(lambda: 0.0, end.saved.append, end.end_process).call(FAILURE, wait_for_nobody)
    assert end.has_come.wait(20)
    assert end.statuses == [FAILED_STATUS]
    assert flushed.is_set() != isinstance(output, Stuck)


def test_process_without_a_thread_to_be_had_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    errors: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        if threading.current_thread().name == "trainsignal last resort":
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(threading, "excepthook", lambda told: errors.append(str(told.exc_value)))
    end = End()
    LastResort(lambda: 0.0, end.saved.append, end.end_process).call(FAILURE, wait_for_nobody)
    assert end.has_come.wait(20)
    for thread in threading.enumerate():
        if thread.name == "trainsignal last resort" and thread.daemon and not end.saved:
            thread.join(1)
    assert end.statuses == [FAILED_STATUS]
    assert errors == ["can't start new thread"]


PROGRAM = """
import threading
from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.last_resort import LastResort
print("epoch 0: cost 0.5")
failure = RankFailure(3, "ValueError: bad batch")
LastResort(lambda: 0.0, lambda failure: None).call(failure, lambda limit_s: None)
threading.Event().wait()
"""


def test_what_the_user_has_printed_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (FAILED_STATUS, "epoch 0: cost 0.5\n")
    assert "rank 3: ValueError: bad batch" in done.stderr


def test_run_that_has_ended_in_order_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    end = End()
    last_resort = LastResort(lambda: 1e9, end.saved.append, end.end_process)
    last_resort.call(FAILURE, wait_for_nobody)
    last_resort.dismiss()
    for thread in threading.enumerate():
        if thread.name == "trainsignal last resort":
            thread.join(20)
    assert (end.saved, end.statuses) == ([], [])
