"""A run and its listener, of which the listener, the broker between them, or both are killed again and again.

For a process that has imported this module and started no thread, of which run and listeners are forks.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Literal

from tests.support.redis_server import RedisServer
from tests.support.relayed_processes import RUN, hear, publish
from trainsignal.errors import TrainSignalError
from trainsignal.remote.stop import request_remote_stop

PATIENCE_S = 60.0
"""For the first epoch, the answer of the run, its end, and that of its listener."""

STOP_REASON = "the faults are over"

_LOOK_S = 0.01
_UNHURT_S = 0.6
"""At most, between two faults."""

_AWAY_S = 0.6
"""At most."""

_LONG_AWAY_S = 3.0
"""The last time: long enough to tell a run that waits for the broker from one that is slow."""

Target = Literal["broker", "listener", "both"]


@dataclass(frozen=True)
class Ordeal:
    """What becomes of a run.

    Attributes:
        folder: for all files; is not there yet.
        target: what is killed.
        faults: how often.
        is_persistent: whether the broker has, when it comes back, all that it had.
        seed: of the moments.
    """

    folder: Path
    target: Target
    faults: int
    is_persistent: bool
    seed: str


@dataclass(frozen=True)
class Heard:
    """A line of a listener.

    Attributes:
        process: number of the listener's process.
        number: of the message.
        what: signal and epoch.
    """

    process: int
    number: int
    what: str


@dataclass(frozen=True)
class Told:
    """What a run told and was heard of it.

    Attributes:
        published: signals and epochs, in order.
        heard: by the listener's processes, in order.
        epochs_while_away: ends of epochs during the longest time for which the target was away.
    """

    published: list[str]
    heard: list[Heard]
    epochs_while_away: int


class Actors:
    """The processes of one ordeal."""

    def __init__(self, ordeal: Ordeal, stack: ExitStack) -> None:
        self._processes = multiprocessing.get_context("fork")
        self._folder = ordeal.folder
        self._count = 0
        self.server = RedisServer(ordeal.folder / "redis", persistent=ordeal.is_persistent)
        stack.enter_context(self.server)
        self.run = self._processes.Process(target=publish, args=(ordeal.folder, self.server.url))
        stack.callback(_end, self.run)
        self.run.start()
        self.listener: ForkProcess
        self.start_listener()
        stack.callback(lambda: _end(self.listener))

    def start_listener(self) -> None:
        """Start a listener, of the same name as the ones before."""
        arguments = (self._folder, self.server.url, self._count)
        self.listener = self._processes.Process(target=hear, args=arguments)
        self._count += 1
        self.listener.start()

    def kill_listener(self) -> None:
        """Kill it.

        Raises:
            AssertionError: it has ended by itself.
        """
        assert self.listener.is_alive(), f"the listener ended with {self.listener.exitcode}: {self.log()}"
        _end(self.listener)

    def epochs_ended(self) -> int:
        """Return how many epochs of the run have ended."""
        return (self._folder / "published").read_text().count("epoch_end")

    def log(self) -> str:
        """Return the end of what run and listener have printed."""
        logs = [self._folder / "run.log", self._folder / "listener.log"]
        return "\n".join(f"-- {log.name}\n{log.read_text()[-4000:]}" for log in logs if log.exists())


def undergo(ordeal: Ordeal) -> Told:
    """Train amid faults, then have the run stopped and heard to its end; return what was told and heard.

    Raises:
        AssertionError: something ended that should not, or did not end in time.
    """
    ordeal.folder.mkdir()
    chance, heard = random.Random(ordeal.seed), ordeal.folder / "heard"
    with ExitStack() as stack:
        actors = Actors(ordeal, stack)
        _wait_until(lambda: heard.exists() and "epoch_end" in heard.read_text(), "the first epoch", actors)
        epochs_while_away = 0
        for fault in range(1, ordeal.faults + 1):
            time.sleep(chance.uniform(0, _UNHURT_S))
            away_s = _LONG_AWAY_S if fault == ordeal.faults else 0.0
            epochs_while_away = _hurt(actors, ordeal.target, chance, away_s)
        _ask_to_stop(actors)
        actors.run.join(PATIENCE_S)
        assert actors.run.exitcode == 0, f"the run ended with {actors.run.exitcode}: {actors.log()}"
        actors.listener.join(PATIENCE_S)
        assert actors.listener.exitcode == 0, f"the listener: {actors.listener.exitcode}: {actors.log()}"
    published = (ordeal.folder / "published").read_text().splitlines()
    lines = [_heard(line) for line in heard.read_text().splitlines()]
    return Told(published, lines, epochs_while_away)


def _hurt(actors: Actors, target: Target, chance: random.Random, away_s: float) -> int:
    """Kill the target, and start it again; return how many epochs ended in `away_s` of its absence."""
    kills: list[Callable[[], None]] = []
    starts: list[Callable[[], None]] = []
    if target != "listener":
        kills.append(actors.server.kill)
        starts.append(actors.server.start)
    if target != "broker":
        kills.append(actors.kill_listener)
        starts.append(actors.start_listener)
    _do(kills, chance)
    before = actors.epochs_ended()
    time.sleep(away_s)
    epochs = actors.epochs_ended() - before
    _do(starts, chance)
    return epochs


def _do(steps: list[Callable[[], None]], chance: random.Random) -> None:
    """Do all of them, in any order, sometimes at once."""
    chance.shuffle(steps)
    for step in steps:
        step()
        time.sleep(chance.uniform(0, _AWAY_S / len(steps)) if chance.random() < 0.7 else 0.0)


def _ask_to_stop(actors: Actors) -> None:
    """Have the run stop; it may be away from the broker for a moment, as is its name then.

    Raises:
        AssertionError: it does not answer in time.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            request_remote_stop(actors.server.url, RUN, STOP_REASON, timeout_s=PATIENCE_S)
        except TrainSignalError as error:
            assert time.monotonic() < deadline_s, f"{error}: {actors.log()}"
            time.sleep(_LOOK_S)
        else:
            return


def _wait_until(is_so: Callable[[], bool], what: str, actors: Actors) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"no {what} within {PATIENCE_S} s: {actors.log()}"
        time.sleep(_LOOK_S)


def _heard(line: str) -> Heard:
    process, number, what = line.split(maxsplit=2)
    return Heard(int(process), int(number), what)


def _end(process: ForkProcess) -> None:
    process.kill()
    process.join()
