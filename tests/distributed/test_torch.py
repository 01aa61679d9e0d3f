"""`TorchCommunicator` in this process: several ranks of it, each with real groups of gloo."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as distributed

from trainsignal.distributed import Communicator
from trainsignal.distributed import torch as torch_file
from trainsignal.distributed.communicator import wait
from trainsignal.distributed.rendezvous import meet
from trainsignal.distributed.torch import TorchCommunicator
from trainsignal.errors import CommunicatorError, ConfigurationError, RunStateError

LIMIT_S = 20
NEVER = timedelta(days=365)


def nothing() -> None:
    """A check that has nothing to object to."""


class Group:
    """A process group, as far as it is looked at: its ranks."""

    def __init__(self, ranks: list[int]) -> None:
        self.ranks = ranks


class Distributed:
    """torch.distributed of several ranks of one process, in turns; its store and gloo are real."""

    def __init__(self, size: int) -> None:
        self.store = distributed.HashStore()
        self.store.set_timeout(timedelta(seconds=LIMIT_S))
        self.rank = 0
        self.is_there = self.has_gloo = self.has_begun = True
        self.ProcessGroup = Group
        self.PrefixStore = distributed.PrefixStore
        self.ProcessGroupGloo: Any = distributed.ProcessGroupGloo
        self.GroupMember = distributed.GroupMember
        self.group = SimpleNamespace(WORLD=Group(list(range(size))))
        self.distributed_c10d = SimpleNamespace(_get_default_store=lambda: self.store)

    def is_available(self) -> bool:
        return self.is_there

    def is_gloo_available(self) -> bool:
        return self.has_gloo

    def is_initialized(self) -> bool:
        return self.has_begun

    def get_rank(self) -> int:
        return self.rank

    def get_process_group_ranks(self, group: Group) -> list[int]:
        return group.ranks


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Distributed:
    """Two ranks."""
    fake = Distributed(2)
    monkeypatch.setattr(torch_file, "distributed", fake)
    return fake


def all_at_once(*functions: Callable[[], object]) -> None:
    """Call each in a thread, as they wait for each other; raise the first error."""
    errors: list[BaseException] = []

    def call(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=call, args=(one,), daemon=True) for one in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def communicators(world: Distributed, ranks: tuple[int, ...] = (0, 1)) -> list[TorchCommunicator]:
    """Return one for each rank, not open."""
    made = []
    for world.rank in ranks:
        made.append(TorchCommunicator())
    return made


@pytest.fixture
def pair(world: Distributed) -> Iterator[list[TorchCommunicator]]:
    """Both, open."""
    made = communicators(world)
    all_at_once(*(one.open for one in made))
    yield made
    for one in made:
        one.close()


def test_ranks_are_those_of_the_world(pair: list[Communicator]) -> None:
    assert [(one.name, one.rank, one.size) for one in pair] == [
        ("torch.distributed", 0, 2),
        ("torch.distributed", 1, 2),
    ]


def test_values_and_rows_may_change_at_once(pair: list[TorchCommunicator]) -> None:
    values, row = np.array([1.5, 2.0]), np.array([7, 8, 9], np.uint8)
    sums = [one.start_sum(values) for one in pair]
    rows = [one.start_gather(row) for one in pair]
    values[:], row[:] = 0, 0

    for pending in sums:
        added = wait(pending, nothing)
        assert added.dtype == np.float64
        assert added.tolist() == [3.0, 4.0]
    for gathering in rows:
        gathered = wait(gathering, nothing)
        assert gathered.dtype == np.uint8
        assert gathered.tolist() == [[7, 8, 9]] * 2


def test_sum_is_not_done_before_the_other_rank_has_started_it(pair: list[TorchCommunicator]) -> None:
    first = pair[0].start_sum(np.ones(1))
    for _ in range(100):
        assert not first.is_done()

    pair[1].start_sum(np.ones(1))

    assert wait(first, nothing) == 2.0


def test_numbers_of_64_bits_stay_so_whatever_the_training_computes_with(
    pair: list[TorchCommunicator],
) -> None:
    torch.set_default_dtype(torch.float16)
    try:
        pending = [one.start_sum(np.array([1 + 2.0**-50])) for one in pair]
        assert wait(pending[0], nothing) == 2 + 2.0**-49
    finally:
        torch.set_default_dtype(torch.float32)


def test_tensors_are_on_the_host_whatever_device_the_user_has_chosen(pair: list[TorchCommunicator]) -> None:
    with torch.device("meta"):
        sums = [one.start_sum(np.ones(1)) for one in pair]
        rows = [one.start_gather(np.array([7], np.uint8)) for one in pair]

        assert [wait(one, nothing).item() for one in sums] == [2.0, 2.0]
        assert [wait(one, nothing).tolist() for one in rows] == [[[7], [7]]] * 2


@pytest.mark.parametrize("start", ["start_sum", "start_gather"])
def test_collective_that_gloo_does_not_start_is_an_error_of_the_communicator(
    start: str, pair: list[TorchCommunicator]
) -> None:
    def refuse(*arguments: object) -> None:
        raise RuntimeError("unsupported device type meta. More words\nframe #0: 0xabc")

    group, pair[0]._own = pair[0]._own, SimpleNamespace(allreduce=refuse, allgather=refuse)

    said = r"^torch\.distributed: unsupported device type meta$"
    with pytest.raises(CommunicatorError, match=said) as caught:
        getattr(pair[0], start)(np.zeros(1, np.float64 if start == "start_sum" else np.uint8))

    assert isinstance(caught.value.__cause__, RuntimeError)
    pair[0]._own = group


def test_rank_that_goes_away_fails_what_waits_for_it_and_what_comes_after(
    pair: list[TorchCommunicator],
) -> None:
    waiting = pair[0].start_sum(np.ones(1))

    pair[1].close()

    for pending in (waiting, pair[0].start_sum(np.ones(1))):
        with pytest.raises(
            CommunicatorError, match=r"^torch\.distributed: .*onnection (closed|reset) by peer"
        ) as caught:
            wait(pending, nothing)
        assert isinstance(caught.value.__cause__, RuntimeError)


def keepers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "trainsignal gloo"]


def test_closing_does_not_wait_for_what_is_under_way(pair: list[TorchCommunicator]) -> None:
    pending = pair[0].start_sum(np.ones(1))

    pair[0].close()
    pair[0].close()

    [keeper] = keepers()
    assert keeper.daemon, "the process may end"
    wait(pair[1].start_sum(np.ones(1)), nothing)
    keeper.join(LIMIT_S)
    assert not keeper.is_alive()
    assert wait(pending, nothing) == 2.0


def test_what_is_under_way_and_fails_after_closing_bothers_nobody(pair: list[TorchCommunicator]) -> None:
    pair[0].start_sum(np.ones(1))
    pair[0].close()
    [keeper] = keepers()

    pair[1].close()

    keeper.join(LIMIT_S)
    assert not keeper.is_alive()


def test_closing_after_all_is_done_needs_no_thread(
    pair: list[TorchCommunicator], monkeypatch: pytest.MonkeyPatch
) -> None:
    for pending in [one.start_sum(np.ones(1)) for one in pair]:
        wait(pending, nothing)

    monkeypatch.delattr(threading, "Thread")
    for one in pair:
        one.close()


def test_communicator_serves_again(pair: list[TorchCommunicator]) -> None:
    for one in pair:
        one.close()
    all_at_once(*(one.open for one in pair))

    assert [wait(one, nothing).item() for one in [one.start_sum(np.ones(1)) for one in pair]] == [2.0, 2.0]


@pytest.mark.parametrize("start", ["start_sum", "start_gather"])
def test_collective_before_open_is_refused(start: str, world: Distributed) -> None:
    [communicator] = communicators(world, (0,))

    with pytest.raises(RunStateError, match=r"call open\(\) first, on all ranks"):
        getattr(communicator, start)(np.zeros(1))


def test_rank_that_never_comes_is_named_in_the_end(world: Distributed) -> None:
    world.store.set_timeout(timedelta(milliseconds=50))
    [communicator] = communicators(world, (0,))

    with pytest.raises(CommunicatorError, match=r"rank 0 of 2 cannot connect.*no run yet on rank 1\."):
        communicator.open()

    communicator.close()


def test_ranks_that_did_not_meet_may_try_again(world: Distributed) -> None:
    world.store.set_timeout(timedelta(milliseconds=50))
    made = communicators(world)
    for _ in range(2):
        with pytest.raises(CommunicatorError, match="no run yet on rank 1"):
            made[0].open()

    world.store.set_timeout(timedelta(seconds=LIMIT_S))
    all_at_once(*(one.open for one in made))

    assert [wait(one, nothing).item() for one in [one.start_sum(np.ones(1)) for one in made]] == [2.0, 2.0]
    for one in made:
        one.close()


def test_rank_that_dies_after_the_meeting_is_not_waited_for_longer_than_the_training_would(
    world: Distributed,
) -> None:
    world.store.set_timeout(timedelta(seconds=1))
    [communicator] = communicators(world, (0,))
    dying = threading.Thread(target=meet, args=(world.store, [0, 1], 1))
    dying.start()

    begun_s = time.monotonic()
    with pytest.raises(CommunicatorError, match="rank 0 of 2 cannot connect to the others: "):
        communicator.open()

    assert time.monotonic() - begun_s < LIMIT_S
    dying.join(LIMIT_S)


class Gloo:
    """Notes for how long it would wait."""

    def __init__(self, store: object, rank: int, size: int, timeout: timedelta) -> None:
        self.times = [timeout]


class GlooOfTwoTimes(Gloo):
    """That of PyTorch 2.8 and later."""

    def set_timeout(self, timeout: timedelta) -> None:
        self.times.append(timeout)


@pytest.mark.parametrize(
    "gloo, times", [(Gloo, [NEVER]), (GlooOfTwoTimes, [timedelta(seconds=7), NEVER])], ids=["old", "new"]
)
def test_connecting_takes_as_long_as_the_training_allows_and_collectives_for_ever(
    gloo: type[Gloo], times: list[timedelta], world: Distributed
) -> None:
    world.group.WORLD = Group([0])
    world.store.set_timeout(timedelta(seconds=7))
    world.ProcessGroupGloo = gloo
    [communicator] = communicators(world, (0,))

    communicator.open()

    assert communicator._own.times == times


def test_ranks_wait_for_one_that_comes_late(world: Distributed) -> None:
    first, second = communicators(world)
    has_begun = threading.Event()

    def come_late() -> None:
        assert has_begun.wait(LIMIT_S)
        time.sleep(0.05)  # the other one looks a few times in vain
        second.open()

    def come() -> None:
        has_begun.set()
        first.open()

    all_at_once(come, come_late)

    second.start_sum(np.ones(1))
    assert wait(first.start_sum(np.ones(1)), nothing) == 2.0
    first.close()
    second.close()


def test_store_that_is_gone_is_an_error_of_the_communicator(world: Distributed) -> None:
    [communicator] = communicators(world, (0,))

    def gone(key: str, amount: int) -> int:
        raise RuntimeError("[file.cpp:9] Connection reset by peer. More words\nframe #0: 0xabc")

    world.store = SimpleNamespace(add=gone, timeout=timedelta(seconds=1))

    said = r"rank 0 of 2 cannot connect to the others: Connection reset by peer\. Look.*GLOO_SOCKET_IFNAME"
    with pytest.raises(CommunicatorError, match=said):
        communicator.open()


def test_group_gives_ranks_of_its_own(world: Distributed) -> None:
    world.rank = 7
    communicator = TorchCommunicator(Group([3, 5, 7]))

    assert (communicator.rank, communicator.size) == (2, 3)


def test_groups_that_are_opened_at_once_do_not_meet(world: Distributed) -> None:
    made = []
    for world.rank, group in enumerate([Group([0, 2]), Group([1, 3]), Group([0, 2]), Group([1, 3])]):
        made.append(TorchCommunicator(group))
    all_at_once(*(made[rank].open for rank in (0, 3, 1, 2)))  # the first two would do, if they met

    pending = [one.start_sum(np.array([float(rank)])) for rank, one in enumerate(made)]

    assert [wait(one, nothing).item() for one in pending] == [2.0, 4.0, 2.0, 4.0]
    for one in made:
        one.close()


def test_rank_outside_of_the_group_is_told_so(world: Distributed) -> None:
    with pytest.raises(ConfigurationError, match="rank 0 is not in the group"):
        TorchCommunicator(distributed.GroupMember.NON_GROUP_MEMBER)


@pytest.mark.parametrize("group", ["nccl", [0, 1], distributed], ids=["name", "ranks", "module"])
def test_what_is_no_group_is_refused(group: Any, world: Distributed) -> None:
    with pytest.raises(ConfigurationError, match=r"expected a torch\.distributed\.ProcessGroup"):
        TorchCommunicator(group)


def test_without_a_group_of_processes_the_message_says_what_to_do() -> None:
    assert not distributed.is_initialized()
    with pytest.raises(
        ConfigurationError, match=r"call torch\.distributed\.init_process_group\(\).*torchrun"
    ):
        TorchCommunicator()


@pytest.mark.parametrize("lacks", ["is_there", "has_gloo"])
def test_build_of_pytorch_without_what_is_needed_is_refused(lacks: str, world: Distributed) -> None:
    setattr(world, lacks, False)

    with pytest.raises(ConfigurationError, match=r"no torch\.distributed with gloo"):
        TorchCommunicator()


def test_private_name_that_is_used_is_still_there() -> None:
    assert callable(distributed.distributed_c10d._get_default_store), (
        "this release of PyTorch has no _get_default_store, on which distributed/torch.py relies: find what "
        "took its place, and change the file"
    )
