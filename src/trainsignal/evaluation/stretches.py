"""The stretches of an epoch's end: callbacks that run one after the other, and find the same model.

Pure functions over the running order; they know no request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainsignal import keys
from trainsignal.binding import HookReceiver
from trainsignal.callback import Callback
from trainsignal.frequency import fires
from trainsignal.order import runs_after_handlers

_DECLARATIONS = ("reads", "optional_reads", "writes", "needs")


def stretches(in_order: Iterable[HookReceiver], epoch: int) -> Iterator[list[Callback]]:
    """Yield the callbacks that certainly fire at an epoch's end, those of one model together.

    The first stretch begins with the model that the epoch left, and may be empty. One that may change the
    model is a stretch of its own; one that runs after the handlers begins another. A callback that decides by
    its own `should_fire` is in none, and parts them if it may change the model. What has failed on this rank
    counts, for it is alike on other ranks only if it does.

    Args:
        in_order: who runs at the ends of epochs, in running order.
        epoch: 0-based.
    """
    current: list[Callback] = []
    for receiver in in_order:
        callback = receiver.member.callback
        if receiver.is_plain and not fires(receiver.frequency, epoch):
            continue
        is_changer = may_change_model(callback)
        if is_changer or runs_after_handlers(callback):
            yield current
            current = []
        if receiver.is_plain:
            current.append(callback)
        if is_changer:
            yield current
            current = []
    yield current


def may_change_model(callback: Callback) -> bool:
    """Return whether the model may be another in or after the callback's `on_epoch_end`.

    A callback that declares anything is trusted to say so too; neon's declare nothing, and may do anything.
    """
    return keys.MODEL in callback.writes or not _declares_for_its_hook(callback)


def _declares_for_its_hook(callback: Callback) -> bool:
    """Return whether who wrote the `on_epoch_end` that runs says what it reads or writes.

    So says the class that has it, or one that derives from that: a class above knows nothing of it. The
    instance says so where the hook overrides no other; else a constructor above may have spoken for that one.
    """
    places = [vars(callback), *(vars(kind) for kind in type(callback).__mro__ if kind is not Callback)]
    hooks = [index for index, place in enumerate(places) if "on_epoch_end" in place]
    nearer = places[: 1 + hooks[0]] if len(hooks) == 1 else places[1 : 1 + min(hooks, default=0)]
    return any(name in place for place in nearer for name in _DECLARATIONS)
