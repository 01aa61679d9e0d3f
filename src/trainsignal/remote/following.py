"""`FollowedRun`: one remote run, from its first message to its last: its past, then its replica.

Decides what is published: what an earlier listener of the same name has handled is not published again, and
of a run whose begin is gone nothing before the next epoch.
"""

from __future__ import annotations

from collections.abc import Mapping

from trainsignal.relay.messages import Message, MessageError
from trainsignal.relay.requests import RUNNING, RunEntry
from trainsignal.remote.announced import Catalogue
from trainsignal.remote.contents import Content, EpochBegin, RunClosed, TrainBegin, content_of, storable
from trainsignal.remote.model import RemoteModel
from trainsignal.remote.past import Past
from trainsignal.remote.placing import rows_of
from trainsignal.remote.replica import Replica, Wiring
from trainsignal.remote.troubles import Troubles


class FollowedRun:
    """One run, identified by its `run_id`, through all processes that take part in it.

    Attributes:
        entry: how it is listed.
        is_over: whether the run has said that it ended; a resumed one begins again.
    """

    def __init__(
        self, name: str, entry: RunEntry, seen: Mapping[str, int], wiring: Wiring, troubles: Troubles
    ) -> None:
        """Begin to follow.

        Args:
            name: of the run.
            entry: how it is listed.
            seen: id of a process -> its last durable message that is not to be published again.
            wiring: who listens.
            troubles: where to tell what is wrong.
        """
        self.entry = entry
        self.is_over = False
        self._process, self._durable = "", 0  # of the last durable message of that process
        self._seen = seen
        self._wiring = wiring
        self._troubles = troubles
        self._catalogue = Catalogue(self._tell_of_rows)
        self._past = Past()
        self._replica: Replica | None = None
        self._name = name
        self._model = self._new_model(None)

    @property
    def name(self) -> str:
        """Name of the run, which is another one where it lost the first to another run."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = self._model.run_name = name

    @property
    def is_running(self) -> bool:
        """Whether the run lists itself as running."""
        return self.entry.state == RUNNING

    def is_of(self, model: RemoteModel) -> bool:
        """Return whether a model stands for this run."""
        return model is self._model

    def deliver(self, message: Message) -> None:
        """Work off the next message.

        Raises:
            Exception: what a handler or a callback raised.
        """
        if message.process != self._process:
            self._process, self._durable = message.process, 0
        before = self._durable if message.durable is None else message.durable - 1
        is_new = before >= self._seen.get(message.process, 0)
        self._durable = message.durable or self._durable
        try:
            content = content_of(message, self._catalogue)
        except MessageError as error:
            self._troubles.note(self.name, "bad", f"a message is passed over: {error}")
            return
        if isinstance(content, (TrainBegin, RunClosed)):
            self.is_over = isinstance(content, RunClosed)
        if not is_new:
            self._past.absorb(content)
        elif isinstance(content, TrainBegin):
            self._begin(content, message.number)
        elif self._has_replica_for(content):
            self._publish(content, message.number)
        else:
            self._past.absorb(content)

    def publish_if_due(self) -> None:
        """Have the archive show what is new, unless that would be too soon."""
        if self._replica is not None:
            self._replica.publish_if_due()

    def leave(self, words: str) -> None:
        """Follow the run no longer, whatever becomes of it: callbacks clean up, handlers hear nothing."""
        if self._replica is not None and self._replica.is_open:
            self._replica.leave(words)

    def cut_short(self, words: str) -> None:
        """Publish that the run was interrupted, if it is open here."""
        if self._replica is not None and self._replica.is_open:
            self._replica.cut_short(words)
            self._let_go(may_go_on=True)

    def _begin(self, begin: TrainBegin, number: int) -> None:
        """Begin a replica; the one of an earlier process is closed, and hands its rows on."""
        self.cut_short("its process ended without a word, and the run was begun again")
        self._past.begin_anew(begin)
        self._start(self._past, number, is_heard=True)

    def _let_go(self, *, may_go_on: bool) -> None:
        """Free a replica that is closed; its rows are kept where the run may be resumed."""
        assert self._replica is not None
        if may_go_on:
            self._past.rows = rows_of(self._replica.callbacks.callback_data, self._catalogue.series)
        self._replica = None

    def _has_replica_for(self, content: Content) -> bool:
        """Return whether there is a replica that can publish a message, made if this is the time for it."""
        if self._replica is not None and self._replica.is_open:
            return True
        past = self._past
        if past.is_closed:
            self._troubles.note(self.name, "misplaced", "messages that came after its end are passed over")
            return False
        if past.begin is None:
            self._troubles.note(
                self.name, "late begin",
                "its first messages are gone from the broker: it is followed from its next epoch on, and "
                "nothing is known of what it said when it began",
            )  # fmt: skip
            if isinstance(content, EpochBegin):
                past.begin_epoch(content.epoch)
                past.epoch = None
            elif not isinstance(content, RunClosed):
                return False
        self._start(past, self._model.number, is_heard=False)
        return True

    def _start(self, past: Past, number: int, *, is_heard: bool) -> None:
        self._model = self._new_model(past.begin)
        self._model.number = number
        self._replica = Replica(
            self._model, self._catalogue.series, self._wiring, knows_all=past.begin is not None
        )
        self._past = Past()
        self._replica.begin(past, is_heard=is_heard)

    def _publish(self, content: Content, number: int) -> None:
        assert self._replica is not None
        self._model.number = number
        try:
            self._replica.take(content)
        except MessageError as error:
            self._troubles.note(self.name, "misplaced", f"a message is passed over: {error}")
        if isinstance(content, RunClosed):
            self._past.is_closed = True
            self._let_go(may_go_on=content.reason != "completed")

    def _tell_of_rows(self, words: str) -> None:
        self._troubles.note(self.name, "bad", words)

    def _new_model(self, begin: TrainBegin | None) -> RemoteModel:
        entry = self.entry
        return RemoteModel(
            run_name=self._name,
            run_id=entry.run_id,
            host=storable(entry.host),
            script=None if entry.script is None else storable(entry.script),
            started_at=entry.started_at,
            may_be_stopped=entry.allow_remote_stop,
            class_name="" if begin is None else begin.model,
            series=tuple(one.key for one in self._catalogue.series),
        )
