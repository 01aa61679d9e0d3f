"""The series that a run announces, and what stands in their rows: checked, for it comes from elsewhere.

Pure: makes nothing of shared data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeGuard, cast

import numpy as np
import numpy.typing as npt

from trainsignal import keys
from trainsignal.relay.messages import MessageError
from trainsignal.remote.attributes import LONGEST_KEY, is_list, is_storable

MOST_ROWS: Final = 10**8
"""A row further on is taken for an error: nobody could read a series so long."""

MOST_NUMBERS: Final = 10**8
"""More in one series are taken for an error, too: they would fill the memory of a listener."""

_LARGEST_ROW: Final = 10**5
_MOST_AXES: Final = 8
_DTYPE = re.compile(r"[<>=|]?[fiu][1248]")
_AXES = frozenset({keys.PER_MINIBATCH, keys.PER_EPOCH_FREQ, keys.PER_EPOCH})
_OWN = frozenset({*keys.EPOCH_MARKERS, keys.CHECKPOINTS, keys.CALLBACK_TIMES})
_OWN_GROUPS = frozenset({keys.CONFIG, keys.TIME_MARKERS})


@dataclass(frozen=True, slots=True)
class Series:
    """A series of a remote run.

    Attributes:
        key: its path.
        columns: shape of one row; () for a number.
        dtype: of its numbers.
        attributes: plain values, such as its axis.
    """

    key: str
    columns: tuple[int, ...] = ()
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("f8"))
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_per_minibatch(self) -> bool:
        """Whether it has one row a minibatch."""
        return self.attributes.get(keys.TIME_MARKERS) == keys.PER_MINIBATCH


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of one series.

    Attributes:
        series: which.
        first: 0-based index of the first one.
        values: (rows, *columns) of the series' type.
    """

    series: Series
    first: int
    values: npt.NDArray[Any]


class Catalogue:
    """The series of one run, as far as it has told of them, by key.

    Args:
        tell: is told of rows that cannot be, and are passed over.
    """

    def __init__(self, tell: Callable[[str], object]) -> None:
        self._tell = tell
        self._series: dict[str, Series] = {}

    @property
    def series(self) -> tuple[Series, ...]:
        """All of them, in the order in which they were announced."""
        return tuple(self._series.values())

    def announce(self, announced: object) -> None:
        """Take over a list of announcements; one that is known already stays as it is.

        Raises:
            MessageError: one of them cannot be.
        """
        if not isinstance(announced, list):
            raise MessageError(f"series={announced!r:.100}: expected a list")
        for one in cast("list[object]", announced):
            self._add(_series_of(one))

    def rows(self, told: Mapping[str, Any], infer: Callable[[str, int], Series]) -> list[Rows]:
        """Return the rows of a message, those of series that the archive of a replica writes itself left out.

        Rows of a series in which a key, an index or a value cannot be are passed over, and told of.

        Args:
            told: {key: {"first": index, "values": list}}, as `relay.messages.decode` gives them.
            infer: makes a series that nobody has announced, of its key and the index of its last row; the
                shape of a row is that of these.
        """
        found: list[Rows] = []
        for key, span in told.items():
            if key in _OWN or not span["values"]:
                continue
            try:
                found.append(self._rows(key, span["first"], span["values"], infer))
            except MessageError as error:
                self._tell(f"what it says of one series is passed over: {error}")
        return found

    def _rows(self, key: str, first: int, values: list[Any], infer: Callable[[str, int], Series]) -> Rows:
        end = first + len(values)
        if end > MOST_ROWS:
            raise MessageError(f"rows of {key!r:.100} from {first} on: no such rows can be")
        series = self._series.get(key)
        if series is None:
            series = infer(_checked_key(key), end - 1)
            series = replace(series, columns=_checked_columns(key, _numbers(series, values).shape[1:]))
            self._add(series)
        if end * math.prod(series.columns) > MOST_NUMBERS:
            raise MessageError(f"rows of {key!r} up to {end}: the series would be too large")
        return Rows(series, first, _array(series, values))

    def _add(self, series: Series) -> None:
        if series.key in self._series or series.key in _OWN:
            return
        for other in self._series:
            if other.startswith(f"{series.key}/") or series.key.startswith(f"{other}/"):
                raise MessageError(f"a series {series.key!r} cannot be beside the series {other!r}")
        self._series[series.key] = series


def per_minibatch(key: str, last: int) -> Series:
    """Return a series of which only rows of minibatches are known."""
    return Series(key, attributes={keys.TIME_MARKERS: keys.PER_MINIBATCH})


def per_epoch(epoch: int) -> Callable[[str, int], Series]:
    """Return what makes a series of which only rows at the end of the 0-based `epoch` are known.

    Which epochs they are follows, where it can, from the index of the last one.
    """

    def infer(key: str, last: int) -> Series:
        frequency, rest = divmod(epoch + 1, last + 1)
        return Series(key, attributes=keys.epoch_axis(1 if rest else frequency))

    return infer


def _series_of(told: object) -> Series:
    content = dict(_items(told, "series"))
    key, tail, dtype = _checked_key(content.get("key")), content.get("shape_tail"), content.get("dtype")
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise MessageError(f"series {key!r}: dtype={dtype!r:.50} is no type of numbers")
    try:
        kind = np.dtype(dtype)
    except TypeError as error:  # "f1"
        raise MessageError(f"series {key!r}: dtype={dtype!r} is no type of numbers") from error
    if not is_list(tail):
        raise MessageError(f"series {key!r}: shape_tail={tail!r:.50}: expected a list of lengths")
    return Series(key, _checked_columns(key, tail), kind, _attributes(key, content.get("attributes")))


def _checked_columns(key: str, tail: Sequence[Any]) -> tuple[int, ...]:
    """Return the shape of a row.

    Raises:
        MessageError: it is none, or too large.
    """
    if not all(is_count(length, least=1) for length in tail):
        raise MessageError(f"series {key!r}: shape_tail={tail!r:.50}: expected a list of lengths")
    if len(tail) > _MOST_AXES or math.prod(tail) > _LARGEST_ROW:
        raise MessageError(f"series {key!r}: rows of shape {tail!r:.100} are too large")
    return tuple(tail)


def _checked_key(key: object) -> str:
    """Return a key under which a series can be kept.

    Raises:
        MessageError: it leads elsewhere, or among what the archive says of the run itself.
    """
    if not isinstance(key, str) or not key.isprintable() or len(key) > LONGEST_KEY:
        raise MessageError(f"{key!r:.100} is no key of a series")
    steps = key.split("/")
    if any(step in ("", ".", "..") for step in steps) or (steps[0] in _OWN_GROUPS and key not in _OWN):
        raise MessageError(f"{key!r} is no key of a series")
    return key


def _attributes(key: str, told: object) -> dict[str, Any]:
    """Return the attributes that can be kept; those that say when the series has a row must be sound.

    Raises:
        MessageError: its axis is none.
    """
    given = {name: value for name, value in _items(told, "attributes") if is_storable(name, value)}
    axis, frequency, epochs = (given.get(one) for one in (keys.TIME_MARKERS, keys.EPOCH_FREQ, keys.EPOCHS))
    if axis is not None and axis not in _AXES:
        raise MessageError(f"series {key!r}: {axis!r:.50} is no axis of time")
    if frequency is not None and not is_count(frequency, least=1):
        raise MessageError(f"series {key!r}: epoch_freq={frequency!r:.50}: expected an int of 1 or more")
    if epochs is not None and not (is_list(epochs) and all(is_count(one) for one in epochs)):
        raise MessageError(f"series {key!r}: epochs={epochs!r:.50}: expected a list of indices")
    return given


def _items(told: object, what: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(told, dict):
        raise MessageError(f"{what}={told!r:.100}: expected an object")
    return cast("dict[str, Any]", told).items()


def _numbers(series: Series, values: list[Any]) -> npt.NDArray[Any]:
    """Return rows as an array of the series' type, of whatever shape.

    Raises:
        MessageError: they are no numbers, or of several shapes.
    """
    try:
        with np.errstate(over="ignore"):
            return np.array(values, series.dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"rows of {series.key!r}: {error}") from error


def _array(series: Series, values: list[Any]) -> npt.NDArray[Any]:
    """Return rows as an array of the series' type.

    Raises:
        MessageError: they are no numbers, or have another shape.
    """
    array = _numbers(series, values)
    if array.shape != (len(values), *series.columns):
        raise MessageError(f"rows of {series.key!r} have the shape {array.shape[1:]}, not {series.columns}")
    return array


def is_count(value: object, *, least: int = 0, most: int = MOST_ROWS) -> TypeGuard[int]:
    """Return whether `value` is an int, and no bool, within these bounds."""
    return type(value) is int and least <= value <= most
