"""`ReportedCallback`: what a framework reports of its own metrics becomes series of the shared data."""

from __future__ import annotations

import contextlib
import itertools
import logging
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from trainsignal import keys
from trainsignal.abilities import to_float
from trainsignal.callback import Callback
from trainsignal.errors import did_you_mean
from trainsignal.minibatch_series import create_minibatch_series
from trainsignal.shared_data import BufferedDataset, SharedData

_logger = logging.getLogger(__name__)


class ReportedCallback(Callback):
    """Writes the values that a framework reports: "metrics/<name>", a row an epoch or a minibatch.

    So who reads a loss or a metric need not know who computed it. A name that another metric has already is
    numbered: "metrics/accuracy_2". A "/" in a name leads into a group, as "metrics/val/accuracy", or becomes
    "%2F" where a series has the name of that group. Rows of which nothing was reported are NaN.
    """

    def __init__(self, loss: str | None = None, expected: Collection[str] = ()) -> None:
        """Store what is expected.

        Args:
            loss: name of the value that is the loss of the evaluation set, so that it becomes "cost/loss"
                too; None: none is.
            expected: keys that others read. Metrics, such as "metrics/val_accuracy", are there from the
                begin; of one that is not reported the user is told.
        """
        super().__init__()
        self.loss = loss
        self.expected = tuple(expected)
        self.writes = (keys.Below(f"{keys.METRICS}/*"), *(() if loss is None else (keys.LOSS,)))
        self._values: dict[str, float] = {}
        self._directions: dict[str, str] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self._awaited: dict[str, str] = {}
        self._has_told = False

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        """Create the series that are known already."""
        self._values, self._directions, self._keys, self._has_told = {}, {}, {}, False
        metrics = f"{keys.METRICS}/"
        self._awaited = {key: key.removeprefix(metrics) for key in self.expected if key.startswith(metrics)}
        for name in self._awaited.values():
            self._epoch_series(callback_data, name)
        if self.loss is not None:
            if keys.LOSS in self.expected:
                self._awaited[keys.LOSS] = self.loss
            attributes = keys.epoch_axis(1) | {keys.REPORTED_AS: self.loss, keys.DIRECTION: "min"}
            callback_data.create_series(keys.LOSS, epochs, attributes=attributes)

    def note(self, values: Mapping[str, object], higher_is_better: Mapping[str, bool]) -> None:
        """Keep values for the end of the epoch; later ones replace those of the same name.

        Args:
            values: what is no single number is passed over.
            higher_is_better: of those names of which the framework tells.
        """
        self._values.update(_numbers(values))
        self._directions.update({name: "max" if is_so else "min" for name, is_so in higher_is_better.items()})

    def write_minibatch(self, callback_data: SharedData, values: Mapping[str, object], row: int) -> None:
        """Write values of one minibatch; `row`: its 0-based index over all epochs."""
        for name, value in _numbers(values).items():
            key = self._existing(callback_data, name, keys.PER_MINIBATCH)
            if key is None:
                numbered = keys.Numbered(_key_of(callback_data, name))
                key = str(create_minibatch_series(callback_data, numbered, dtype="f8").name)
                self._remember(callback_data, name, keys.PER_MINIBATCH, key)
            callback_data[key][row] = value

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        """Write what was reported of the epoch."""
        values, self._values = self._values, {}
        for name, value in values.items():
            callback_data[self._epoch_series(callback_data, name)][epoch] = value
        if self.loss is not None and self.loss in values:
            callback_data[keys.LOSS][epoch] = values[self.loss]
        if values:
            self._tell_of_missing(values, epoch)

    def on_train_end(self, callback_data: SharedData, model: Any) -> None:
        """Tell of what was awaited in vain."""
        if callback_data[keys.TIME_MARKERS].attrs[keys.EPOCHS_COMPLETE]:
            for key, name in self._awaited.items():
                if np.isnan(callback_data[key][:]).all():
                    _logger.warning("%r is read, but %r was never reported", key, name)

    def state_dict(self) -> dict[str, Any]:
        """Return what was reported of an epoch that goes on; the rest is in the series."""
        return {"values": dict(self._values)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self._values = dict(state["values"])

    def _tell_of_missing(self, values: Mapping[str, float], epoch: int) -> None:
        """Tell, the first time that anything is reported, of what is not: its name may be misspelt."""
        if self._has_told:
            return
        self._has_told = True
        for key, name in self._awaited.items():
            near = did_you_mean(name, values, cutoff=0.85)
            if name not in values and near:  # else it may be evaluated at other epochs
                _logger.warning(
                    "%r is read, but %r was not reported in epoch %d, as were %s.%s",
                    key, name, epoch, ", ".join(values), near,
                )  # fmt: skip

    def _epoch_series(self, callback_data: SharedData, name: str) -> str:
        """Return the key of a series of epochs, which is made where it is not there yet."""
        key = self._existing(callback_data, name, keys.PER_EPOCH_FREQ)
        if key is None:
            numbered = keys.Numbered(_key_of(callback_data, name))
            rows: int | None = callback_data[keys.CONFIG].attrs.get(keys.TOTAL_EPOCHS)
            attributes = keys.epoch_axis(1)
            key = str(callback_data.create_series(numbered, rows, dtype="f8", attributes=attributes).name)
            self._remember(callback_data, name, keys.PER_EPOCH_FREQ, key)
        if name in self._directions:
            callback_data[key].attrs[keys.DIRECTION] = self._directions.pop(name)
        return key

    def _existing(self, callback_data: SharedData, name: str, axis: str) -> str | None:
        """Return the key under which a name is written; it may be from before the run was resumed."""
        if (name, axis) not in self._keys:
            taken = itertools.takewhile(
                callback_data.__contains__, keys.numbered(_key_of(callback_data, name))
            )
            for key in taken:
                attributes = callback_data[key].attrs
                if (attributes.get(keys.REPORTED_AS), attributes.get(keys.TIME_MARKERS)) == (name, axis):
                    self._keys[name, axis] = key
                    break
        return self._keys.get((name, axis))

    def _remember(self, callback_data: SharedData, name: str, axis: str, key: str) -> None:
        callback_data[key].attrs[keys.REPORTED_AS] = name
        self._keys[name, axis] = key


def _key_of(callback_data: SharedData, name: str) -> str:
    """Return the key of a name, not numbered yet."""
    *groups, last = [step for step in name.split("/") if step not in ("", ".")] or [""]
    above = [keys.metric("/".join(groups[: 1 + depth])) for depth in range(len(groups))]
    is_barred = any(isinstance(callback_data.get(key), BufferedDataset) for key in above)
    return keys.metric(keys.step(name) if is_barred or not last else "/".join([*groups, last]))


def _numbers(values: Mapping[str, object]) -> dict[str, float]:
    """Return those values that are one number each, as floats."""
    numbers: dict[str, float] = {}
    for name, value in values.items():
        with contextlib.suppress(TypeError):  # text, a picture, a histogram: no series of ours
            numbers[name] = to_float(value)
    return numbers
