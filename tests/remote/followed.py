"""A listener in memory: what its handlers and callbacks hear of a run whose messages are handed to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.remote.told import RUN, Telling, entry
from trainsignal import Callback, keys
from trainsignal.relay.messages import Message
from trainsignal.relay.requests import RunEntry
from trainsignal.remote.following import FollowedRun
from trainsignal.remote.handlers import Handler
from trainsignal.remote.model import RemoteModel
from trainsignal.remote.replica import Wiring
from trainsignal.remote.troubles import Troubles
from trainsignal.run_link import run_of
from trainsignal.signals import CATALOGUE


class Journal(Callback):
    """Notes what it is called with, and what the series hold at that moment.

    Attributes:
        heard: (hook, arguments..., {key: values that are not missing}).
    """

    optional_reads = (keys.EVERYTHING,)

    def __init__(self, *series: str) -> None:
        super().__init__()
        self.heard: list[tuple[Any, ...]] = []
        self._series = series

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self._note(callback_data, "train_begin", epochs)

    def on_epoch_begin(self, callback_data: Any, model: Any, epoch: int) -> None:
        self._note(callback_data, "epoch_begin", epoch)

    def on_minibatch_begin(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self._note(callback_data, "minibatch_begin", epoch, minibatch)

    def on_minibatch_end(self, callback_data: Any, model: Any, epoch: int, minibatch: int) -> None:
        self._note(callback_data, "minibatch_end", epoch, minibatch)

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        self._note(callback_data, "epoch_end", epoch)

    def on_train_end(self, callback_data: Any, model: Any) -> None:
        self._note(callback_data, "train_end")

    def on_run_closed(self, callback_data: Any, model: Any, reason: Any, error: Any) -> None:
        self._note(callback_data, "run_closed", reason)

    @property
    def calls(self) -> list[tuple[Any, ...]]:
        """What it was called with, without the series."""
        return [one[:-1] for one in self.heard]

    def _note(self, data: Any, *what: Any) -> None:
        self.heard.append((*what, {key: present(data, key) for key in self._series if key in data}))


def present(data: Any, key: str) -> list[Any]:
    """Return the numbers of a series that are not missing."""
    values = np.array(data[key][:])
    numbers: list[Any] = values[~np.isnan(values)].tolist()
    return numbers


class Listened:
    """A run that is followed in memory.

    Attributes:
        heard: what handlers of all signals were given: name and payload.
        numbers: of the messages at which they were.
        replicas: (model, run, shared data) of each replica, in order.
        asked: (reason, author) of votes that are for the run.
        followed: does it.
    """

    def __init__(
        self,
        *,
        seen: int | Mapping[str, int] = 0,
        callbacks: Callable[[], Iterable[Callback]] = lambda: (),
        handlers: Sequence[tuple[str, Handler]] = (),
        listed: RunEntry | None = None,
        archive: str | Path | None = None,
    ) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.numbers: list[int] = []
        self.asked: list[tuple[str, str]] = []
        self.models: list[RemoteModel] = []
        self.runs: list[Any] = []
        self.troubles = Troubles()
        first = [(spec.name, self._handler(spec.name, spec.payload)) for spec in CATALOGUE]
        wiring = Wiring(
            lambda model: [_Witness(self), *callbacks()], [*first, *handlers], lambda model: archive,
            lambda model, reason, author: self.asked.append((reason, author)),
        )  # fmt: skip
        self.followed = FollowedRun(
            RUN,
            listed or entry(),
            {"-": seen} if isinstance(seen, int) else seen,
            wiring,
            self.troubles,
        )

    def take(self, told: Telling | Iterable[Message]) -> Listened:
        """Work messages off."""
        for message in told.messages if isinstance(told, Telling) else told:
            self.followed.deliver(message)
        return self

    @property
    def data(self) -> Any:
        """Shared data of the latest replica."""
        return self.runs[-1].data

    def _handler(self, name: str, payload: tuple[str, ...]) -> Handler:
        def handle(**given: Any) -> None:
            self.heard.append((name, *(given[key] for key in payload)))
            self.numbers.append(given["run"].model.number)

        return handle


class _Witness(Callback):
    """Notes the run of each replica."""

    def __init__(self, listened: Listened) -> None:
        super().__init__()
        self._listened = listened

    def on_train_begin(self, callback_data: Any, model: Any, epochs: int) -> None:
        self._listened.models.append(model)
        self._listened.runs.append(run_of(self))
