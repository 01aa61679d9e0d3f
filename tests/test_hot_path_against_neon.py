"""The minibatch calls against neon's loop over all callbacks: the same hooks, in the same order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import naive_fires, periods
from tests.support.events import WARM_UP, Event, Journalist, container, drive
from trainsignal import Bus, Callback

# Against neon's loop: callbacks of every kind, which change frequencies amid the run.

SIGNALS = ("minibatch_begin", "minibatch_end")
short_lists: st.SearchStrategy[Any] = st.lists(st.integers(0, 15), max_size=4, unique=True)
freqs: st.SearchStrategy[Any] = st.one_of(
    st.just(1), periods, st.none(), short_lists, short_lists.map(tuple), short_lists.map(np.array)
)


class OddTimes(Journalist):
    """Has a rule of its own, which also looks at its frequency."""

    def should_fire(self, callback_data: Any, model: Any, time: int, freq: Any) -> bool:
        return time % 2 == 1 or naive_fires(freq, time)


class ClassLevel(Journalist):
    """Shadows the library's attribute, as neon's users do; a change on the instance counts."""

    minibatch_freq = 3

    def __init__(self, name: str, journal: list[Event], act: Callable[[Event], object]) -> None:
        self.name, self.journal, self.act = name, journal, act


class EndOnly(Callback):
    """Has a hook at one of the two signals only, and shares its `act` with the others."""

    def __init__(self, name: str, journal: list[Event], act: Callable[[Event], object]) -> None:
        super().__init__()
        self.name, self.journal, self.act = name, journal, act

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        event = (self.name, "minibatch_end", epoch, minibatch)
        self.journal.append(event)
        self.act(event)


KINDS: tuple[Callable[..., Any], ...] = (Journalist, OddTimes, ClassLevel, EndOnly)


@dataclass
class Change:
    """When `actor` handles one signal at one position, `target` gets another frequency."""

    actor: str
    signal: str
    epoch: int
    minibatch: int
    target: str
    freq: Any

    @property
    def event(self) -> Event:
        return (self.actor, self.signal, self.epoch, self.minibatch)


@dataclass
class Scenario:
    """Callbacks by kind and frequency, epochs by length, and what changes on the way."""

    kinds: list[int]
    freqs: list[Any]
    lengths: list[int]
    changes: list[Change]

    def cast(self, journal: list[Event]) -> list[Any]:
        """Return the callbacks, which write into `journal` and carry out the changes."""
        made: dict[str, Any] = {}

        def act(event: Event) -> None:
            for change in self.changes:
                if change.event == event:
                    made[change.target].minibatch_freq = change.freq

        for number, (kind, freq) in enumerate(zip(self.kinds, self.freqs, strict=True)):
            name = f"c{number}"
            made[name] = KINDS[kind](name, journal, act)
            if freq is not ...:
                made[name].minibatch_freq = freq
        return list(made.values())


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    count = draw(st.integers(1, 5))
    names = st.sampled_from([f"c{number}" for number in range(count)])
    kinds = draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3]), min_size=count, max_size=count))
    lengths = [WARM_UP, *draw(st.lists(st.integers(0, 20), min_size=1, max_size=4))]
    change = st.builds(
        Change,
        names,
        st.sampled_from(SIGNALS),
        st.integers(1, len(lengths) - 1),
        st.integers(0, 19),
        names,
        freqs,
    )
    first = [draw(freqs if kind != 2 else st.one_of(st.just(...), freqs)) for kind in kinds]
    return Scenario(kinds, first, lengths, draw(st.lists(change, max_size=6)))


def neons_loop(callbacks: list[Any], lengths: list[int]) -> None:
    """Drive the callbacks as neon's container does: ask each one, at each event, in order."""
    for epoch, length in enumerate(lengths):
        for minibatch in range(length):
            for hook in ("on_minibatch_begin", "on_minibatch_end"):
                for callback in callbacks:
                    if isinstance(callback, OddTimes):
                        fires = callback.should_fire(None, None, minibatch, callback.minibatch_freq)
                    else:
                        fires = naive_fires(callback.minibatch_freq, minibatch)
                    if fires:
                        getattr(callback, hook)(None, None, epoch, minibatch)


def minibatches_of(journal: list[Event]) -> list[Event]:
    return [event for event in journal if event[1] in SIGNALS]


@given(scenarios())
@settings(max_examples=150, deadline=None)
def test_the_calls_are_those_of_neons_loop_over_all_callbacks(scenario: Scenario) -> None:
    ours: list[Event] = []
    neons: list[Event] = []

    drive(container(*scenario.cast(ours)), scenario.lengths)
    neons_loop(scenario.cast(neons), scenario.lengths)

    assert minibatches_of(ours) == neons


# Against a plain list: handlers that come and go amid a minibatch.


@dataclass
class Step:
    """At one event, `actor` subscribes a handler or cancels one."""

    actor: str
    minibatch: int
    cancels: str | None
    every: int = 1
    first: bool = False


@dataclass
class Listener:
    """What the plain list holds of a handler."""

    name: str
    every: int
    first: bool


@dataclass
class Reference:
    """The handlers of one signal as a list, published to by a loop over a copy of it."""

    steps: list[Step]
    listeners: list[Listener]
    journal: list[Event] = field(default_factory=list)
    made: int = 0

    def publish(self, minibatch: int) -> None:
        for listener in sorted(self.listeners, key=lambda one: not one.first):
            if listener in self.listeners and naive_fires(listener.every, minibatch):
                self.journal.append((listener.name, minibatch))
                self.act(listener.name, minibatch)

    def act(self, name: str, minibatch: int) -> None:
        for step in self.steps:
            if (step.actor, step.minibatch) != (name, minibatch):
                continue
            if step.cancels is None:
                self.listeners.append(Listener(f"new{self.made}", step.every, step.first))
                self.made += 1
            else:
                self.listeners = [one for one in self.listeners if one.name != step.cancels]


class Subscriber:
    """Does the same with subscriptions of a bus."""

    def __init__(self, bus: Bus, steps: list[Step], listeners: list[Listener]) -> None:
        self.bus, self.steps = bus, steps
        self.journal: list[Event] = []
        self.subscriptions: dict[str, Any] = {}
        for one in listeners:
            self.subscribe(one)

    def subscribe(self, one: Listener) -> None:
        def handler(minibatch: int) -> None:
            self.journal.append((one.name, minibatch))
            self.act(one.name, minibatch)

        self.subscriptions[one.name] = self.bus.subscribe(
            "minibatch_end", handler, every=one.every, first=one.first
        )

    def act(self, name: str, minibatch: int) -> None:
        for step in self.steps:
            if (step.actor, step.minibatch) != (name, minibatch):
                continue
            if step.cancels is None:
                made = sum(one.startswith("new") for one in self.subscriptions)
                self.subscribe(Listener(f"new{made}", step.every, step.first))
            elif step.cancels in self.subscriptions:
                self.subscriptions[step.cancels].cancel()


handler_names = st.sampled_from(["h0", "h1", "h2", "new0", "new1"])
steps = st.lists(
    st.builds(
        Step, handler_names, st.integers(WARM_UP, WARM_UP + 15), st.one_of(st.none(), handler_names),
        st.integers(1, 3), st.booleans(),
    ),
    max_size=8,
)  # fmt: skip
listeners = st.tuples(
    *[st.builds(Listener, st.just(f"h{n}"), st.integers(1, 3), st.booleans()) for n in range(3)]
)


@given(steps, listeners)
@settings(max_examples=150, deadline=None)
def test_handlers_that_come_and_go_amid_a_minibatch_are_called_as_a_plain_list_would(
    steps: list[Step], listeners: tuple[Listener, ...]
) -> None:
    callbacks = container()
    ours = Subscriber(callbacks.bus, steps, list(listeners))
    plain = Reference(steps, list(listeners))

    drive(callbacks, [WARM_UP + 20])
    for minibatch in range(WARM_UP + 20):
        plain.publish(minibatch)

    assert ours.journal == plain.journal
