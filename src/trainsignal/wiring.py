"""The wiring in words: each signal, who listens, in which order and how often, who reads and writes what."""

from __future__ import annotations

from collections.abc import Iterable

from trainsignal import keys
from trainsignal.binding import Member, band_of
from trainsignal.bus import Band, Bus, TrainSignal
from trainsignal.callback import HOOKS, Callback, Hook, has_own_gate
from trainsignal.frequency import frequency_words
from trainsignal.receiver import name_of
from trainsignal.subscription import Subscription

_HOOK_OF = {hook.signal: hook for hook in HOOKS}


def describe(members: list[Member], bus: Bus, model: object) -> str:
    """Return the wiring, before, during or after a run.

    Args:
        members: the callbacks in running order.
        bus: with the handlers.
        model: the sender.
    """
    lines = [f"signals of {type(model).__name__}, receivers in running order:"]
    for signal in bus:
        hook = _HOOK_OF.get(signal.name)
        in_order = members[::-1] if signal.name == "run_closed" else members
        rows: list[tuple[str, str]] = []
        for band in Band:
            rows += _handlers(signal, band)
            if hook is not None:
                rows += _callbacks([one for one in in_order if band_of(one.callback, hook) is band], hook)
        if rows:
            lines.append(f"  {signal.name}({', '.join(signal.spec.payload)})")
            lines += [f"    {number}. {who:<32} {when}" for number, (who, when) in enumerate(rows, 1)]
    series = list(_series(members))
    if series:
        lines += ["series:", *series]
    return "\n".join(lines)


def _handlers(signal: TrainSignal, band: Band) -> Iterable[tuple[str, str]]:
    for receiver in signal.receivers_in(band):
        if isinstance(receiver, Subscription):
            yield f"handler {receiver.name}", str(receiver.trigger)
        else:
            yield f"receiver {name_of(receiver)}", "each time"


def _callbacks(members: Iterable[Member], hook: Hook) -> Iterable[tuple[str, str]]:
    for member in members:
        if hook.is_overridden(member.callback):
            yield member.name, _when(member.callback, hook)


def _when(callback: Callback, hook: Hook) -> str:
    if hook.frequency is None:
        return "each time"
    words = frequency_words(getattr(callback, hook.frequency))
    return f"{words}, as its should_fire says" if has_own_gate(callback, hook.frequency) else words


def _series(members: list[Member]) -> Iterable[str]:
    written = [key for member in members for key in member.callback.writes]
    read = [key for member in members for key in member.callback.reads]
    for key in dict.fromkeys(map(str, [*written, *read])):
        if key in keys.NO_SERIES:
            continue
        writers = [member.name for member in members if keys.covers(member.callback.writes, key)]
        readers = [member.name for member in members if key in member.callback.reads]
        readers += [
            f"{member.name} (if there)" for member in members if key in member.callback.optional_reads
        ]
        line = f"  {key:<24} written by {', '.join(writers) or 'nobody'}"
        yield f"{line}, read by {', '.join(readers)}" if readers else line
