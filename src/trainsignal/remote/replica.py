"""`Replica`: a run that goes on elsewhere, as an ordinary `Callbacks` object here, driven by its messages.

Is told in order what happens, and publishes it; where messages are missing, what must have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainsignal.callback import Callback
from trainsignal.container import Callbacks
from trainsignal.distributed import SingleProcess
from trainsignal.errors import MissingAbilityError
from trainsignal.notes import Checkpoint, StopVote
from trainsignal.receiver import note_author
from trainsignal.relay.messages import MessageError
from trainsignal.remote.announced import Series
from trainsignal.remote.contents import (
    CheckpointSaved,
    Content,
    EpochBegin,
    EpochEnd,
    Minibatches,
    OwnSignal,
    RunClosed,
    StopRequested,
)
from trainsignal.remote.endings import RemoteInterrupt, error_of
from trainsignal.remote.handlers import Handler, Handlers
from trainsignal.remote.model import RemoteModel
from trainsignal.remote.past import Past
from trainsignal.remote.placing import describe, describe_ending, note_checkpoint, number_on, place, skip_to
from trainsignal.remote.series import RemoteSeriesCallback, raw_cost, write


@dataclass(frozen=True, slots=True)
class Wiring:
    """Who listens to the replicas.

    Attributes:
        callbacks: makes the callbacks of one run.
        handlers: name of a signal, and who is called at it.
        archive: tells where the archive of a run is to be; None: nowhere.
        ask_to_stop: is given the model, and reason and author of a callback's vote to stop its run.
    """

    callbacks: Callable[[RemoteModel], Iterable[Callback]]
    handlers: Sequence[tuple[str, Handler]]
    archive: Callable[[RemoteModel], str | Path | None]
    ask_to_stop: Callable[[RemoteModel, str, str], object] = lambda model, reason, author: None


class Replica:
    """One process of a remote run.

    Attributes:
        callbacks: the container that is driven.
    """

    def __init__(
        self, model: RemoteModel, series: Sequence[Series], wiring: Wiring, *, knows_all: bool
    ) -> None:
        """Prepare a replica that has not begun.

        Args:
            model: tells which run it is.
            series: those known so far.
            wiring: who listens.
            knows_all: whether the run has told of all series that it begins with.
        """
        self.callbacks = Callbacks(
            model, output_file=wiring.archive(model), progress_bar=False, communicator=SingleProcess()
        )
        self._run = self.callbacks.run
        self._model = model
        self._ask_to_stop = wiring.ask_to_stop
        self._handlers = Handlers(self.callbacks.bus, wiring.handlers)
        self._series = RemoteSeriesCallback(series, are_all=knows_all)
        self._is_remote_vote = False
        self._ending: RunClosed | None = None
        self._has_news = False
        self._next_epoch = 0
        self.callbacks.callbacks = [self._series, *wiring.callbacks(model)]

    @property
    def is_open(self) -> bool:
        """Whether the run goes on, as far as is known here."""
        return self._run.is_open

    def begin(self, past: Past, *, is_heard: bool) -> None:
        """Begin where the run stands.

        Args:
            past: what it has done so far.
            is_heard: whether handlers hear of the begin; else callbacks alone do, which cannot do without.

        Raises:
            TrainSignalError: what is wrong with the callbacks, as at home.
        """
        run, begin = self._run, past.begin
        run.run_id = self._model.run_id
        number_on(run, past)
        run.minibatches_per_epoch = None if begin is None else begin.minibatches_per_epoch
        self.callbacks.bus.subscribe("stop_requested", self._pass_on_vote, first=True)
        self.callbacks.bus.subscribe("run_closed", self._note_ending, first=True)
        if is_heard:
            self._handlers.connect()
        self._begin_training(None if begin is None else begin.epochs)
        describe(self.callbacks.callback_data, self._model, begin)
        place(self.callbacks, past)
        if past.epoch is not None:
            self._begin_epoch(past.epoch)
            skip_to(run, past.epoch_minibatches)
        if not is_heard:
            self._handlers.connect()

    def take(self, content: Content) -> None:
        """Publish what a message says.

        Raises:
            MessageError: it does not fit what was before; nothing was published.
            Exception: what a handler or a callback raised; the replica is closed then.
        """
        self._has_news = True
        match content:
            case EpochBegin():
                self._begin_epoch(content.epoch)
            case Minibatches():
                self._do_minibatches(content)
            case EpochEnd():
                self._end_epoch(content)
            case CheckpointSaved():
                self._save_checkpoint(content)
            case StopRequested():
                with self._remote_vote():
                    self._run.vote(content.reason, content.author, "minibatch")
            case RunClosed():
                self._close(content)
            case OwnSignal():
                signal = self._handlers.signal_for(content.name, content.payload)
                self.callbacks.bus.publish(signal, self._model, **content.payload)
            case _:  # a train begin makes a replica; the train end is told with the reason for it
                return

    def cut_short(self, words: str) -> None:
        """Publish that the run was interrupted, which it could not tell itself."""
        self.callbacks.close(RemoteInterrupt(words))

    def leave(self, words: str) -> None:
        """Close the replica of a run that may go on: callbacks clean up, handlers hear nothing of it."""
        self._handlers.disconnect()
        self.cut_short(words)

    def publish_if_due(self) -> None:
        """Have the archive show what has come since it was last published, unless that would be too soon."""
        if self._has_news and self.is_open:
            self._has_news = not self.callbacks.callback_data.publish_if_due()

    def _begin_training(self, epochs: int | None) -> None:
        try:
            self.callbacks.on_train_begin(epochs)
        except MissingAbilityError as error:
            raise MissingAbilityError(
                f"{error} The run {self._model.run_name!r} goes on elsewhere and has no model here: such a "
                "callback takes part in the run itself."
            ) from error

    def _begin_epoch(self, epoch: int) -> None:
        if epoch < self._next_epoch:
            raise MessageError(f"epoch {epoch} is over, or has begun before")
        self._next_epoch = epoch + 1
        self.callbacks.on_epoch_begin(epoch)

    def _do_minibatches(self, block: Minibatches) -> None:
        """Publish begin and end of each minibatch of a block, with its rows."""
        self._be_in(block.epoch)
        callbacks, run, cost = self.callbacks, self._run, self._run.minibatch_cost
        first, before = max(block.first, run.epoch_minibatches), run.minibatches_complete
        self._series.at_minibatches(callbacks.callback_data, block.rows, before + first)
        cost_of = raw_cost(block.rows)
        for minibatch in range(first, block.last + 1):
            cost.forget()
            callbacks.on_minibatch_begin(block.epoch, minibatch)
            told = cost_of(before + minibatch)
            if told is None:
                cost.tell_nothing()
            else:
                cost.set(told)
            callbacks.on_minibatch_end(block.epoch, minibatch)

    def _end_epoch(self, end: EpochEnd) -> None:
        self._be_in(end.epoch)
        skip_to(self._run, end.minibatches)
        self._series.at_epoch_end(end.rows)
        self.callbacks.on_epoch_end(end.epoch)
        self._run.minibatches_per_epoch = self._run.minibatches_per_epoch or end.minibatches

    def _save_checkpoint(self, saved: CheckpointSaved) -> None:
        note_checkpoint(self._run, Checkpoint(saved.path, saved.epoch, saved.minibatch))
        bus, where = self.callbacks.bus, {"epoch": saved.epoch, "minibatch": saved.minibatch}
        bus.publish(bus.checkpoint_saved, self._model, path=saved.path, **where)

    def _close(self, closed: RunClosed) -> None:
        """Publish that the run ended, and why."""
        self._ending = closed
        run = self._run
        write(self.callbacks.callback_data, closed.rows)
        error = error_of(closed.reason, closed.detail or "")
        if error is not None:
            note_author(error, closed.author or "loop")
            self.callbacks.close(error)
            return
        if closed.reason == "completed":
            run.votes.clear()
        elif not run.votes:
            vote = StopVote(closed.detail or "", closed.author or "", "minibatch", *run.position())
            run.votes.append(vote)
        self.callbacks.on_train_end()

    def _note_ending(self) -> None:
        """Have the archive give the remote run's own words for its end."""
        if self._ending is not None:
            describe_ending(self.callbacks.callback_data, self._ending)

    @contextmanager
    def _remote_vote(self) -> Generator[None]:
        self._is_remote_vote = True
        try:
            yield
        finally:
            self._is_remote_vote = False

    def _pass_on_vote(self, reason: str, author: str) -> None:
        """Send the vote of a callback to the run, which goes on here until the run itself says otherwise."""
        if not self._is_remote_vote:
            self._run.votes.pop()
            if self._ending is None:
                self._ask_to_stop(self._model, reason, author)

    def _be_in(self, epoch: int) -> None:
        """Be in an epoch, of which the begin may be missing, and the end of the one before it."""
        if not (self._run.is_in_epoch and self._run.epoch == epoch):
            self._begin_epoch(epoch)
