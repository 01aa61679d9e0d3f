"""`meet`: how the ranks of a run come together at a store of torch.distributed's.

Not by `new_group`: that needs all processes, or else names groups alike that follow each other. Imports no
PyTorch: whoever calls it has the store.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from typing import Any, Final

_ALL: Final = b"all"
_GIVEN_UP: Final = b"given up"

_FIRST_PAUSE_S: Final = 1e-3
_LONGEST_PAUSE_S: Final = 0.25
_MOST_NAMED: Final = 20


def meet(store: Any, ranks: Sequence[int], rank: int) -> str:
    """Return a name in the store that these ranks alone share, and never had before, once all are there.

    A rank that gives up closes the place where it has waited. Whoever waits there too, or comes there later,
    goes on to the next one; so does that rank, if it tries again.

    Args:
        store: has a timeout, for which a rank waits.
        ranks: those that meet, by their numbers among all processes.
        rank: place of this one in `ranks`.

    Raises:
        TimeoutError: not all have come in that time.
        RuntimeError: the store is gone.
    """
    digest = hashlib.sha1("_".join(map(str, ranks)).encode(), usedforsecurity=False).hexdigest()
    seats = [f"trainsignal/{digest}/{seat}" for seat in range(len(ranks))]
    patience_s = store.timeout.total_seconds()
    deadline_s = time.monotonic() + patience_s
    while True:
        times = store.add(seats[rank], 1)
        place = f"trainsignal/{digest}/time {times}"
        verdict = f"{place}/verdict"  # the first one that is written stands
        if store.add(f"{place}/arrived", 1) == len(ranks):
            store.compare_set(verdict, "", _ALL)
        try:
            is_known = _is_written(store, verdict, deadline_s)
        except BaseException:  # Ctrl-C: the others are not to take this rank for one that comes
            store.compare_set(verdict, "", _GIVEN_UP)
            raise
        if store.compare_set(verdict, "", _GIVEN_UP) == _ALL:
            return place
        if not is_known:
            missing = [str(seat) for seat, key in enumerate(seats) if store.add(key, 0) < times]
            raise TimeoutError(
                f"after {patience_s:g} s, which init_process_group(timeout=...) sets, there is no run yet on "
                f"{'rank' if len(missing) == 1 else 'ranks'} {', '.join(missing[:_MOST_NAMED])}"
                f"{' and others' if len(missing) > _MOST_NAMED else ''}"
            )


def _is_written(store: Any, key: str, deadline_s: float) -> bool:
    """Wait until a key is in the store; return False when the time is over."""
    pause_s = _FIRST_PAUSE_S
    while not store.check([key]):  # store.wait would warn on stderr, and not hear of Ctrl-C
        if time.monotonic() > deadline_s:
            return False
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
    return True
