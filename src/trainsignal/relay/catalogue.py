"""The series of a run that are told, each from when it exists, and what of them goes into a message."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection
from typing import Any, Final

from trainsignal import keys
from trainsignal.errors import did_you_mean
from trainsignal.relay.plain_payload import NotJSONError, plain
from trainsignal.relay.rows import MOST_VALUES, EpochRows, MinibatchRows, Span
from trainsignal.shared_data import BufferedDataset, SharedData

MOST_ANNOUNCED: Final = 250_000
"""Characters of announcements in one message."""

_LONGEST_ATTRIBUTES: Final = 20_000
"""Characters of the attributes of one series that are announced."""

_EPOCH_AXES: Final = (keys.PER_EPOCH, keys.PER_EPOCH_FREQ)

_logger = logging.getLogger(__name__)


class Catalogue:
    """Follows the series of shared data.

    A series that comes later is announced twice: in a block, which may be dropped, and in the next message
    that is never dropped.

    Args:
        data: the shared data.
        wanted: keys of the series to tell; None: all that have an axis of time.
    """

    def __init__(self, data: SharedData, wanted: Collection[str] | None) -> None:
        self._data = data
        self._wanted = wanted
        self._asked_for = wanted or ()
        self._per_minibatch: dict[str, MinibatchRows] = {}
        self._per_epoch: dict[str, EpochRows] = {}
        self._passed_over: set[str] = set()
        self._to_announce: dict[str, dict[str, Any]] = {}  # surely: in a message that is never dropped
        self._announced_in_block: set[str] = set()

    def look(self, told: int) -> None:
        """Find series that are new; waits for the costs that are on a device.

        Args:
            told: so many minibatches were told already, over all epochs; those of a new series come after.
        """
        found: dict[str, BufferedDataset] = {}

        def note(key: str, member: object) -> None:
            is_new = key not in self._per_minibatch and key not in self._per_epoch
            if is_new and key not in self._passed_over and isinstance(member, BufferedDataset):
                found[key] = member

        self._data.visititems(note)
        for key, series in found.items():
            self._follow(key, series, told)

    def announcement(self, *, is_durable: bool) -> list[dict[str, Any]]:
        """Return what is to be announced now, as much as fits into a message."""
        announced: list[dict[str, Any]] = []
        room = MOST_ANNOUNCED
        for key, one in tuple(self._to_announce.items()):
            room -= len(json.dumps(one))
            if room < 0:
                break
            if is_durable:
                del self._to_announce[key]
            elif key in self._announced_in_block:
                continue
            self._announced_in_block.add(key)
            announced.append(one)
        return announced

    def begin_at(self, minibatches: int) -> None:
        """Tell rows from this minibatch on, over all epochs; earlier ones are not of this process."""
        for series in self._per_minibatch.values():
            series.next = minibatches

    def pass_over_epochs(self) -> None:
        """Tell of epochs only what changes from now on: an earlier process has told the rest."""
        for series in self._per_epoch.values():
            series.pass_over()

    @property
    def rows_in_a_block(self) -> int:
        """How many minibatches one message has room for."""
        return self._rows_in(MOST_VALUES)

    def minibatch_rows(self, stop: int) -> dict[str, Span]:
        """Return the rows of minibatches before this one that were not told yet, as many as fit."""
        return self._minibatch_rows(stop, self.rows_in_a_block)

    def closing_rows(self, stop: int) -> dict[str, Span]:
        """Return the rows of epochs that are new or have changed, as many as fit; the others come first next.

        Args:
            stop: rows of minibatches before this one that have come late are among them.
        """
        spans: dict[str, Span] = {}
        room = MOST_VALUES
        for key, series in self._per_epoch.items():
            span = series.take(max(0, (room - series.head_size) // series.row_size))
            if span is not None:
                spans[key] = span
                room -= series.head_size + len(span["values"]) * series.row_size
        waiting = [key for key, series in self._per_epoch.items() if series.is_behind and key not in spans]
        first = {key: self._per_epoch[key] for key in waiting}
        self._per_epoch = first | {key: one for key, one in self._per_epoch.items() if key not in first}
        return {**spans, **self._minibatch_rows(stop, self._rows_in(room))}

    def tell_of_missing(self) -> None:
        """Tell the user, once, of series that were asked for by name and are not there."""
        there = {*self._per_minibatch, *self._per_epoch}
        asked_for, self._asked_for = self._asked_for, ()
        for key in asked_for:
            if key not in there and key not in self._passed_over:
                hint = did_you_mean(key, there)
                _logger.warning("the relay is to tell of the series %r, which is not there.%s", key, hint)

    def tell_of_left_out(self) -> None:
        """Tell the user of series whose last rows have not found room until the end of the run."""
        left_out = [key for key, series in self._per_epoch.items() if series.is_behind]
        if left_out:
            _logger.warning(
                "the relay has not told the last rows of %d series, among them %r: they are more than its "
                "messages hold", len(left_out), left_out[0],
            )  # fmt: skip

    def _rows_in(self, room: int) -> int:
        """Return how many rows of each series of minibatches so many numbers have room for."""
        heads = sum(series.head_size for series in self._per_minibatch.values())
        rows = sum(series.row_size for series in self._per_minibatch.values())
        return max(0, room - heads) // max(1, rows)

    def _minibatch_rows(self, stop: int, most: int) -> dict[str, Span]:
        spans = {key: series.take(stop, most) for key, series in self._per_minibatch.items()}
        return {key: span for key, span in spans.items() if span is not None}

    def _follow(self, key: str, series: BufferedDataset, told: int) -> None:
        if self._wanted is not None and key not in self._wanted:
            self._passed_over.add(key)
            return
        axis = series.attrs.get(keys.TIME_MARKERS)
        is_per_minibatch = axis == keys.PER_MINIBATCH
        if not (is_per_minibatch or axis in _EPOCH_AXES):
            return  # it may yet be told its axis
        rows = MinibatchRows(key, series, told) if is_per_minibatch else EpochRows(key, series)
        others = self._per_minibatch.values() if is_per_minibatch else ()
        size = sum(one.head_size + one.row_size for one in (rows, *others))
        if rows.dtype.kind not in "iuf" or rows.dtype.itemsize > 8 or size > MOST_VALUES:
            self._passed_over.add(key)
            _logger.warning("the relay leaves out the series %r: its rows do not fit into a message", key)
            return
        if isinstance(rows, MinibatchRows):
            self._per_minibatch[key] = rows
        else:
            self._per_epoch[key] = rows
        self._to_announce[key] = {
            "key": key,
            "shape_tail": list(rows.columns),
            "dtype": rows.dtype.str,
            "attributes": _plain_attributes(series.attrs),
        }


def _plain_attributes(attributes: Any) -> dict[str, Any]:
    """Return those attributes that JSON can hold, as far as they fit into a part of a message."""
    found: dict[str, Any] = {}
    room = _LONGEST_ATTRIBUTES
    for name, value in attributes.items():
        try:
            one = plain(value)
        except NotJSONError:  # listeners need none that is so strange
            continue
        length = len(json.dumps({name: one}))
        if length <= room:
            found[name] = one
            room -= length
    return found
