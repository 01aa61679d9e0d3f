"""Bringing the archive of a run that was cut short into the shared data of the run that goes on with it.

Series are cut at the moment of the checkpoint; all else comes as it is. Links out of the file are not
followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from trainsignal import keys
from trainsignal.errors import ArchiveError
from trainsignal.shared_data.foreign import READ_ERRORS, PassedOver, open_for_reading, own_members

_h5py: Any = h5py  # h5py-stubs do not know all of it; for the same reason, its objects are Any below

NOT_CONTINUED = (keys.EXIT_REASON, keys.EXIT_DETAIL, keys.EXIT_AUTHOR)
"""Attributes that say how the earlier process ended."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Up to where a run was done."""

    epochs: int
    """Complete epochs."""

    minibatches: int
    """Minibatches, over all epochs."""


def open_previous(path: Path) -> h5py.File | None:
    """Return the archive at `path`, open for reading; None where there is none.

    Raises:
        ArchiveError: there is a file that is no readable HDF5 file.
    """
    if not path.exists():
        return None
    try:
        return open_for_reading(path)
    except OSError as error:
        raise ArchiveError(
            f"cannot continue the archive {str(path)!r}: {error}. Is it open in this process, as in a "
            "notebook? Then close it. If it is damaged, move it away to resume without the series of before."
        ) from error


def merge(previous: h5py.File, target: Any, moment: Moment) -> None:
    """Copy into `target` what `previous` holds of the time before `moment`.

    What `target` has already stays, but for the rows of before. Attributes are taken where it has none.

    Args:
        previous: the archive.
        target: h5py's own root group of the new data, so that nobody is told of the rows.
        moment: rows of series after it are left out.

    Raises:
        ArchiveError: an object cannot be read, or is of another kind or shape than now.
    """
    try:
        _merge_attributes(previous.attrs, target.attrs)
        for path, there in _members(previous):
            if isinstance(there, _h5py.Group):
                _merge_attributes(there.attrs, target.require_group(path).attrs)
            elif path in target:
                _merge_dataset(path, there, target[path], moment)
            else:
                _copy_dataset(path, there, target, moment)
    except READ_ERRORS as error:
        raise ArchiveError(
            f"cannot continue the archive {previous.filename!r}: {error}. Move it away to resume without it."
        ) from error


def loose_values(data: Any, largest_bytes: int) -> dict[str, Any]:
    """Return the datasets that tell no axis of time, where they are small: their rows cannot be cut later.

    Args:
        data: h5py's own root group.
        largest_bytes: of one dataset.
    """
    return {
        path: member[...]
        for path, member in _members(data)
        if not isinstance(member, _h5py.Group)
        and path not in keys.EPOCH_MARKERS | {keys.CALLBACK_TIMES}
        and member.shape is not None
        and member.dtype.kind in "biuf"
        and member.nbytes <= largest_bytes
        and not _axis_of(member)
    }


def put_loose_values(data: Any, values: Mapping[str, Any]) -> None:
    """Put back what `loose_values` returned, as far as the datasets are there; the first axis may differ.

    It does where the resumed run was asked for more or fewer epochs, and a dataset has a row for each.
    """
    for path, array in values.items():
        member = data.get(path)
        if not isinstance(member, _h5py.Dataset) or _across(member.shape, 0) != _across(array.shape, 0):
            continue
        if array.shape:
            rows = min(len(array), len(member))
            member[:rows] = array[:rows]
        else:
            member[...] = array


def _members(group: Any) -> Iterator[tuple[str, Any]]:
    """Yield each path below `group` with its object, parents first; what leads elsewhere is left out.

    Raises:
        Exception: of h5py, for a member that cannot be read.
    """
    for path, member in own_members(group):
        if not isinstance(member, PassedOver):
            yield path, member
        elif member.error is not None:
            raise member.error


def _merge_attributes(there: Any, ours: Any) -> None:
    for name in there:
        if name not in ours and name not in NOT_CONTINUED:
            ours[name] = there[name]


def _merge_dataset(path: str, there: Any, ours: Any, moment: Moment) -> None:
    """Put the rows of before into a dataset that this run has made already."""
    axis = _time_axis(there)
    if not isinstance(ours, _h5py.Dataset) or _across(ours.shape, axis) != _across(there.shape, axis):
        raise ValueError(f"{path!r} has another shape now than in the run that is resumed")
    _merge_attributes(there.attrs, ours.attrs)
    if not there.shape:
        if there.shape is not None:
            ours[...] = there[...]
        return
    kept = _kept(there, path, moment)
    length = int(np.flatnonzero(kept)[-1]) + 1 if kept.any() else 0
    if length > ours.shape[axis]:
        if ours.maxshape[axis] is None:
            ours.resize(length, axis=axis)
        length = ours.shape[axis]  # one that cannot grow takes what it can
    before = (slice(None),) * axis + (slice(0, length),)
    place = (slice(None),) * axis + (kept[:length],)
    values = ours[before]
    values[place] = there[before][place]
    ours[before] = values


def _across(shape: tuple[int, ...] | None, axis: int) -> tuple[int, ...] | None:
    """Return a shape with the length of the axis of time left open."""
    return shape if not shape else (*shape[:axis], -1, *shape[axis + 1 :])


def _copy_dataset(path: str, there: Any, target: Any, moment: Moment) -> None:
    """Bring a dataset that this run makes later, if at all, without the rows of after."""
    above, _, name = path.rpartition("/")
    there.parent.copy(there, target.require_group(above or "/"), name)
    if there.shape:
        kept = _kept(there, path, moment)
        if not kept.all():
            ours, place = target[path], (slice(None),) * _time_axis(there) + (~kept,)
            values = ours[...]
            values[place] = ours.fillvalue
            ours[...] = values


def _axis_of(dataset: Any) -> Mapping[str, Any]:
    """Return the attributes that tell the axis of time: its own, or its group's; empty where none do."""
    if keys.TIME_MARKERS in dataset.attrs:
        return dict(dataset.attrs)
    has_columns = keys.TIME_MARKERS in dataset.parent.attrs and len(dataset.shape or ()) == 2
    return dict(dataset.parent.attrs) if has_columns else {}


def _time_axis(dataset: Any) -> int:
    """Return which axis is time: the second one of histograms, whose group tells it, else the first."""
    return 1 if keys.TIME_MARKERS not in dataset.attrs and _axis_of(dataset) else 0


def _kept(dataset: Any, path: str, moment: Moment) -> npt.NDArray[np.bool_]:
    """Return which rows are of before; all, where the dataset tells no axis of time."""
    rows: int = dataset.shape[_time_axis(dataset)]
    if path in keys.EPOCH_MARKERS:
        return np.arange(rows) < moment.epochs
    kept = keys.is_before(_axis_of(dataset), rows, moment.epochs, moment.minibatches)
    return np.ones(rows, np.bool_) if kept is None else kept
