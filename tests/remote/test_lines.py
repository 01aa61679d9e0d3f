"""Remote runs as lines of text."""

from __future__ import annotations

from tests.remote.followed import Listened
from tests.remote.told import RUN_ID, Telling, entry, per_minibatch, rows, series
from trainsignal.relay.requests import RunEntry
from trainsignal.remote.lines import line_handlers


def lines_of(told: Telling, listed: RunEntry | None = None) -> list[str]:
    lines: list[str] = []
    Listened(handlers=line_handlers(lines.append), listed=listed).take(told)
    return lines


def test_each_event_but_minibatches_is_a_line_with_the_values_of_the_epoch() -> None:
    told = Telling()
    told.begin(per_minibatch("cost/train"), series("cost/loss"), series("metrics/none"), epochs=2)
    told.tell("epoch_begin", epoch=0)
    told.block(0, 0, 1, rows={"cost/train": rows(0, 0.5, 0.25)})
    told.tell("epoch_end", epoch=0, minibatches=2, rows={"cost/loss": rows(0, 0.123456789)})
    told.tell("checkpoint_saved", path="net.h5", epoch=0, minibatch=1)
    told.tell("stop_requested", reason="enough", author="user")
    told.close("stopped", "enough", "user")

    assert lines_of(told) == [
        "digits: trains Net for 2 epochs by train.py on gpu7",
        "digits: epoch 0 of 2 done, 2 minibatches, cost/loss 0.123457, cost/train 0.25",
        "digits: saved net.h5 at epoch 0, minibatch 1",
        "digits: asked to stop by user: enough",
        "digits: stopped: enough",
    ]


def test_what_is_not_known_is_left_out() -> None:
    told = Telling()
    told.begin(epochs=None, resumed=True, epochs_complete=3)
    told.epoch(3)
    told.close()

    assert lines_of(told, RunEntry(RUN_ID, "gpu7", None, "", 1.0, False, "running", 1.0)) == [
        "digits: trains Net on gpu7, goes on in epoch 3",
        "digits: epoch 3 done, 2 minibatches",
        "digits: completed",
    ]
    assert entry().script is not None
