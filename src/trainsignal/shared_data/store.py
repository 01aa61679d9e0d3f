"""What the objects of one `SharedData` have in common: who holds unwritten rows, who wants to be told.

Creates none of these objects, writes no file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast
from weakref import WeakValueDictionary

import h5py
import numpy as np
import numpy.typing as npt

from trainsignal.errors import ConfigurationError, HandlerError, WiringError

if TYPE_CHECKING:
    from trainsignal.shared_data.buffered import BufferedDataset
    from trainsignal.shared_data.file import SharedData
    from trainsignal.shared_data.group import SharedGroup

_h5py: Any = h5py  # h5py-stubs do not know all of it

Identity: TypeAlias = tuple[int, int]
"""(file number, address): the same for all handles and hard links of one HDF5 object, while one is open."""


def identity_of(raw_id: Any) -> Identity:
    """Return what tells the object that `raw_id` has open from all others."""
    info = _h5py.h5o.get_info(raw_id)
    return cast("Identity", (info.fileno, info.addr))


class Stamp(NamedTuple):
    """When a value was assigned."""

    epoch: int
    """0-based index."""

    minibatch: int
    """0-based index within its epoch."""


SeriesHandler: TypeAlias = Callable[[float, Stamp], object] | Callable[[npt.NDArray[Any], Stamp], object]
"""Called with what was assigned, as it was stored, and its stamp: a float, or an array (a copy) for more."""


class SeriesSubscription:
    """One handler's interest in one series; ends with `cancel` or with its `with` block."""

    def __init__(
        self, key: str, handler: SeriesHandler, forget: Callable[[SeriesSubscription], None]
    ) -> None:
        self.key = key
        self.handler = handler
        self._forget = forget
        self._is_active = True

    def cancel(self) -> None:
        """End the subscription; the handler is not called again. May be called twice."""
        self._is_active = False
        self._forget(self)

    def tell(self, stored: np.generic | npt.NDArray[Any], stamp: Stamp) -> None:
        """Call the handler with its own copy of `stored`; an exception passes with a note that names both."""
        if not self._is_active:  # cancelled by a handler that was called before this one
            return
        value: object = np.array(stored)
        if not stored.ndim:
            value = float(stored.item()) if stored.dtype.kind == "f" else stored.item()
        handler = cast("Callable[[object, Stamp], object]", self.handler)
        try:
            handler(value, stamp)
        except BaseException as error:
            name = getattr(handler, "__qualname__", None) or repr(handler)
            error.add_note(
                f"while {name} handled {self.key!r} at epoch {stamp.epoch}, minibatch {stamp.minibatch}"
            )
            raise

    def __enter__(self) -> SeriesSubscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()


class Store:
    """The state that a `SharedData` and all groups and datasets below it have in common.

    Args:
        file: the one `SharedData`; held strongly, so that a dataset's `.file` outlives the user's variable.
        raw_id: its `FileID`.
        position: returns the stamp of the moment.
    """

    def __init__(self, file: SharedData, raw_id: Any, position: Callable[[], Stamp]) -> None:
        self.file = file
        self.position = position
        self.members: WeakValueDictionary[Identity, BufferedDataset | SharedGroup] = WeakValueDictionary()
        self.buffered: dict[Identity, BufferedDataset] = {}  # strong: they hold what is not yet written
        self.late: dict[Identity, BufferedDataset] = {}  # of which rows are not known yet
        self.process = os.getpid()
        self.subscriptions: list[SeriesSubscription] = []
        self.number = identity_of(raw_id)[0]
        self._plain = h5py.Group(raw_id)

    def bring_late(self) -> None:
        """Have the rows written that were not known yet, which may wait for a device; then write back."""
        for dataset in tuple(self.late.values()):
            dataset.bring_late()
        self.write_back()

    def write_back(self) -> None:
        """Write what the buffers hold into HDF5; they stay valid."""
        for dataset in tuple(self.buffered.values()):
            dataset.write_back()

    def settle(self) -> None:
        """Write back and drop all buffers and all remembered paths: somebody may read or change anything."""
        self.bring_late()
        for dataset in tuple(self.buffered.values()):
            dataset.settle()
        self._look_up_anew()

    def explain(self, error: Exception) -> None:
        """Note on an error of h5py's that the file is closed, if it is: h5py does not say so."""
        if not self._plain:
            error.add_note("the shared data was closed; what is to be read or written comes before close()")

    def subscribe(self, key: str, handler: SeriesHandler) -> SeriesSubscription:
        """Remember `handler` for the dataset at `key`; see `SharedData.subscribe`."""
        if not callable(handler):
            raise HandlerError(f"{handler!r} is not callable. Give a function of (value, stamp).")
        path = "/".join(part for part in key.split("/") if part not in ("", "."))
        if not path:
            raise ConfigurationError(f"{key!r} names no series. Give a path such as 'cost/train'.")
        if isinstance(self._plain.get(path), h5py.Group):
            raise WiringError(
                f"{key!r} is a group, to which nothing is assigned. Subscribe to a dataset in it."
            )
        self.bring_late()  # rows of before are nothing that it is told of
        subscription = SeriesSubscription(path, handler, self._forget)
        self.subscriptions.append(subscription)
        self._look_up_anew()
        return subscription

    def receivers_of(self, identity: Identity) -> tuple[SeriesSubscription, ...]:
        """Return the subscriptions whose key leads to the object `identity` now, oldest first."""
        found = ((each, self._plain.get(each.key)) for each in self.subscriptions)
        return tuple(each for each, it in found if it is not None and identity_of(it.id) == identity)

    def _forget(self, subscription: SeriesSubscription) -> None:
        self.subscriptions = [each for each in self.subscriptions if each is not subscription]
        self._look_up_anew()

    def _look_up_anew(self) -> None:
        for member in (self.file, *self.members.values()):
            member.look_up_anew()
