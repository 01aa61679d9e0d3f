"""All that can be known to be wrong before epoch 0, said before epoch 0.

Looks at what callbacks declare; calls no hook and touches no file.
"""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Iterable, Sequence

from trainsignal import keys
from trainsignal.callback import HOOKS, Callback, Hook, has_own_gate
from trainsignal.errors import HandlerError, MissingAbilityError, WiringError, did_you_mean
from trainsignal.frameworks import wrapper_hint
from trainsignal.frequency import check_frequency, meet, next_firing
from trainsignal.order import run_order

_logger = logging.getLogger(__name__)

NEARLY_A_HOOK = 0.91
"""Likeness from which on a name counts as misspelt: `on_epoch_edn` does, other libraries' hooks do not."""

_GATE = "should_fire"
_NAMES = (*(hook.method for hook in HOOKS), _GATE)


def check_wiring(callbacks: Sequence[Callback], model: object, epochs: int | None) -> None:
    """Refuse callbacks that cannot do together what they are there for.

    Args:
        callbacks: in the order in which they were added.
        model: what they will be called with.
        epochs: how many there will be; None where unknown.

    Raises:
        HandlerError: a misspelt hook, or one that cannot be called with neon's arguments.
        FrequencyError: a class attribute that is no frequency.
        WiringError: a missing writer, a reader that never meets its writer, two writers of one series,
            readers in a circle.
        MissingAbilityError: the model lacks what a callback needs.
    """
    for callback in callbacks:
        check_is_callback(callback)
        _check_attributes(callback)
        _check_hooks(callback)
    _check_names(callbacks)
    for reader in callbacks:
        for key in reader.reads:
            _check_reader(reader, key, callbacks, epochs)
    run_order(callbacks)
    for callback in callbacks:
        _check_abilities(callback, model)


def check_is_callback(callback: object) -> None:
    """Refuse what is no callback.

    Raises:
        WiringError: a class instead of an instance, or some other object.
    """
    if isinstance(callback, type):
        raise WiringError(f"{callback.__name__} is a class; add an instance of it: {callback.__name__}(...)")
    if not isinstance(callback, Callback):
        raise WiringError(
            f"{callback!r} is no Callback: subclass trainsignal.Callback, or subscribe a function "
            "with callbacks.bus.subscribe(...)"
        )


def warn_of_idle(callbacks: Iterable[Callback], epochs: int | None) -> None:
    """Log which callbacks have nothing to do in so few epochs: a checkpoint that will not be written, say.

    No error: a short trial of a long run's script is in order.
    """
    for callback in callbacks:
        if not epochs or callback.epoch_freq is None or not _acts_at_epochs(callback):
            continue
        if next_firing(callback.epoch_freq, 0) >= epochs:
            _logger.warning(
                "%s will not fire: its epoch_freq is %r and the run has %d epochs",
                type(callback).__name__, callback.epoch_freq, epochs,
            )  # fmt: skip


def _check_attributes(callback: Callback) -> None:
    """Refuse class attributes of a wrong kind; they may have shadowed those that check."""
    name = type(callback).__name__
    for attribute in (Hook.EPOCH, Hook.MINIBATCH):
        check_frequency(getattr(callback, attribute), f"{name}.{attribute}")
    for attribute in ("reads", "optional_reads", "writes"):
        if isinstance(getattr(callback, attribute), str):
            raise WiringError(
                f"{name}.{attribute} is text; write a tuple of keys: ({getattr(callback, attribute)!r},)"
            )


def _check_hooks(callback: Callback) -> None:
    """Refuse names that look like misspelt hooks, and hooks that cannot take what they will be given."""
    name = type(callback).__name__
    for attribute in dir(callback):
        if attribute in _NAMES or not attribute.lower().startswith(("on", "should")):
            continue
        near = [name for name in _NAMES if _bare(name) == _bare(attribute)]
        near += difflib.get_close_matches(attribute, _NAMES, n=1, cutoff=NEARLY_A_HOOK)
        if near and callable(inspect.getattr_static(callback, attribute)):
            raise HandlerError(
                f"{name}.{attribute} is never called: there is no such hook. Did you mean {near[0]!r}?"
            )
    for hook in HOOKS:
        if hook.is_overridden(callback):
            _check_call(callback, hook.method, ("callback_data", "model", *hook.arguments))
    _check_call(callback, _GATE, ("callback_data", "model", "time", "freq"))


def _check_call(callback: Callback, method: str, arguments: tuple[str, ...]) -> None:
    """Refuse a method that cannot be called with these positional arguments."""
    try:
        inspect.signature(getattr(callback, method)).bind(*arguments)
    except TypeError as error:
        raise HandlerError(
            f"{type(callback).__name__}.{method} cannot be called with ({', '.join(arguments)}): {error}. "
            f"Write def {method}(self, {', '.join(arguments)})."
        ) from error
    except ValueError:  # a builtin that does not tell its parameters
        return


def _bare(name: str) -> str:
    """Return what is left of a name whatever its spelling: of `OnEpochEnd` the same as of `on_epoch_end`."""
    return name.lower().replace("_", "")


def _check_names(callbacks: Iterable[Callback]) -> None:
    """Refuse two writers of one series, unless both take a numbered name."""
    writers: dict[str, tuple[Callback, bool]] = {}
    for callback in callbacks:
        for key in callback.writes:
            if key == keys.MODEL:
                continue
            numbered = isinstance(key, keys.Numbered)
            other, other_numbered = writers.setdefault(key, (callback, numbered))
            if other is not callback and not (numbered and other_numbered):
                raise WiringError(
                    f"{type(other).__name__} and {type(callback).__name__} both write {key!r}. "
                    "Give one of them a series of another name, or leave it out."
                )


def _check_reader(reader: Callback, key: str, callbacks: Sequence[Callback], epochs: int | None) -> None:
    """Refuse a reader of a series that nobody writes, or that is written at other epochs than it reads."""
    name = type(reader).__name__
    writers = [one for one in callbacks if keys.covers(one.writes, key)]
    writer = next((one for one in writers if key in one.writes), writers[0] if writers else None)
    if writer is None:
        written = [one for callback in callbacks for one in callback.writes]
        remedy = keys.REMEDIES.get(
            key, f"Add the callback that does, or declare writes = ({key!r},) on the one that writes it."
        )
        raise WiringError(
            f"{name} reads {key!r}, which no callback writes. {remedy}{did_you_mean(key, written)}"
        )
    if epochs == 0 or not (_acts_at_epochs(reader) and _acts_at_epochs(writer)):
        return
    if not meet(reader.epoch_freq, writer.epoch_freq, epochs):
        within = "" if epochs is None else f" within {epochs} epochs"
        raise WiringError(
            f"{name} (epoch_freq={reader.epoch_freq!r}) reads {key!r}, which {type(writer).__name__} "
            f"(epoch_freq={writer.epoch_freq!r}) never writes at an epoch at which it is read{within}. "
            "Make the two frequencies meet."
        )


def _acts_at_epochs(callback: Callback) -> bool:
    """Return whether it is `epoch_freq` alone that says when the callback reads and writes."""
    at_minibatches = any(hook.is_overridden(callback) for hook in HOOKS if hook.frequency == Hook.MINIBATCH)
    at_epochs = any(hook.is_overridden(callback) for hook in HOOKS if hook.frequency == Hook.EPOCH)
    return at_epochs and not at_minibatches and not has_own_gate(callback, Hook.EPOCH)


def _check_abilities(callback: Callback, model: object) -> None:
    for ability in callback.needs:
        if isinstance(model, ability):
            continue
        wanted = sorted(name for name in dir(ability) if not name.startswith("_"))
        annotated = sorted(getattr(ability, "__annotations__", {}))
        missing = [one for one in dict.fromkeys([*annotated, *wanted]) if not hasattr(model, one)]
        raise MissingAbilityError(
            f"{type(callback).__name__} needs a model with {', '.join(missing) or ability.__name__} "
            f"({ability.__name__}: {_first_line(ability)}), which {type(model).__name__} has not. "
            f"Give Callbacks a model that has it, or leave this callback out.{wrapper_hint(model)}"
        )


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").split("\n", 1)[0].rstrip(".")
