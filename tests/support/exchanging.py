"""Ranks that evaluate together, as threads of which one runs at a time, until it waits for the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from tests.support.runs import quiet
from trainsignal import Callback, Callbacks

_Result = TypeVar("_Result")

TIMEOUT_S = 20.0


class _Meeting:
    """Where the ranks of a test wait for each other, and the baton that one of them has at a time."""

    def __init__(self, size: int) -> None:
        self.baton = threading.Lock()
        self._given: list[Any] = [None] * size
        self._barrier = threading.Barrier(size, timeout=TIMEOUT_S)
        self._ended = 0

    def exchange(self, rank: int, kind: tuple[str, int], value: Any) -> list[Any]:
        """Return what all ranks give; each gives the same kind of thing."""
        assert not self._ended, f"rank {rank} exchanges {kind}, and another rank has ended"
        self._given[rank] = (kind, value)
        self.baton.release()
        try:
            self._barrier.wait()
            given = list(self._given)
            self._barrier.wait()
        finally:
            self.baton.acquire()
        kinds = [one for one, _ in given]
        assert kinds == [kind] * len(kinds), f"ranks exchange {kinds}"
        return [value for _, value in given]

    def end(self) -> None:
        """Have those fail that wait for this rank, or will."""
        self._ended += 1
        if self._barrier.n_waiting:
            self._barrier.abort()


class ExchangingRank:
    """An `Exchange` of one of several ranks; remembers what it exchanged: kind and length."""

    def __init__(self, rank: int, meeting: _Meeting) -> None:
        self.rank = rank
        self.calls: list[tuple[str, int]] = []
        self._meeting = meeting

    def sum(self, values: Any) -> Any:
        assert values.dtype == np.float64 and values.ndim == 1 and values.size
        self.calls.append(("sum", len(values)))
        return np.sum(self._meeting.exchange(self.rank, self.calls[-1], values.copy()), axis=0)

    def gather(self, content: bytes) -> list[bytes]:
        self.calls.append(("gather", 1))
        return self._meeting.exchange(self.rank, self.calls[-1], bytes(content))


def on_ranks(size: int, work: Callable[[ExchangingRank], _Result]) -> list[_Result]:
    """Return what `work` returns on each rank.

    The first error of a rank is raised. Ranks that exchange different things fail the test, and so does one
    that waits for a rank that has ended.
    """
    meeting = _Meeting(size)
    results: dict[int, _Result] = {}
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        with meeting.baton:
            try:
                results[rank] = work(ExchangingRank(rank, meeting))
            except BaseException as error:  # noqa: BLE001  # raised below, in the test's own thread
                error.add_note(f"on rank {rank}")
                errors.append(error)
            finally:
                meeting.end()

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * TIMEOUT_S)
        assert not thread.is_alive(), "a rank has not ended"
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    if errors:
        raise errors[0]
    return [results[rank] for rank in range(size)]


def trained_on(
    exchange: ExchangingRank,
    model: Any,
    callbacks: Sequence[Callback],
    *,
    epochs: int = 1,
    riders: Sequence[float] = (),
    only_here: Sequence[Callback] = (),
    **options: Any,
) -> tuple[Callbacks, list[list[float]]]:
    """Run a rank's callbacks to the end of a run, and return the container and the riders' sums by epoch."""
    made = quiet(model, **options)
    made.callbacks = list(callbacks)
    evaluations = made.run.evaluations
    evaluations.exchange, made.run.rank = exchange, exchange.rank
    sums: list[list[float]] = []
    made.bus.subscribe(
        "epoch_end",
        lambda epoch: sums.append(evaluations.prepare(model, epoch, np.array(riders, np.float64)).tolist()),
        first=True,
    )
    made.on_train_begin(epochs)
    evaluations.arrange(made._bound, only_here)
    for epoch in range(epochs):
        made.on_epoch_begin(epoch)
        made.on_epoch_end(epoch)
        evaluations.finish(model)
    made.on_train_end()
    return made, sums
