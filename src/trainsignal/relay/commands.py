"""What others ask of the run over the broker: answered at once, and done by the thread that trains."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from trainsignal.relay.broker import AccessDeniedError, Addition, Broker, WrongKeyError
from trainsignal.relay.messages import MessageError
from trainsignal.relay.requests import Answer, StopCommand
from trainsignal.relay.streams import MOST_REQUESTS, answers, commands

ACCEPTED: Final = "accepted: the run stops at its next minibatch or epoch"
REFUSED: Final = "the run was started without allow_remote_stop=True"
FOR_ANOTHER: Final = "it was meant for another run of this name"

_logger = logging.getLogger(__name__)


class CommandDesk:
    """Reads the commands of a run that were written since this process began; used by the relay's thread.

    Args:
        run_id: of the run.
        process: of the run; see `RunEntry`.
        on_stop: called when there is something in `stops`.
        allow_stop: whether the run may be stopped from afar.
        clock: seconds, monotonic.

    Attributes:
        stops: what the thread that trains has to take from the left, and do.
    """

    def __init__(
        self,
        run_id: str,
        process: str,
        on_stop: Callable[[], object] = lambda: None,
        *,
        allow_stop: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stops: deque[StopCommand] = deque()
        self._own = (run_id, process)
        self._on_stop = on_stop
        self._allows_stop = allow_stop
        self._clock = clock
        self._began_s = clock()
        self._after: str | None = None
        self._has_told = False

    def serve(self, broker: Broker, run_name: str) -> None:
        """Take and answer what has come.

        A broker that takes messages and gives no requests is told of once.

        Raises:
            RelayError: the broker cannot be reached.
        """
        if self._after is None:  # what was asked of an earlier process is not obeyed
            began_ms = broker.now_ms() - round((self._clock() - self._began_s) * 1000)
            self._after = f"{began_ms}-0"
        try:
            self._serve(broker, run_name, self._after)
        except (WrongKeyError, AccessDeniedError) as error:
            self._tell(f"requests to this run are not heard, or not answered: {error}")

    def _serve(self, broker: Broker, run_name: str, after: str) -> None:
        stream = commands(run_name)
        for entry in broker.read({stream: after}).get(stream, []):
            self._after = entry.id
            try:
                command = StopCommand.decode(entry.text)
            except MessageError as error:
                self._tell(f"the relay passes over commands that are none: {error}")
                continue
            broker.append([Addition(answers(run_name), self._answer(command).encode(), MOST_REQUESTS)])

    def _answer(self, command: StopCommand) -> Answer:
        if (command.run_id, command.process) != self._own:
            return Answer(command.id, accepted=False, text=FOR_ANOTHER)
        if not self._allows_stop:
            return Answer(command.id, accepted=False, text=REFUSED)
        self.stops.append(command)
        self._on_stop()
        return Answer(command.id, accepted=True, text=ACCEPTED)

    def _tell(self, words: str) -> None:
        if not self._has_told:
            self._has_told = True
            _logger.warning("%s", words)
