"""The order in which callbacks run: a reader after the writers of what it reads, otherwise as added.

One that reads `keys.EVERYTHING` runs after all others, one that reads `keys.RUN_STATE` after those too.
A pure function of what the callbacks declare; `run_order` calls no callback.
"""

from __future__ import annotations

from collections.abc import Sequence

from trainsignal import keys
from trainsignal.callback import Callback
from trainsignal.errors import WiringError


def run_order(callbacks: Sequence[Callback]) -> list[Callback]:
    """Return the callbacks in running order: each next one is the earliest added that waits for nobody.

    Raises:
        WiringError: callbacks read each other's series in a circle.
    """
    waits_for = [_writers_before(index, callbacks) for index in range(len(callbacks))]
    ordered: list[int] = []
    waiting = list(range(len(callbacks)))
    while waiting:
        ready = next((index for index in waiting if waits_for[index].isdisjoint(waiting)), None)
        if ready is None:
            raise WiringError(_circle(waiting, waits_for, callbacks))
        ordered.append(ready)
        waiting.remove(ready)
    return [callbacks[index] for index in ordered]


def runs_after_handlers(callback: Callback) -> bool:
    """Return whether a callback runs after the handlers too, as one that saves the run has to."""
    return keys.RUN_STATE in callback.optional_reads


def _writers_before(reader: int, callbacks: Sequence[Callback]) -> set[int]:
    """Return the positions of the other callbacks that write what the one at `reader` reads."""
    read, rank = {*callbacks[reader].reads, *callbacks[reader].optional_reads}, _rank(callbacks[reader])
    return {
        index
        for index, callback in enumerate(callbacks)
        if callback is not callbacks[reader]
        and (any(keys.covers(callback.writes, key) for key in read) or _rank(callback) < rank)
    }


def _rank(callback: Callback) -> int:
    if runs_after_handlers(callback):
        return 2
    return 1 if keys.EVERYTHING in callback.optional_reads else 0


def _circle(waiting: list[int], waits_for: list[set[int]], callbacks: Sequence[Callback]) -> str:
    """Return the message that names one circle among those that wait."""
    path = [waiting[0]]
    while True:
        following = min(waits_for[path[-1]].intersection(waiting))
        if following in path:
            break
        path.append(following)
    names = [type(callbacks[index]).__name__ for index in [*path[path.index(following) :], following]]
    return (
        f"callbacks wait for each other: {' reads what is written by '.join(names)}. "
        "Split one of them in two: a callback that writes, and another that reads."
    )
