"""What the benchmarks time: trainsignal's container, and bare loops beside it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import blinker

from benchmarks.harness import Case
from trainsignal import Callback, Callbacks, ProgressBarCallback

Loop: TypeAlias = Callable[[range], object]
"""Goes through the minibatches of an epoch and publishes each."""

MINIBATCHES = 1000
"""Minibatches in a timed epoch: a millisecond or so, short enough to find the machine quiet now and then."""


class FakeCost:
    """A cost object that holds a number."""

    cost = 0.5


class FakeModel:
    """A model that computes nothing, with what neon's default callbacks ask of one."""

    def __init__(self, minibatches: int = MINIBATCHES) -> None:
        self.cost = FakeCost()
        self.total_cost = 0.5
        self.nbatches = minibatches
        self.ndata = 32 * minibatches
        self.finished = False
        self.epoch_index = 0


class SilentEnd(Callback):
    """Hears `minibatch_end` and does nothing."""

    def on_minibatch_end(self, callback_data: object, model: Any, epoch: int, minibatch: int) -> None:
        """Do nothing."""


class Silent(SilentEnd):
    """Hears `minibatch_begin` too."""

    def on_minibatch_begin(self, callback_data: object, model: Any, epoch: int, minibatch: int) -> None:
        """Do nothing."""


def with_callbacks(callbacks: list[Callback]) -> Callbacks:
    """Return a container with these callbacks, in a run that has begun, without an archive."""
    container = Callbacks(FakeModel())
    container.callbacks = callbacks
    container.on_train_begin(None)
    return container


def with_defaults(path: Path, model: Any, epochs: int | None) -> Callbacks:
    """Return a container with neon's default callbacks and an archive at `path`; its run has begun.

    No terminal: the progress bar writes a plain line an epoch, into memory.
    """
    container = Callbacks(model, output_file=path)
    container.callbacks = [
        ProgressBarCallback(stream=io.StringIO()) if isinstance(one, ProgressBarCallback) else one
        for one in container.callbacks
    ]
    container.on_train_begin(epochs)
    return container


def end_case(name: str, container: Callbacks) -> Case:
    """Publish `minibatch_end` alone."""

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            container.on_minibatch_end(0, minibatch)

    return _epoch_case(name, container, run)


def both_case(name: str, container: Callbacks) -> Case:
    """Publish `minibatch_begin` and `minibatch_end`."""

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            container.on_minibatch_begin(0, minibatch)
            container.on_minibatch_end(0, minibatch)

    return _epoch_case(name, container, run)


def _epoch_case(name: str, container: Callbacks, loop: Loop) -> Case:
    epochs = count()
    return Case(
        name,
        partial(_run, loop),
        MINIBATCHES,
        before=lambda: container.on_epoch_begin(next(epochs)),
        after=lambda: container.on_epoch_end(container.run.epoch),
    )


def loop_case(name: str, loop: Loop) -> Case:
    """Run a loop that needs no epochs."""
    return Case(name, partial(_run, loop), MINIBATCHES)


def _run(loop: Loop) -> None:
    loop(range(MINIBATCHES))


def empty_loop(minibatches: range) -> None:
    """Publish nothing: what the others are counted from."""
    for _ in minibatches:
        pass


def truth_test() -> Loop:
    """Return a function call an event, which asks whether anybody listens."""
    receivers: list[Any] = []

    def publish(epoch: int, minibatch: int) -> None:
        if receivers:
            raise AssertionError((epoch, minibatch))

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            publish(0, minibatch)

    return run


def bare_loop(receivers: int) -> Loop:
    """Return a loop over bound methods in the place where it is needed: nothing can be cheaper."""
    methods = [SilentEnd().on_minibatch_end for _ in range(receivers)]
    model = FakeModel()

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            for method in methods:
                method(None, model, 0, minibatch)

    return run


def if_around_bare_loop(receivers: int, every: int) -> Loop:
    """Return the bare loop behind an `if` for the whole of it."""
    methods = [SilentEnd().on_minibatch_end for _ in range(receivers)]
    model = FakeModel()

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            if (minibatch + 1) % every == 0:
                for method in methods:
                    method(None, model, 0, minibatch)

    return run


def neon_rule(receivers: int, every: int = 1) -> Loop:
    """Return neon's way: at each event each callback is asked whether it fires."""

    class Naive:
        def __init__(self) -> None:
            self.minibatch_freq: int | list[int] = every

        def should_fire(self, callback_data: object, model: Any, time: int, freq: int | list[int]) -> bool:
            if isinstance(freq, int):
                return (time + 1) % freq == 0
            return time in freq

        def on_minibatch_end(self, callback_data: object, model: Any, epoch: int, minibatch: int) -> None:
            pass

    callbacks = [Naive() for _ in range(receivers)]
    model = FakeModel()

    def publish(epoch: int, minibatch: int) -> None:
        for callback in callbacks:
            if callback.should_fire(None, model, minibatch, callback.minibatch_freq):
                callback.on_minibatch_end(None, model, epoch, minibatch)

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            publish(0, minibatch)

    return run


def blinker_send(receivers: int) -> Loop:
    """Return blinker's own `send`, to functions that are held strongly."""
    signal = blinker.Signal()
    model = FakeModel()

    def receiver(number: int) -> Callable[..., None]:
        def receive(sender: Any, epoch: int, minibatch: int) -> None:
            assert number >= 0  # a closure of its own: blinker connects one function once

        return receive

    for number in range(receivers):
        signal.connect(receiver(number), weak=False)

    def run(minibatches: range) -> None:
        for minibatch in minibatches:
            signal.send(model, epoch=0, minibatch=minibatch)

    return run
