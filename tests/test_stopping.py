from __future__ import annotations

from typing import Any

import pytest

from tests.support.given_series import break_off, go_on, run_epochs
from trainsignal.run_link import Boundary
from trainsignal.stopping import StoppingCallback


class StopsAt(StoppingCallback):
    """Votes at the end of one epoch."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, callback_data: Any, model: Any, epoch: int) -> None:
        if epoch == self.epoch:
            self.stop(f"epoch {epoch} is enough")


class StopsAtMinibatch(StopsAt):
    stops_at = "minibatch"


@pytest.mark.parametrize("kind, boundary", [(StopsAt, "epoch"), (StopsAtMinibatch, "minibatch")])
def test_vote_has_reason_author_and_boundary(kind: type[StopsAt], boundary: Boundary) -> None:
    stopping = kind(1)
    run = run_epochs(stopping, epochs=5).run
    assert (run.exit_reason, run.epochs_complete) == ("stopped", 2)
    vote = run.votes[0]
    assert (vote.reason, vote.author, vote.at) == ("epoch 1 is enough", kind.__name__, boundary)
    assert stopping.stop_reason == "epoch 1 is enough"


def test_second_run_begins_without_a_vote() -> None:
    stopping = StopsAt(0)
    run_epochs(stopping, epochs=2)
    stopping.epoch = 99
    assert run_epochs(stopping, epochs=2).run.exit_reason == "completed"
    assert stopping.stop_reason is None


def test_vote_is_repeated_where_the_run_is_resumed_after_it() -> None:
    stopping = StopsAtMinibatch(1)
    state = break_off(stopping, saved=stopping, after_epoch=1, until_epoch=1, epochs=5)

    run = go_on(fresh := StopsAtMinibatch(99), restored=fresh, state=state, from_epoch=2, epochs=5).run

    assert (run.exit_reason, run.epochs_complete) == ("stopped", 2)
    assert (run.votes[0].reason, run.votes[0].at) == ("epoch 1 is enough", "minibatch")


def test_vote_after_the_checkpoint_is_not_repeated() -> None:
    stopping = StopsAt(1)
    state = break_off(stopping, saved=stopping, after_epoch=0, until_epoch=1, epochs=5)

    run = go_on(fresh := StopsAt(99), restored=fresh, state=state, from_epoch=1, epochs=5).run

    assert (run.exit_reason, run.epochs_complete) == ("completed", 5)
