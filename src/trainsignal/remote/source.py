"""`Source`: what is read of one run, and how far."""

from __future__ import annotations

from typing import Final

from trainsignal.relay import streams
from trainsignal.relay.messages import Message
from trainsignal.relay.requests import RUNNING, RunEntry
from trainsignal.remote.merge import Merge

BEGIN: Final = "0"
"""The place before the first entry of a stream."""


class Source:
    """What is read of one run.

    Attributes:
        name: of the run.
        entry: how it is listed.
        merge: its two streams as one.
        is_done: set by who works the messages off, when the run has said that it ended.
        is_exhausted: whether both streams have been read to their ends since the run was last listed anew.
        is_passed_over: whether it cannot be read, for what its keys hold is not ours.
        places: key of each stream -> id of the entry that was read last.
    """

    def __init__(self, name: str, entry: RunEntry) -> None:
        self.name = name
        self.entry = entry
        self.merge: Merge[Message] = Merge()
        self.is_done = self.is_exhausted = self.is_passed_over = False
        self._read_under(name)

    @property
    def is_read(self) -> bool:
        """Whether there may be more to read; a run that has ended may be resumed."""
        return not (self.is_done and self.is_exhausted) or self.entry.state == RUNNING

    def list_again(self, entry: RunEntry) -> None:
        """Take over how the run is listed now: what came before that may not have been read yet."""
        self.entry, self.is_exhausted = entry, False

    def rename(self, name: str) -> int:
        """Read on under another name, from the begin; return how many messages are left out."""
        self._read_under(name)
        return self.merge.begin_again()

    def wanted(self) -> dict[str, str]:
        """Return the streams of which something is to be read now, with the place to go on after."""
        if self.is_passed_over:
            return {}
        wanted = {self.events: self.merge.wants_durable, self.minibatches: self.merge.wants_droppable}
        return {stream: place for stream, place in self.places.items() if self.is_read and wanted[stream]}

    def _read_under(self, name: str) -> None:
        self.name = name
        self.events, self.minibatches = streams.events(name), streams.minibatches(name)
        self.places = {self.events: BEGIN, self.minibatches: BEGIN}
