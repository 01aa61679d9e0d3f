"""`listen`: the signals of runs on other machines, published here as if they ran at home."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from trainsignal.callback import Callback
from trainsignal.errors import ConfigurationError, RelayError
from trainsignal.relay import streams
from trainsignal.relay.broker import AccessDeniedError, Addition, Broker, WrongKeyError
from trainsignal.relay.messages import Message
from trainsignal.remote.following import FollowedRun
from trainsignal.remote.handlers import Handler, check_handlers
from trainsignal.remote.model import RemoteModel
from trainsignal.remote.positions import Positions
from trainsignal.remote.reader import Reader
from trainsignal.remote.replica import Wiring
from trainsignal.remote.source import Source
from trainsignal.remote.stop import addition, stop_command
from trainsignal.remote.troubles import Troubles

_logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
"""Seconds within which a listener sees that it is to end, and that an archive is due."""

SHORTEST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
"""Seconds between attempts to reach a broker that is away, at first and in the long run."""


def listen(
    url: str,
    *,
    run: str | None = None,
    handlers: Sequence[tuple[str, Handler]] = (),
    callbacks: Callable[[RemoteModel], Iterable[Callback]] = lambda model: (),
    name: str | None = None,
    archive: Callable[[RemoteModel], str | Path | None] = lambda model: None,
    is_over: Callable[[], bool] = lambda: False,
) -> None:
    """Publish the signals of runs that are published on a broker, to handlers and callbacks here.

        listen("redis://broker", handlers=[("epoch_end", tell)], callbacks=lambda run: [CSVCallback("a.csv")])

    Every run has a bus, shared data and callbacks of its own here, as at home; the sender of its signals, the
    `model` of handlers and callbacks, is a `RemoteModel`, which tells the run and the number of the message.
    What the broker still has of a run is published too, from its begin. Nothing is published twice as long as
    `listen` runs, whatever becomes of the broker; a broker that is away is waited for.

    Args:
        url: redis://, rediss:// or unix:// address of the broker.
        run: name of the only run to listen to, which may come later; returns when that is over. None: all
            that there are and will be.
        handlers: name of a signal, and who is called at it, as `bus.subscribe` does; it may be a signal that
            the run declares itself.
        callbacks: makes the callbacks of a run, whenever one begins. Their votes to stop are sent to the run.
        name: a listener of this name that is started again goes on where the last one was. The message
            amid which it was killed comes again. At any time, one listener has the name.
        archive: tells where to write the archive of a run; None: nowhere.
        is_over: asked about twice a second whether to return.

    Raises:
        ConfigurationError: `url` is no such address, no run can be named `run`, or no listener `name`.
        MissingPackageError: redis-py is not installed.
        AccessDeniedError: the broker does not let us in.
        UnknownSignalError: the name of a handler's signal is misspelt.
        Exception: what a handler or a callback raised; the message amid which it did counts as not handled.
    """
    check_handlers(handlers)
    _check_names(run, name)
    with ExitStack() as stack:
        broker = Broker(url)
        stack.callback(broker.close)
        listener = Listener(broker, run, name, Wiring(callbacks, handlers, archive))
        stack.callback(listener.leave, "nobody listens to it any more here; the run itself may go on")
        listener.run(is_over)


def _check_names(run: str | None, name: str | None) -> None:
    """Refuse the name of a run, and that of a listener, which none can have.

    Raises:
        ConfigurationError: one of them is such a name.
    """
    if run is not None and not streams.is_run_name(run):
        raise ConfigurationError(
            f"run={run!r}: no run can have this name. `trainsignal view` shows those there are"
        )
    if name is not None and not (name.isprintable() and 0 < len(name) <= streams.LONGEST_NAME):
        raise ConfigurationError(f"name={name!r}: expected up to {streams.LONGEST_NAME} printable characters")


class Listener:
    """What `listen` does; its arguments are that function's.

    Attributes:
        troubles: what was wrong with what the runs sent.
    """

    def __init__(
        self, broker: Broker, run: str | None, name: str | None, wiring: Wiring, *,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:  # fmt: skip
        """Prepare.

        Args:
            broker: where the runs publish.
            run: the only one to listen to; None: all.
            name: under which the place is kept; None: it is not.
            wiring: who listens; votes to stop are sent to the runs, and given to its `ask_to_stop` too.
            pause: waits so many seconds.
        """
        self.troubles = Troubles()
        self._broker = broker
        self._wiring = replace(wiring, ask_to_stop=self._note_vote)
        self._pause = pause
        self._reader = Reader(broker, run, self.troubles, pause=pause)
        self._positions = Positions(broker, name)
        self._backlog: deque[tuple[Source, Message]] = deque()
        self._runs: dict[Source, FollowedRun] = {}
        self._commands: deque[tuple[str, Addition]] = deque()
        self._voters: set[tuple[str, float, str]] = set()
        self._has_connected = self._is_away = False

    def run(self, is_over: Callable[[], bool]) -> None:
        """Listen until `is_over` says so, or the only run to listen to is over; raises as `listen` does."""
        pause_s = SHORTEST_PAUSE_S
        while not (is_over() or self._reader.has_read_all):
            if self._reach(self._exchange):
                pause_s = SHORTEST_PAUSE_S
                self._work_off()
                for run in self._runs.values():
                    run.publish_if_due()
            else:
                self._rest(pause_s, is_over)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def leave(self, words: str) -> None:
        """Let go of all runs, which may go on: callbacks clean up, handlers hear nothing of it.

        Raises:
            BaseException: what a callback raised; all runs are let go of before that.
        """
        with ExitStack() as stack:
            for run in self._runs.values():
                stack.callback(run.leave, words)

    def _rest(self, seconds: float, is_over: Callable[[], bool]) -> None:
        """Wait, and see meanwhile whether to end."""
        while True:
            step = min(seconds, LOOK_EVERY_S)
            self._pause(step)
            seconds -= step
            if seconds <= 0 or is_over():
                return

    def _exchange(self) -> None:
        """Bring to the broker what is new here, and fetch what is new there."""
        self._positions.save()
        while self._commands:
            self._send(*self._commands[0])
            self._commands.popleft()
        if not self._backlog:
            self._backlog.extend(self._reader.poll(LOOK_EVERY_S))
        for source in {source for source, _ in self._backlog} - self._runs.keys():
            self._positions.find(source.name, source.entry.run_id, self.troubles)

    def _send(self, run: str, command: Addition) -> None:
        try:
            self._broker.append([command])
        except WrongKeyError as error:
            self.troubles.note(run, "strange key", f"it cannot be asked to stop: {error}")

    def _work_off(self) -> None:
        """Publish what was fetched, and note after each message that is not to come again how far that is."""
        while self._backlog:
            source, message = self._backlog[0]
            run = self._followed(source)
            self._backlog.popleft()
            run.deliver(message)
            source.is_done = run.is_over
            if message.durable is not None:
                self._positions.note(message.run_id, message.process, message.durable)
                if not self._is_away:
                    self._reach(self._positions.save)

    def _followed(self, source: Source) -> FollowedRun:
        """Return a run, followed from where the last listener of this name was, which is known by now."""
        run = self._runs.get(source)
        if run is None:
            seen = self._positions.find(source.name, source.entry.run_id, self.troubles)
            for of, other in self._runs.items():
                if of.name == source.name:
                    other.cut_short("another run has its name now")
            run = FollowedRun(source.name, source.entry, seen, self._wiring, self.troubles)
            self._runs[source] = run
        run.entry, run.name = source.entry, source.name
        return run

    def _note_vote(self, model: RemoteModel, reason: str, author: str) -> None:
        """Have the run asked to stop, once for each author."""
        voter = (model.run_id, model.started_at, author)
        run = next(one for one in self._runs.values() if one.is_of(model))
        if voter in self._voters or not run.is_running:
            return
        self._voters.add(voter)
        if not model.may_be_stopped:
            self.troubles.note(
                run.name, "refused stop",
                f"{author} would stop it ({reason}), but it takes no requests: start it with "
                "Relay(..., allow_remote_stop=True)",
            )  # fmt: skip
            return
        _logger.info("asking the run %r to stop: %s (%s)", run.name, reason, author)
        command = addition(run.name, stop_command(run.entry, reason, author or "callback"))
        self._commands.append((run.name, command))

    def _reach(self, action: Callable[[], object]) -> bool:
        """Do something that needs the broker; return whether it could be done.

        Raises:
            AccessDeniedError: the broker has never let us in.
        """
        try:
            action()
        except RelayError as error:
            if isinstance(error, AccessDeniedError) and not self._has_connected:
                raise
            self._reader.lose_places()
            if not self._is_away:
                _logger.warning("%s. It is tried again until it answers.", str(error).rstrip("."))
            self._is_away = True
            return False
        if self._is_away:
            _logger.info("the broker at %s answers again", self._broker.url)
            self._positions.save_all()
        self._has_connected, self._is_away = True, False
        return True
