"""`more_files`: the first rank may have a connection to each of the others open."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

if sys.platform != "win32":  # pragma: no branch - the tests run on POSIX
    import resource

_logger = logging.getLogger(__name__)

SPARE_FILES: Final = 512
"""Files that a process may have open beside the connections of a watch."""


@contextmanager
def more_files(size: int) -> Generator[None]:
    """Raise this process's own limit of open files inside the block, as far as needed and allowed.

    Afterwards it is what it was, unless somebody else has changed it in between.

    Args:
        size: ranks to have a connection to.
    """
    if sys.platform == "win32":  # pragma: no cover - the tests run on POSIX
        yield
        return
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _raised(size)
    try:
        yield
    finally:
        now, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
        if now == allowed != limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, highest))


def _raised(size: int) -> int:
    """Raise the limit; return what it is then."""
    limit, highest = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = size + SPARE_FILES
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return limit
    allowed = needed if highest == resource.RLIM_INFINITY else min(needed, highest)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, highest))
    except (OSError, ValueError) as error:  # the system has a limit of its own
        _logger.warning("rank 0 may open %d files, and not more: %s", limit, error)
        return limit
    if allowed < needed:
        _logger.warning(
            "rank 0 may open %d files, too few perhaps for a connection to each of %d ranks: allow it %d, by "
            "`ulimit -Hn %d`", allowed, size, needed, needed,
        )  # fmt: skip
    return allowed
