"""A run at home that tells what it does, as messages that went through JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainsignal import Callbacks, keys
from trainsignal.readings import tracked_series
from trainsignal.relay.messages import DURABLE_SIGNALS, Message, decode, encode
from trainsignal.relay.requests import RUNNING, RunEntry

RUN = "digits"
RUN_ID = "0123456789abcdef"


def entry(
    state: str = RUNNING, *, run_id: str = RUN_ID, allow_remote_stop: bool = True, started_at: float = 1.0
) -> RunEntry:
    """Return how a run is listed."""
    return RunEntry(run_id, "gpu7", "train.py", "0.1.0", started_at, allow_remote_stop, state, 2.0)


def series(key: str, *, dtype: str = "<f4", tail: tuple[int, ...] = (), **attributes: Any) -> dict[str, Any]:
    """Return the announcement of a series; without attributes, of one with a row an epoch."""
    told = attributes or {keys.TIME_MARKERS: keys.PER_EPOCH_FREQ, keys.EPOCH_FREQ: 1}
    return {"key": key, "shape_tail": list(tail), "dtype": dtype, "attributes": told}


def per_minibatch(key: str, **attributes: Any) -> dict[str, Any]:
    """Return the announcement of a series with a row a minibatch."""
    return series(key, **{keys.TIME_MARKERS: keys.PER_MINIBATCH, **attributes})


def rows(first: int, *values: object) -> dict[str, Any]:
    """Return rows of one series."""
    return {"first": first, "values": list(values)}


class Telling:
    """Makes the messages of one run, in order.

    Attributes:
        messages: so far.
    """

    def __init__(self, run_id: str = RUN_ID, process: str = "-") -> None:
        self.messages: list[Message] = []
        self._run_id, self._process = run_id, process
        self._number = self._durable = 0

    def tell(self, signal: str, **content: Any) -> Message:
        """Return one more message, as it is read at the other end."""
        self._number += 1
        durable = None
        if signal in DURABLE_SIGNALS:
            self._durable += 1
            durable = self._durable
        message = decode(encode(Message(self._run_id, self._number, signal, content, durable, self._process)))
        self.messages.append(message)
        return message

    def begin(self, *announced: Mapping[str, Any], epochs: int | None = 3, **changes: Any) -> Message:
        """Tell of a train begin."""
        content: dict[str, Any] = {
            "epochs": epochs, "minibatches_per_epoch": 4, "model": "Net", "callbacks": ["TrainCostCallback"],
            "resumed": False, "epochs_complete": 0, "minibatches_complete": 0, "series": list(announced),
        }  # fmt: skip
        return self.tell("train_begin", **{**content, **changes})

    def block(self, epoch: int, first: int, last: int, /, **told: Any) -> Message:
        """Tell of minibatches."""
        return self.tell(
            "minibatches", epoch=epoch, first=first, last=last, **{"rows": {}, "thinned": 0, **told}
        )

    def epoch(self, epoch: int, minibatches: int = 2, **rows_of: Any) -> None:
        """Tell of a whole epoch, with rows under keys of which "/" is written "__"."""
        self.tell("epoch_begin", epoch=epoch)
        self.block(epoch, 0, minibatches - 1)
        told = {key.replace("__", "/"): one for key, one in rows_of.items()}
        self.tell("epoch_end", epoch=epoch, minibatches=minibatches, rows=told)

    def close(
        self, reason: str = "completed", detail: str | None = None, author: str | None = None, **more: Any
    ) -> None:
        """Tell of the end."""
        if reason in ("completed", "stopped"):
            self.tell("train_end")
        self.tell("run_closed", reason=reason, detail=detail, author=author, rows={}, **more)


def telling(callbacks: Callbacks, block: int = 3) -> Telling:
    """Return what the run of a container will tell, in blocks of so many minibatches."""
    told, run = Telling(callbacks.run.run_id), callbacks.run
    data: Any = callbacks.callback_data
    done = {"next": 0}

    def is_minibatch(key: str) -> bool:
        return bool(data[key].attrs[keys.TIME_MARKERS] == keys.PER_MINIBATCH)

    def begin(epochs: int | None) -> None:
        announced = [
            {
                "key": key, "shape_tail": [], "dtype": one.dtype.str,
                "attributes": {name: _plain(value) for name, value in one.attrs.items()},
            }
            for key, one in tracked_series(data).items()
        ]  # fmt: skip
        told.begin(*announced, epochs=epochs, model=type(run.model).__name__)

    def send_block(epoch: int) -> None:
        first, last = done["next"], run.minibatch_end.latest
        if run.is_in_epoch:  # the current one counts only after its signal
            last = max(last, run.minibatch_begin.latest)
        if last >= first:
            start = run.minibatches_complete + first
            of_block = {
                key: rows(start, *np.array(data[key][start : start + last + 1 - first]))
                for key in tracked_series(data)
                if is_minibatch(key)
            }
            told.block(epoch, first, last, rows=_json(of_block))
            done["next"] = last + 1

    def minibatch_end(epoch: int, minibatch: int) -> None:
        if (minibatch + 1) % block == 0:
            send_block(epoch)

    def epoch_begin(epoch: int) -> None:
        done["next"] = 0
        told.tell("epoch_begin", epoch=epoch)

    def epoch_end(epoch: int) -> None:
        send_block(epoch)
        of_epoch = {
            key: rows(0, *np.array(one[: epoch + 1]))
            for key, one in tracked_series(data).items()
            if not is_minibatch(key)
        }
        told.tell("epoch_end", epoch=epoch, minibatches=run.epoch_minibatches, rows=_json(of_epoch))

    def run_closed(reason: str, error: BaseException | None) -> None:
        detail, author = (None, None) if not run.votes else (run.votes[0].reason, run.votes[0].author)
        told.tell("run_closed", reason=reason, detail=detail, author=author, rows={})

    bus = callbacks.bus
    bus.subscribe("train_begin", begin)
    bus.subscribe("epoch_begin", epoch_begin)
    bus.subscribe("minibatch_end", minibatch_end)
    bus.subscribe("epoch_end", epoch_end)
    bus.subscribe(
        "stop_requested", lambda reason, author: told.tell("stop_requested", reason=reason, author=author)
    )
    bus.subscribe("train_end", lambda: told.tell("train_end"))
    bus.subscribe("run_closed", run_closed)
    return told


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _json(rows_of: Mapping[str, Any]) -> dict[str, Any]:
    return {key: {"first": one["first"], "values": np.array(one["values"])} for key, one in rows_of.items()}
