"""`TorchCommunicator`: the processes that torch.distributed has brought together.

The only file here that imports PyTorch. Its collectives go through a gloo group of its own, over TCP from the
host's memory: they touch neither NCCL nor a GPU's streams, and never meet the training's.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

from trainsignal.distributed.communicator import Bytes, Numbers, Pending
from trainsignal.distributed.rendezvous import meet
from trainsignal.errors import CommunicatorError, ConfigurationError, RunStateError
from trainsignal.extras import require

_USER: Final = "trainsignal.distributed.torch"
torch: Any = require("torch", extra="torch", user=_USER, at_least="2.2")
distributed: Any = require("torch.distributed", extra="torch", user=_USER)

_Result = TypeVar("_Result")

_NEVER: Final = timedelta(days=365)
"""A rank may take that long from one boundary to the next: who is dead is found out otherwise."""

_HOST: Final = "cpu"
"""Where our tensors are, whatever `torch.set_default_device` says."""

_START: Final = "start it with `torchrun --nproc-per-node N script.py`, and call it before Callbacks is made"


class TorchCommunicator:
    """The ranks of a process group of torch.distributed.

        torch.distributed.init_process_group("nccl")
        callbacks = Callbacks(model, communicator=TorchCommunicator())

    A rank that dies closes its connections: what waits for it fails at once on the ranks that exchange
    numbers with it, and on others when those have ended. A rank that hangs, or whose machine vanishes, is not
    noticed here.

    Args:
        group: the processes that train together, of which this is one; None: all of them.

    Raises:
        ConfigurationError: torch.distributed is not initialized, or this process is not in the group.
    """

    def __init__(self, group: Any = None) -> None:
        _check_ready()
        self._ranks = _ranks_of(group)
        self._rank = self._ranks.index(distributed.get_rank())
        self._own: Any = None
        self._under_way: list[_Work[Any]] = []

    @property
    def name(self) -> str:
        """What carries the collectives, for messages."""
        return "torch.distributed"

    @property
    def rank(self) -> int:
        """0-based number of this process in the group."""
        return self._rank

    @property
    def size(self) -> int:
        """How many processes are in the group."""
        return len(self._ranks)

    def open(self) -> None:
        """Make a gloo group of our own, of the ranks of the given one alone, once all have called this.

        They wait for each other as long as the training's own group would: `init_process_group(timeout=...)`.
        It may be called again after an error.

        Raises:
            CommunicatorError: not all came in that time, or they cannot connect to each other.
        """
        store = distributed.distributed_c10d._get_default_store()
        try:
            place = meet(store, self._ranks, self.rank)
            self._own = _connected(distributed.PrefixStore(place, store), self.rank, self.size, store.timeout)
        except (RuntimeError, TimeoutError) as error:
            raise CommunicatorError(
                f"torch.distributed: rank {self.rank} of {self.size} cannot connect to the others: "
                f"{_words(error)}. Look for the first error among the ranks; where machines have "
                "several networks, name one in the environment variable GLOO_SOCKET_IFNAME"
            ) from error

    def close(self) -> None:
        """Give the group back, without a word to other ranks.

        PyTorch waits in a group's destructor for what is under way in it, if it must, for ever: then a thread
        that ends with the process keeps the group until that is over.
        """
        own, self._own = self._own, None
        under_way, self._under_way = self._still_under_way(), []
        if own is not None and under_way:
            works = [one.work for one in under_way]
            threading.Thread(target=_outlast, args=(works, own), name="trainsignal gloo", daemon=True).start()

    def start_sum(self, values: Numbers) -> Pending[Numbers]:
        """Start adding the values of all ranks up.

        Raises:
            CommunicatorError: gloo says no.
            RunStateError: it is not open.
        """
        group = self._group()
        added = torch.tensor(values, device=_HOST)
        return self._start(lambda: group.allreduce([added]), added)

    def start_gather(self, row: Bytes) -> Pending[Bytes]:
        """Start gathering the rows of all ranks.

        Raises:
            CommunicatorError: gloo says no.
            RunStateError: it is not open.
        """
        group = self._group()
        own = torch.tensor(row, device=_HOST)
        gathered = torch.empty((self.size, len(row)), dtype=torch.uint8, device=_HOST)
        return self._start(lambda: group.allgather([list(gathered.unbind())], [own]), gathered)

    def _group(self) -> Any:
        if self._own is None:
            raise RunStateError("TorchCommunicator is not open: call open() first, on all ranks")
        return self._own

    def _start(self, collective: Callable[[], Any], tensor: Any) -> _Work[Any]:
        """Start what writes its result into a tensor."""
        try:
            pending: _Work[Any] = _Work(collective(), tensor)
        except RuntimeError as error:
            raise _refusal(error) from error
        self._under_way = [*self._still_under_way(), pending]
        return pending

    def _still_under_way(self) -> list[_Work[Any]]:
        return [one for one in self._under_way if not one.is_done()]


class _Work(Generic[_Result]):
    """A collective of gloo's, and where its result will be."""

    def __init__(self, work: Any, tensor: Any) -> None:
        self.work = work
        self._tensor = tensor

    def is_done(self) -> bool:
        """Return whether gloo has ended it; its own threads do the work."""
        return bool(self.work.is_completed())

    def result(self) -> _Result:
        """Return the numbers.

        Raises:
            CommunicatorError: gloo failed, such as because a rank has closed its connections.
        """
        try:
            self.work.wait()
        except RuntimeError as error:
            raise _refusal(error) from error
        numbers: _Result = self._tensor.numpy()
        return numbers


def _check_ready() -> None:
    """Refuse to go on where torch.distributed has no group of processes.

    Raises:
        ConfigurationError: as said.
    """
    if not distributed.is_available() or not distributed.is_gloo_available():
        raise ConfigurationError(
            "this build of PyTorch has no torch.distributed with gloo: install one that has, or leave "
            "TorchCommunicator out where one process trains alone"
        )
    if not distributed.is_initialized():
        raise ConfigurationError(
            f"torch.distributed is not initialized: call torch.distributed.init_process_group(); {_START}"
        )


def _ranks_of(group: Any) -> list[int]:
    """Return the ranks, among all processes, of those in a group.

    Raises:
        ConfigurationError: it is no group, or this process is not in it.
    """
    if group is not None and group == distributed.GroupMember.NON_GROUP_MEMBER:
        raise ConfigurationError(
            f"rank {distributed.get_rank()} is not in the group that TorchCommunicator was given: make "
            "Callbacks with it on the ranks of the group alone"
        )
    if group is not None and not isinstance(group, distributed.ProcessGroup):
        raise ConfigurationError(
            f"TorchCommunicator(group={group!r}): expected a torch.distributed.ProcessGroup, as "
            "torch.distributed.new_group(ranks) returns, or None for all processes"
        )
    ranks: list[int] = distributed.get_process_group_ranks(group or distributed.group.WORLD)
    return ranks


def _connected(store: Any, rank: int, size: int, patience: timedelta) -> Any:
    """Return a group of gloo's whose ranks are connected; its collectives may take for ever.

    Raises:
        RuntimeError: they are not, within `patience`.
    """
    if not hasattr(distributed.ProcessGroupGloo, "set_timeout"):
        # PyTorch 2.7 and older have one time for connecting and for each collective, which may take long
        return distributed.ProcessGroupGloo(store, rank, size, _NEVER)
    group = distributed.ProcessGroupGloo(store, rank, size, patience)
    group.set_timeout(_NEVER)
    return group


def _outlast(works: Sequence[Any], group: object) -> None:
    """Keep `group` until all that is under way in it is over."""
    for work in works:
        with contextlib.suppress(RuntimeError):  # nobody asks any more
            work.wait()


def _words(error: BaseException) -> str:
    """Return the first sentence of what a library says, without where in its source."""
    return re.sub(r"^\[\S+:\d+\] ", "", str(error).partition("\n")[0]).partition(". ")[0].rstrip(".")


def _refusal(error: RuntimeError) -> CommunicatorError:
    return CommunicatorError(f"torch.distributed: {_words(error)}")
