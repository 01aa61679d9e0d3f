"""How a run joins others: the ranks of a distributed training, and a relay to listeners elsewhere.

Ties what `distributed` and `relay` know to the run, its life and the signals of the operating system.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

from trainsignal.binding import Choice
from trainsignal.callback import Callback
from trainsignal.distributed.communicator import Communicator
from trainsignal.distributed.detect import communicator_for
from trainsignal.distributed.last_resort import LastResort
from trainsignal.distributed.meeting import Introduction, wiring_lines
from trainsignal.distributed.ranks import Ranks
from trainsignal.distributed.stops import Surroundings
from trainsignal.distributed.watch_offer import host_identity
from trainsignal.errors import ConfigurationError
from trainsignal.interrupt import Interruption
from trainsignal.life import RunLife
from trainsignal.order import run_order
from trainsignal.record import package_version
from trainsignal.resume import Resumption
from trainsignal.run import TrainingRun

if TYPE_CHECKING:
    from trainsignal.relay import Relay


def join_ranks(
    given: Communicator | None, run: TrainingRun, life: RunLife, interruption: Interruption
) -> Ranks | None:
    """Open the communicator, and return the ranks of the run; None where this process trains alone.

    Args:
        given: by the user, or None.
        run: has not begun.
        life: of the run.
        interruption: listens to SIGINT and SIGTERM; its grace period is also that after a rank's failure.

    Raises:
        ConfigurationError: it is no communicator, or has no group.
        MissingPackageError: the library of the communicator is missing, or too old.
        CommunicatorError: the ranks cannot reach each other.
    """
    communicator = communicator_for(given)
    if communicator.size == 1:
        return None
    communicator.open()
    run.rank = communicator.rank
    around = Surroundings(
        run,
        take_run_id=partial(setattr, run, "run_id"),
        wake=run.minibatch_end.wake,
        adopt=run.adopt,
        end_by_signal=interruption.raise_agreed,
        asked_signal=interruption.asked_at_boundary,
    )
    last_resort = LastResort(interruption.grace_left_s, life.save_amid)
    run.ranks = ranks = Ranks(communicator, around, last_resort, interruption.grace_s)
    run.evaluations.exchange = ranks.together
    if run.rank:
        run.data.only_read()
    return ranks


def leave_ranks(run: TrainingRun) -> None:
    """Give the communicator back, of a run that did not begin."""
    if run.ranks is not None:
        run.ranks.ended()
        run.ranks = run.evaluations.exchange = None


def introduction(
    run: TrainingRun, everywhere: Collection[Callback], epochs: int | None, resumption: Resumption | None
) -> Introduction:
    """Return what this rank tells the others of itself.

    Args:
        run: has not begun.
        everywhere: the callbacks that run on every rank.
        epochs: how many there will be.
        resumption: what the run goes on from, or None.
    """
    beginning = "from the first" if resumption is None else f"from {resumption.moment}"
    return Introduction(
        wiring=wiring_lines(run_order(list(everywhere)), epochs, beginning, package_version()),
        host=host_identity(),
        run_id=run.run_id,
    )


def run_everywhere(callbacks: Iterable[Callback], choices: Mapping[int, Choice]) -> list[Callback]:
    """Return the callbacks that run on every rank.

    Args:
        callbacks: all.
        choices: what the user chose for some, by their `id`.
    """
    return [one for one in callbacks if not _is_only_first(one, choices)]


def relay_settings(given: str | Relay | None, *, allow_remote_stop: bool) -> Relay | None:
    """Return what the user wants of a relay, or None.

    Raises:
        ConfigurationError: it cannot be.
        MissingPackageError: redis-py is not installed.
    """
    if not isinstance(cast("object", allow_remote_stop), bool):
        raise ConfigurationError(f"allow_remote_stop={allow_remote_stop!r}: expected True or False")
    if given is None:
        if allow_remote_stop:
            raise ConfigurationError("allow_remote_stop=True without relay: pass the URL of a Redis server")
        return None
    from trainsignal.relay import Relay  # most runs have none

    settings = given if isinstance(given, Relay) else Relay(given)
    return replace(settings, allow_remote_stop=True) if allow_remote_stop else settings


def begin_relay(
    settings: Relay | None, run: TrainingRun, callbacks: Callable[[], Iterable[Callback]]
) -> None:
    """Have a relay listen to a run that is to begin; of several ranks, to the first.

    Raises:
        UnknownSignalError: a signal that is to be told is not declared.
    """
    if settings is not None and run.rank == 0:
        from trainsignal.relay.sender import RelaySender

        RelaySender(run, settings, callbacks)


def _is_only_first(callback: Callback, choices: Mapping[int, Choice]) -> bool:
    choice = choices.get(id(callback))
    return callback.only_first if choice is None else choice.is_only_first
