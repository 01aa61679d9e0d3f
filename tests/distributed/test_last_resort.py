"""What becomes of a process that is blocked inside a collective when another rank has failed."""

from __future__ import annotations

import logging
import threading

import pytest

from trainsignal.distributed.failure import RankFailure
from trainsignal.distributed.last_resort import FAILED_STATUS, LastResort

FAILURE = RankFailure(3, "ValueError: bad batch")


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
    LastResort(0.0, end.saved.append, end.end_process).call(FAILURE)
    assert end.has_come.wait(20)
    assert (end.saved, end.statuses) == ([FAILURE], [FAILED_STATUS])
    assert "rank 3: ValueError: bad batch" in caplog.text


def test_what_cannot_be_saved_ends_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    def fail(failure: RankFailure) -> None:
        raise OSError("disk full")

    end = End()
    LastResort(0.0, fail, end.end_process).call(FAILURE)
    assert end.has_come.wait(20)
    assert "disk full" in caplog.text


def test_run_that_has_ended_in_order_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    end = End()
    last_resort = LastResort(1e9, end.saved.append, end.end_process)
    last_resort.call(FAILURE)
    last_resort.dismiss()
    for thread in threading.enumerate():
        if thread.name == "trainsignal last resort":
            thread.join(20)
    assert (end.saved, end.statuses) == ([], [])
