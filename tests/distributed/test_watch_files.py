"""The limit of open files, which a watch may raise and puts back."""

from __future__ import annotations

import pytest

from trainsignal.distributed import watch_files
from trainsignal.distributed.watch_files import SPARE_FILES, more_files


class Limits:
    """What `resource` would say and do."""

    RLIMIT_NOFILE = 7
    RLIM_INFINITY = -1

    def __init__(self, limit: int, highest: int, error: Exception | None = None) -> None:
        self.limits = (limit, highest)
        self._error = error

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == self.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        assert which == self.RLIMIT_NOFILE
        if self._error is not None:
            raise self._error
        self.limits = limits


@pytest.mark.parametrize(
    "limit, highest, then, warning",
    [
        (1024, 4096, 1024, ""),
        (64, 4096, 100 + SPARE_FILES, ""),
        (64, -1, 100 + SPARE_FILES, ""),
        (-1, -1, -1, ""),
        (64, 256, 256, "rank 0 may open 256 files, too few perhaps for a connection to each of 100 ranks"),
    ],
)
def test_limit_of_open_files_is_raised_for_a_while_as_far_as_needed_and_allowed(
    limit: int,
    highest: int,
    then: int,
    warning: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = Limits(limit, highest)
    monkeypatch.setattr(watch_files, "resource", limits)
    with more_files(100):
        assert limits.limits == (then, highest)
    assert limits.limits == (limit, highest)
    assert caplog.text == "" if not warning else warning in caplog.text


def test_system_that_does_not_raise_the_limit_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(
        watch_files, "resource", Limits(64, -1, ValueError("not allowed to raise maximum limit"))
    )
    with more_files(100):
        pass
    assert "rank 0 may open 64 files, and not more: not allowed to raise maximum limit" in caplog.text


def test_limit_that_somebody_else_has_changed_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(64, 4096)
    monkeypatch.setattr(watch_files, "resource", limits)
    with more_files(100):
        limits.limits = (2000, 3000)
    assert limits.limits == (2000, 3000)


def test_limit_is_put_back_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(64, 4096)
    monkeypatch.setattr(watch_files, "resource", limits)
    with pytest.raises(OSError), more_files(100):
        raise OSError("no port left")
    assert limits.limits == (64, 4096)


def test_limit_that_was_high_enough_and_is_changed_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(1024, 4096)
    monkeypatch.setattr(watch_files, "resource", limits)
    with more_files(100):
        limits.limits = (1024, 2048)
    assert limits.limits == (1024, 2048)
