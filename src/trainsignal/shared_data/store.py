"""What the objects of one `SharedData` know of each other; creates none of them, writes no file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import h5py
import numpy as np
import numpy.typing as npt

from trainsignal.shared_data.lowlevel import Identity, identity_of
from trainsignal.shared_data.subscriptions import (
    SeriesHandler,
    Stamp,
    Subscription,
    call_all,
    check_handler,
    normal_key,
)

if TYPE_CHECKING:
    from trainsignal.shared_data.buffered import BufferedDataset
    from trainsignal.shared_data.file import SharedData
    from trainsignal.shared_data.group import SharedGroup


class Store:
    """The state that a `SharedData` and all groups and datasets below it have in common.

    Args:
        file: the one `SharedData`; held strongly, so that a dataset's `.file` outlives the user's variable.
        raw_id: its `FileID`.
        position: returns the stamp of the moment.
    """

    def __init__(self, file: SharedData, raw_id: Any, position: Callable[[], Stamp]) -> None:
        self.file = file
        self.datasets: WeakValueDictionary[Identity, BufferedDataset] = WeakValueDictionary()
        self.groups: WeakValueDictionary[Identity, SharedGroup] = WeakValueDictionary()
        self.buffered: dict[Identity, BufferedDataset] = {}  # strong: they hold what is not yet written
        self._plain = h5py.Group(raw_id)
        self._position = position
        self._subscriptions: list[Subscription] = []
        self.number = identity_of(raw_id)[0]

    def write_back(self) -> None:
        """Write what the buffers hold into HDF5; they stay valid."""
        for dataset in tuple(self.buffered.values()):
            dataset.write_back()

    def settle(self) -> None:
        """Write back and drop all buffers and all remembered paths: somebody may read or change anything."""
        for dataset in tuple(self.buffered.values()):
            dataset.settle()
        self.file.forget_paths()
        for group in tuple(self.groups.values()):
            group.forget_paths()
        self._question_receivers()

    # -- subscriptions ---------------------------------------------------------------------------------

    @property
    def has_subscriptions(self) -> bool:
        """Whether anybody wants to know of any series."""
        return bool(self._subscriptions)

    def subscribe(self, key: str, handler: SeriesHandler) -> Subscription:
        """Remember `handler` for the series at `key`; see `SharedData.subscribe`."""
        check_handler(handler)
        subscription = Subscription(normal_key(key), handler, self._forget)
        self._subscriptions.append(subscription)
        self._question_receivers()
        return subscription

    def receivers_of(self, identity: Identity) -> tuple[Subscription, ...]:
        """Return the subscriptions whose key leads to the object `identity` now, oldest first."""
        return tuple(each for each in self._subscriptions if self._leads_to(each.key, identity))

    def notify(self, subscriptions: tuple[Subscription, ...], stored: np.generic | npt.NDArray[Any]) -> None:
        """Call the handlers with the value `stored` and the stamp of this moment."""
        call_all(subscriptions, stored, self._position())

    def _forget(self, subscription: Subscription) -> None:
        self._subscriptions = [each for each in self._subscriptions if each is not subscription]
        self._question_receivers()

    def _question_receivers(self) -> None:
        """Have each dataset look its receivers up again before it next notifies."""
        for dataset in tuple(self.datasets.values()):
            dataset.question_receivers()

    def _leads_to(self, key: str, identity: Identity) -> bool:
        found = self._plain.get(key)
        return found is not None and identity_of(found.id) == identity
