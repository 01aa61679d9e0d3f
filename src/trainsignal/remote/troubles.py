"""What is wrong with what comes from a run: counted, and told once of each kind; it never ends a listener."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final, Literal, TypeAlias

_logger = logging.getLogger(__name__)

Kind: TypeAlias = Literal[
    "bad", "misplaced", "foreign", "missing", "late", "late begin", "refused stop", "strange key"
]  # fmt: skip
"""Of a message: it says nothing that can be; it does not fit what was before; it is of another run; it never
came; it came after later ones. Of a run: it was heard of when its begin was gone; it takes no vote; one of
its keys holds something else."""

LATE: Final = "minibatches that came too late are left out"


class Troubles:
    """The troubles with all runs.

    Attributes:
        counts: how often each kind has occurred, by name of the run and kind.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Kind]] = Counter()

    def note(self, run: str, kind: Kind, words: str, times: int = 1) -> None:
        """Count a trouble, and tell of it if it is the first of its kind in this run.

        Args:
            run: name of the run.
            kind: what it is.
            words: what is wrong, to be read after the name of the run.
            times: how often it occurred; 0: not at all.
        """
        if not times:
            return
        if not self.counts[run, kind]:
            _logger.warning("run %r: %s", run[:200], words)
        self.counts[run, kind] += times
