"""Fakes of a callbacks object as `Model.fit` sees one."""

from __future__ import annotations


class QuietCallbacks:
    """Takes neon's six calls and does nothing; fakes override what they watch."""

    def on_train_begin(self, epochs: int) -> None:
        pass

    def on_epoch_begin(self, epoch: int) -> None:
        pass

    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
        pass

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        pass

    def on_epoch_end(self, epoch: int) -> None:
        pass

    def on_train_end(self) -> None:
        pass


class RecordingCallbacks:
    """Keeps each call as a tuple: its name and arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[str | int, ...]] = []

    def on_train_begin(self, epochs: int) -> None:
        self.calls.append(("train_begin", epochs))

    def on_epoch_begin(self, epoch: int) -> None:
        self.calls.append(("epoch_begin", epoch))

    def on_minibatch_begin(self, epoch: int, minibatch: int) -> None:
        self.calls.append(("minibatch_begin", epoch, minibatch))

    def on_minibatch_end(self, epoch: int, minibatch: int) -> None:
        self.calls.append(("minibatch_end", epoch, minibatch))

    def on_epoch_end(self, epoch: int) -> None:
        self.calls.append(("epoch_end", epoch))

    def on_train_end(self) -> None:
        self.calls.append(("train_end",))
