"""Fixtures that tests of several modules use."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


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
