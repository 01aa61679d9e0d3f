"""What a checkpoint holds: the model's own state, in neon's structure, and one entry for the run.

Its moment is between two minibatches or two epochs, after everything that listens has run. `resume` reads it.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any

from trainsignal import keys, random_state
from trainsignal.abilities import HasSize, HasTrainingState
from trainsignal.binding import HookReceiver
from trainsignal.callback import Callback
from trainsignal.errors import CheckpointError
from trainsignal.order import runs_after_handlers
from trainsignal.plain_state import lost_attributes
from trainsignal.plain_values import NotPlainError, encode
from trainsignal.run import TrainingRun

_logger = logging.getLogger(__name__)

FORMAT = 1
"""Of the entry; a checkpoint of a later one is refused."""

LOOSE_BYTES = 64 * 1024
"""Datasets without an axis of time travel in the checkpoint up to this size."""


class Snapshots:
    """Takes snapshots of a run.

    Args:
        run: that satisfies `CanSerialize` with its model, when one is taken.
        bound: returns the receivers of the callbacks.
    """

    def __init__(self, run: TrainingRun, bound: Callable[[], Collection[HookReceiver]]) -> None:
        self._run = run
        self._bound = bound
        self._at_cut: dict[str, Any] | None = None
        self._told: set[tuple[str, str]] = set()

    def take(self, minibatches: int | None) -> dict[str, Any]:
        """Return what a checkpoint holds at this moment; see `run_link.RunLink.snapshot`.

        Raises:
            Exception: what the `state_dict` of a callback raised, unless its `on_error` is another.
        """
        if minibatches is None and self._at_cut is not None:
            return self._at_cut
        self._run.minibatch_cost.settle()  # before anybody tells a state: costs on a device are part of it
        state = self._run.model.serialize(keep_states=True)
        return {**state, keys.CHECKPOINT_RUN: _entry(self._run, minibatches, self._states())}

    def before_epoch_end(self) -> None:
        """Keep the state of an epoch that a vote cut short, before its end is published.

        So a resumed run does the rest of the epoch, and then its end, for the first time.
        """
        if _is_cut_short(self._run) and any(
            runs_after_handlers(receiver.member.callback) for receiver in self._bound()
        ):
            self._at_cut = copy.deepcopy(self.take(self._run.epoch_minibatches))

    def _states(self) -> dict[str, Any]:
        """Return the state of each callback by name; one that failed and was disabled has none."""
        states: dict[str, Any] = {}
        for name, receiver in {one.name: one for one in self._bound() if not one.is_disabled}.items():
            self._tell_of_losses(name, receiver.member.callback)
            try:
                states[name] = _state_of(name, receiver.member.callback)
            except Exception as error:  # noqa: BLE001  # `failed` re-raises unless the user chose otherwise
                receiver.failed(error, "state_dict")
        return states

    def _tell_of_losses(self, name: str, callback: Callback) -> None:
        """Log, once each, which attributes no checkpoint can hold."""
        if type(callback).state_dict is not Callback.state_dict:
            return
        for attribute in lost_attributes(callback):
            if (name, attribute) not in self._told and not attribute.startswith("_"):
                self._told.add((name, attribute))
                _logger.warning(
                    "%s.%s (%s) is in no checkpoint: a resumed run has what on_train_begin makes. Keep "
                    "plain values in it, or override state_dict and load_state_dict.",
                    name, attribute, type(getattr(callback, attribute)).__name__,
                )  # fmt: skip


def _entry(run: TrainingRun, minibatches: int | None, states: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that a resumed run needs beside the model's own state, as plain values.

    Args:
        run: between two minibatches, or at the end of an epoch.
        minibatches: of the current epoch that are done; None: it is complete.
        states: of the callbacks, by their names in the run.
    """
    model, is_within = run.model, minibatches is not None
    is_cut = run.exit_reason is not None or run.should_stop()
    done = run.minibatches_done if minibatches is None else run.minibatches_complete + minibatches
    return {
        "format": FORMAT,
        "run_id": run.run_id,
        "ranks": 1 if run.ranks is None else run.ranks.size,
        "epoch": run.epoch if is_within else run.epoch + 1,
        "epochs_complete": run.epochs_complete + run.is_ending_epoch,
        "is_within_epoch": is_within,
        "minibatch": minibatches or 0,
        "minibatches_done": done,
        "cost": run.minibatch_cost.state_dict(),
        "feed": encode(run.feed.state_dict(is_within=is_within, is_cut=is_cut)),
        "random": encode(random_state.capture(model)),
        "training": encode(model.training_state()) if isinstance(model, HasTrainingState) else None,
        "callbacks": states,
        "loose": run.data.loose_values(LOOSE_BYTES),
    }


def _is_cut_short(run: TrainingRun) -> bool:
    """Return whether there may be more to do in the epoch that is to end, but for a vote to stop.

    Where nobody knows, there is: then a resumed run finds nothing, and ends the epoch.
    """
    feed = run.feed
    if not run.should_stop() or not feed.is_used or (feed.is_exhausted and not feed.is_refused):
        return False
    if isinstance(run.model, HasSize) and run.model.nbatches:
        return run.epoch_minibatches < run.model.nbatches
    return True


def _state_of(name: str, callback: Callback) -> Any:
    try:
        return encode(callback.state_dict())
    except NotPlainError as error:
        raise CheckpointError(
            f"{name}.state_dict() returned what no checkpoint can hold: {error}. Return plain values: "
            "numbers, text, NumPy arrays, and containers of these."
        ) from error
