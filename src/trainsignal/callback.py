"""`Callback`: neon's six hooks, and what a callback tells of itself before the run.

Knows no signal bus: `binding` connects the hooks. A subclass may set attributes before `__init__`, or never
call it; what the library keeps on an instance has names that no attribute can have.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar, overload

import numpy as np

from trainsignal import keys
from trainsignal.backend import BackendAttribute
from trainsignal.frequency import Frequency, check_frequency, fires
from trainsignal.plain_state import changed_attributes, set_attributes
from trainsignal.readings import epoch_row, is_unreported
from trainsignal.run_link import Boundary, ExitReason, joined_run, run_of, without_run
from trainsignal.shared_data import SharedData


class FrequencyAttribute:
    """`epoch_freq` or `minibatch_freq`: checked when set, and heard by the run at once."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> FrequencyAttribute: ...

    @overload
    def __get__(self, instance: Callback, owner: type) -> Frequency: ...

    def __get__(self, instance: Callback | None, owner: type) -> Frequency | FrequencyAttribute:
        if instance is None:
            return self
        frequency: Frequency = vars(instance).get(self._name, 1)
        return frequency

    def __set__(self, instance: Callback, value: Frequency) -> None:
        check_frequency(value, f"{type(instance).__name__}.{self._name}")
        vars(instance)[self._name] = value
        run = joined_run(instance)
        if run is not None:
            run.wiring_changed()


class Callback:
    """Something that listens to a training loop; override the hooks that you want.

    `on_epoch_*` fire as `epoch_freq` says and `on_minibatch_*` as `minibatch_freq` says: an int n fires when
    `(index + 1) % n == 0`, a list when the index is in it, None never. Indices count from 0, minibatches
    within their epoch. Source: neon's `Callback`.

    Attributes:
        epoch_freq: when the epoch hooks fire.
        minibatch_freq: when the minibatch hooks fire.
        be: neon's backend, which makes tensors and computes with them; the model's own, where it has one.
        costnm: name of the model's cost function, once known.
        reads: series that it needs; it runs after their writer, and without one the run does not start.
        optional_reads: series that it uses where they are; it runs after their writer.
        writes: series that it makes.
        needs: Protocols (see `trainsignal.abilities`) that the model must satisfy.
        only_first: whether it runs on the first rank alone of a run of several, as what writes files or
            prints does; the user may choose otherwise in `add_callback`.
    """

    epoch_freq = FrequencyAttribute()
    minibatch_freq = FrequencyAttribute()
    be = BackendAttribute()
    costnm: str | None = None
    reads: Collection[str] = ()
    optional_reads: Collection[str] = ()
    writes: Collection[str] = ()
    needs: Collection[type] = ()
    only_first: bool = False

    def __init__(self, epoch_freq: Frequency = 1, minibatch_freq: Frequency = 1) -> None:
        """Store when it fires.

        Raises:
            FrequencyError: 0, a negative, a bool or text.
        """
        self.epoch_freq = epoch_freq
        self.minibatch_freq = minibatch_freq

    def on_train_begin(self, callback_data: SharedData, model: Any, epochs: int) -> None:
        """Run before the first epoch.

        Args:
            callback_data: the shared data.
            model: the object that was given to `Callbacks`.
            epochs: how many there will be.
        """

    def on_train_end(self, callback_data: SharedData, model: Any) -> None:
        """Run after the last epoch of a run that was completed or stopped."""

    def on_epoch_begin(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        """Run before the minibatches of an epoch (0-based)."""

    def on_epoch_end(self, callback_data: SharedData, model: Any, epoch: int) -> None:
        """Run after the minibatches of an epoch (0-based)."""

    def on_minibatch_begin(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        """Run before a minibatch (0-based within its epoch) is computed."""

    def on_minibatch_end(self, callback_data: SharedData, model: Any, epoch: int, minibatch: int) -> None:
        """Run after the update that a minibatch (0-based within its epoch) led to."""

    def on_run_closed(
        self, callback_data: SharedData, model: Any, reason: ExitReason, error: BaseException | None
    ) -> None:
        """Clean up: run last and once, however the run ended, the latest callback first.

        Args:
            callback_data: the shared data; published once more after this.
            model: the object that was given to `Callbacks`.
            reason: why the run ended.
            error: the exception that ended it, or None.
        """

    def should_fire(self, callback_data: SharedData, model: Any, time: int, freq: Frequency) -> bool:
        """Return whether an epoch or minibatch hook fires; override it for a rule of your own.

        Args:
            callback_data: the shared data.
            model: the object that was given to `Callbacks`.
            time: the epoch, or the minibatch within its epoch; 0-based.
            freq: `epoch_freq` or `minibatch_freq`.
        """
        return fires(freq, time)

    def request_stop(self, reason: str, *, at: Boundary = "minibatch") -> None:
        """Vote to stop the run, at the next minibatch boundary or at the end of the epoch.

        Raises:
            RunStateError: the callback takes part in no run.
        """
        run_of(self).request_stop(reason, type(self).__name__, at)

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run has to know of this callback.

        As it stands: the attributes that are not as they were when the run began, as far as their values are
        plain (None, numbers, text, NumPy arrays, random generators, and containers of these).
        """
        return changed_attributes(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned; called after `on_train_begin` of a resumed run.

        Args:
            state: of the checkpoint from which the run goes on.
        """
        set_attributes(self, state)

    def _get_cached_epoch_loss(
        self, callback_data: SharedData, model: Any, epoch: int, label: str
    ) -> dict[str, Any] | None:
        """Return the loss that was evaluated at this epoch, or None.

        Args:
            callback_data: the shared data.
            model: the object that was given to `Callbacks`.
            epoch: 0-based.
            label: which loss: "loss" is the one in "cost/loss".

        Returns:
            `cost`: float32; `time`: seconds that the evaluation took, float32, NaN where nobody wrote them;
            `costnm`: name of the cost function. Source: neon's method of this name.
        """
        key = keys.loss(label)
        if key not in callback_data:
            return None
        series = callback_data[key]
        row = epoch_row(series, epoch)
        if row is None or is_unreported(series, row):
            return None
        if self.costnm is None:
            function = getattr(getattr(model, "cost", None), "costfunc", None)
            self.costnm = "" if function is None else type(function).__name__
        seconds = callback_data.get(keys.loss_time(label))  # a writer of the user's own may not tell
        time = np.float32(np.nan) if seconds is None else seconds[row]
        return {"cost": series[row], "time": time, "costnm": self.costnm}

    def __getstate__(self) -> dict[str, Any]:
        return without_run(self)


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook: the signal that it listens to, and neon's positional call of it.

    Attributes:
        signal: name in the catalogue.
        method: name of the hook.
        arguments: payload that follows `callback_data, model`.
        frequency: attribute that gates it; None: it always fires.
    """

    signal: str
    method: str
    arguments: tuple[str, ...]
    frequency: str | None = None

    EPOCH: ClassVar[str] = "epoch_freq"
    MINIBATCH: ClassVar[str] = "minibatch_freq"

    def is_overridden(self, callback: Callback) -> bool:
        """Return whether the callback's class or the instance has a hook of its own."""
        return self.method in vars(callback) or (
            getattr(type(callback), self.method) is not getattr(Callback, self.method)
        )


HOOKS = (
    Hook("train_begin", "on_train_begin", ("epochs",)),
    Hook("epoch_begin", "on_epoch_begin", ("epoch",), Hook.EPOCH),
    Hook("minibatch_begin", "on_minibatch_begin", ("epoch", "minibatch"), Hook.MINIBATCH),
    Hook("minibatch_end", "on_minibatch_end", ("epoch", "minibatch"), Hook.MINIBATCH),
    Hook("epoch_end", "on_epoch_end", ("epoch",), Hook.EPOCH),
    Hook("train_end", "on_train_end", ()),
    Hook("run_closed", "on_run_closed", ("reason", "error")),
)


def has_own_gate(callback: Callback, frequency: str) -> bool:
    """Return whether the attribute alone does not tell when the callback fires.

    True for a class with its own `should_fire`, or one that shadows `epoch_freq` or `minibatch_freq` with
    an attribute of its own, of which no change is heard.
    """
    own_rule = "should_fire" in vars(callback) or type(callback).should_fire is not Callback.should_fire
    return own_rule or getattr(type(callback), frequency) is not getattr(Callback, frequency)
