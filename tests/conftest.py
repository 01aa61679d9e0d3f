"""Fixtures that tests of several modules use."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterator

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # networks of a few numbers: threads would slow them down
os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it once, when it is imported


ALLOWED_SKIPS = ("needs a CUDA GPU", "this is the run on the other backend")
"""What CI may leave out; a framework that is not installed is not among it."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI, count a test that was left out for any other reason as failed."""
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = str(report.longrepr)
        if not any(allowed in reason for allowed in ALLOWED_SKIPS):
            report.outcome, report.longrepr = "failed", f"left out in CI: {reason}"
    return report


@pytest.fixture
def restored_logger() -> Iterator[None]:
    """Put the library's logger back as it was; options of the command line set it up."""
    logger = logging.getLogger("trainsignal")
    level, handlers = logger.level, list(logger.handlers)
    yield
    for handler in set(logger.handlers) - set(handlers):
        handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)
