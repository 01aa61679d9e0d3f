"""`RelaySender`: listens to the bus of a run and puts what it hears into the outbox of its relay.

All of it runs in the thread that trains. A broker is waited for at the end alone, and its errors are none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

from trainsignal.relay.broker import Broker
from trainsignal.relay.catalogue import Catalogue
from trainsignal.relay.commands import CommandDesk
from trainsignal.relay.courier import Courier
from trainsignal.relay.delivery import Delivery
from trainsignal.relay.identity import default_name, ending_of, entry_of
from trainsignal.relay.messages import LONGEST_NAME, MINIBATCHES
from trainsignal.relay.outbox import Outbox
from trainsignal.relay.pace import Pace
from trainsignal.relay.plain_payload import plain_parts, short
from trainsignal.relay.rows import Span
from trainsignal.relay.settings import Relay
from trainsignal.run import TrainingRun
from trainsignal.run_link import ExitReason
from trainsignal.shared_data.foreign import READ_ERRORS
from trainsignal.signals import COMMON_PAYLOAD

BLOCK_EVERY_S: Final = 0.2
"""So often, in seconds, the minibatches since the last time become one message."""

_MOST_CALLBACKS: Final = 500

_T = TypeVar("_T")
_logger = logging.getLogger(__name__)


class RelaySender:
    """Tells of one run, from its `train_begin` to its `run_closed`.

    Args:
        run: that has not begun; signals of the user's own that are to be told are declared on its bus.
        settings: where to, and what.
        callbacks: returns those that take part, in order, when the run begins.

    Raises:
        UnknownSignalError: no signal of a name in `settings.signals`.
    """

    def __init__(self, run: TrainingRun, settings: Relay, callbacks: Callable[[], Iterable[object]]) -> None:
        self._run = run
        self._settings = settings
        self._callbacks = callbacks
        self._catalogue = Catalogue(run.data, settings.series)
        self._is_blind = False  # whether the shared data could not be read
        self._strange: set[str] = set()  # signals with parts that could not be told
        self._next: int | None = None  # the minibatch of the epoch to tell next; None: none has begun
        self._told = 0  # minibatches of which rows were told, over all epochs, those of before included
        self._epoch_began_at = 0  # the first of these that this epoch has told
        self._is_first_epoch = self._is_first_block = True
        self._pace = Pace(BLOCK_EVERY_S, run.bus.clock)
        self._outbox: Outbox
        self._desk: CommandDesk
        self._courier: Courier | None = None
        subscribe = run.bus.subscribe
        for name in settings.signals:
            subscribe(name, self._teller_of(name))
        subscribe("train_begin", self._train_begin)
        subscribe("epoch_begin", self._epoch_begin)
        self._asking = subscribe("minibatch_end", self._minibatch_end, every=self._pace.stride)
        self._awaiting = subscribe("minibatch_begin", self._begin_at, once=True)
        subscribe("epoch_end", self._epoch_end)
        subscribe("checkpoint_saved", self._checkpoint_saved)
        subscribe("stop_requested", self._stop_requested)
        subscribe("train_end", self._train_end)
        subscribe("run_closed", self._run_closed)

    def close(self, reason: ExitReason) -> None:
        """Deliver what is left, as far as that goes in the time that the settings give; may be called twice.

        Args:
            reason: what the list of runs says of the run from then on.
        """
        courier, self._courier = self._courier, None
        if courier is not None and self._run.is_in_its_process:
            courier.close(reason, self._settings.closing_s)

    def _train_begin(self, epochs: int | None) -> None:
        run, settings = self._run, self._settings
        entry = entry_of(run.run_id, allow_remote_stop=settings.allow_remote_stop)
        self._outbox = Outbox(run.run_id, settings.queue_size, settings.trimmed_to, process=entry.process)
        self._desk = CommandDesk(
            run.run_id,
            entry.process,
            lambda: run.minibatch_end.call_soon(self._obey),
            allow_stop=settings.allow_remote_stop,
        )
        delivery = Delivery(
            Broker(settings.url),
            self._outbox,
            self._desk,
            settings.run_name or default_name(run.run_id),
            entry,
            settings.trimmed_to,
        )
        self._courier = Courier(delivery, self._outbox)
        self._told = self._epoch_began_at = run.minibatches_complete
        self._look()
        names = [type(callback).__name__[:LONGEST_NAME] for callback in self._callbacks()]
        content = {
            "epochs": epochs,
            "minibatches_per_epoch": run.minibatches_per_epoch,
            "model": type(run.model).__name__[:LONGEST_NAME],
            "callbacks": names[:_MOST_CALLBACKS],
            "resumed": run.is_resumed,
            "epochs_complete": run.epochs_complete,
            "minibatches_complete": run.minibatches_complete,
            "series": [],
        }
        self._put("train_begin", content)
        self._courier.start()

    def _epoch_begin(self, epoch: int) -> None:
        self._next, self._is_first_block = None, True
        self._look()
        if self._is_first_epoch and self._run.is_resumed:  # by now it has what an earlier process left
            self._read(self._catalogue.pass_over_epochs)
        self._put("epoch_begin", {"epoch": epoch})
        self._awaiting.cancel()  # an epoch may have had no minibatch
        self._awaiting = self._run.bus.subscribe("minibatch_begin", self._begin_at, once=True)
        self._obey()

    def _begin_at(self, minibatch: int) -> None:
        """Note the first minibatch of an epoch: that of one that is gone on with is not 0."""
        self._next = minibatch
        self._epoch_began_at = self._run.minibatches_complete + minibatch
        if self._is_first_epoch:
            self._told = self._epoch_began_at
            self._catalogue.begin_at(self._told)
        self._is_first_epoch = False

    def _minibatch_end(self, minibatch: int) -> None:
        cost, stride = self._run.minibatch_cost, self._pace.stride
        if not self._pace.is_over(self._run.minibatches_complete + minibatch + 1):
            return
        if self._pace.stride != stride:
            self._asking.cancel()
            self._asking = self._run.bus.subscribe(
                "minibatch_end", self._minibatch_end, every=self._pace.stride
            )
        cost.settle(wait=False)  # may raise, as when looking
        if self._is_first_block and not cost.is_late:
            self._look()
            self._is_first_block = False
        self._tell_minibatches(minibatch + 1)

    def _epoch_end(self, epoch: int) -> None:
        run = self._run
        self._look()
        self._tell_minibatches(run.epoch_minibatches)
        if run.ranks is not None:  # which have put means over all of them into the rows just now
            self._catalogue.begin_at(self._epoch_began_at)
        rows = self._closing_rows()
        self._put("epoch_end", {"epoch": epoch, "minibatches": run.epoch_minibatches, "rows": rows})
        self._catalogue.tell_of_missing()
        self._obey()

    def _checkpoint_saved(self, path: str, epoch: int, minibatch: int) -> None:
        self._tell_minibatches(self._run.epoch_minibatches)
        self._put("checkpoint_saved", {"path": short(path), "epoch": epoch, "minibatch": minibatch})

    def _stop_requested(self, reason: str, author: str) -> None:
        self._tell_minibatches(self._run.epoch_minibatches)
        self._put("stop_requested", {"reason": short(reason), "author": short(author)})

    def _train_end(self) -> None:
        self._put("train_end", {})

    def _run_closed(self, reason: ExitReason) -> None:
        rows: dict[str, Span] = {}
        try:
            self._look()
            self._tell_minibatches(self._run.epoch_minibatches)
            rows = self._closing_rows()
            self._catalogue.tell_of_left_out()
        finally:
            self._put("run_closed", {**ending_of(self._run, reason), "rows": rows})
            self.close(reason)

    def _teller_of(self, name: str) -> Callable[..., None]:
        """Return a handler that tells of a signal of the user's own."""

        def tell(**payload: Any) -> None:
            own = {part: value for part, value in payload.items() if part not in COMMON_PAYLOAD}
            parts, left_out = plain_parts(own)
            if left_out and name not in self._strange:
                self._strange.add(name)
                _logger.warning("the relay leaves out of the signal %r what is not plain: %s", name, left_out)
            self._put(name, {"payload": parts}, is_durable=False)

        return tell

    def _tell_minibatches(self, done: int) -> None:
        """Tell of the minibatches of this epoch, from the next one to the one before `done`."""
        run, catalogue = self._run, self._catalogue
        while self._next is not None and self._next < done:
            last = min(done, self._next + catalogue.rows_in_a_block) - 1
            self._told = run.minibatches_complete + last + 1
            rows = self._read(partial(catalogue.minibatch_rows, self._told)) or {}
            content = {"epoch": run.epoch, "first": self._next, "last": last, "rows": rows, "thinned": 0}
            self._put(MINIBATCHES, content, is_durable=False)
            self._next = last + 1

    def _closing_rows(self) -> dict[str, Span]:
        return self._read(partial(self._catalogue.closing_rows, self._told)) or {}

    def _put(self, signal: str, content: Mapping[str, Any], *, is_durable: bool = True) -> None:
        """Have a message delivered, with the series that are to be announced."""
        if self._courier is None or not self._run.is_in_its_process:
            return
        can_announce = is_durable or signal == MINIBATCHES
        announced = self._catalogue.announcement(is_durable=is_durable) if can_announce else []
        self._outbox.put(
            signal, {**content, "series": announced} if announced else content, is_durable=is_durable
        )

    def _obey(self) -> None:
        """Do what was asked for from afar and accepted."""
        while self._desk.stops:
            command = self._desk.stops.popleft()
            if self._run.is_open:
                self._run.request_stop(short(command.reason), short(command.author))

    def _look(self) -> None:
        """Find series that are new; waits for a device, at an epoch's end as the next one's begin does."""
        self._run.minibatch_cost.settle()  # may raise what a device says, which is an error of the training
        self._read(partial(self._catalogue.look, self._told))

    def _read(self, read: Callable[[], _T]) -> _T | None:
        """Return what is read of the shared data; None, from then on, where it cannot be read."""
        if not self._is_blind:
            try:
                return read()
            except READ_ERRORS as error:
                self._is_blind = True
                _logger.warning("the relay tells of no more series: %s", error)
        return None
