"""The adapter between signals and callbacks: a publication becomes neon's positional call of a hook.

Here is the one frequency gate of callbacks. `hot_path` decides beforehand, by the same gate, what a minibatch
signal will call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trainsignal.bus import Band, Bus
from trainsignal.callback import HOOKS, Callback, Hook, has_own_gate
from trainsignal.frequency import Frequency, fires
from trainsignal.order import runs_after_handlers
from trainsignal.receiver import OnError, Receiver, place


@dataclass(frozen=True, slots=True)
class Member:
    """A callback of a container, with what its user chose for it.

    Attributes:
        callback: the callback.
        name: how messages and the wiring call it; no two members share one.
        on_error: what an exception of one of its hooks leads to.
    """

    callback: Callback
    name: str
    on_error: OnError = "raise"


class HookReceiver(Receiver):
    """One hook of one callback, as a receiver of a signal.

    Attributes:
        member: the callback.
        hook: which of its hooks.
        method: the bound hook.
        siblings: all receivers of the same callback.
        is_disabled: whether the callback failed and its user chose to go on without it.
    """

    __slots__ = ("_common", "hook", "is_disabled", "member", "method", "siblings")

    def __init__(
        self, member: Member, hook: Hook, common: Mapping[str, Any], disconnect: Callable[[], None]
    ) -> None:
        super().__init__(member.name, member.on_error, disconnect)
        self.member = member
        self.hook = hook
        self.method: Callable[..., object] = getattr(member.callback, hook.method)
        self.siblings: list[HookReceiver] = []
        self.is_disabled = False
        self._common = common

    def __call__(self, sender: object, **payload: Any) -> object:
        """Receive one publication: make neon's call if the callback fires at it."""
        data = self._common["callback_data"]
        try:
            if self.hook.frequency is not None and not self.fires(
                data, sender, payload[self.hook.arguments[-1]]
            ):
                return None
            return self.method(data, sender, *(payload[name] for name in self.hook.arguments))
        except Exception as error:  # noqa: BLE001  # `failed` re-raises unless the user chose otherwise
            self.failed(error, place(self.hook.signal, payload))
            return None

    def disable(self) -> None:
        """Call none of the callback's hooks any more, but the one that cleans up."""
        for receiver in self.siblings:
            if receiver.hook.signal != "run_closed":
                receiver.is_disabled = True
                receiver.disconnect()

    def adopt(self, member: Member) -> None:
        """Serve what its user has chosen anew for the same callback, and the hook that it has now."""
        self.member, self.name, self.on_error = member, member.name, member.on_error
        self.method = getattr(member.callback, self.hook.method)

    @property
    def frequency(self) -> Frequency:
        """The callback's frequency for this hook, as it is now."""
        return 1 if self.hook.frequency is None else getattr(self.member.callback, self.hook.frequency)

    @property
    def is_plain(self) -> bool:
        """Whether the frequency alone decides, so that it may be looked at beforehand."""
        return self.hook.frequency is None or not has_own_gate(self.member.callback, self.hook.frequency)

    def fires(self, data: object, model: object, time: int) -> bool:
        """Return whether the callback fires at `time`: the epoch, or the minibatch within it."""
        if self.is_plain:
            return fires(self.frequency, time)
        return bool(self.member.callback.should_fire(data, model, time, self.frequency))  # type: ignore[arg-type]


def bind(
    members: Iterable[Member], bus: Bus, bound_before: Iterable[HookReceiver] = ()
) -> list[HookReceiver]:
    """Connect each hook that a callback overrides to its signal, in the callbacks' band.

    Args:
        members: in running order; `run_closed` gets them in reverse.
        bus: of the run.
        bound_before: disconnected now; those whose callback is still a member are connected again, so that
            a publication in progress goes on with them.

    Returns:
        The receivers; `disconnect` of each undoes it.
    """
    in_order = list(members)
    spare = list(bound_before)
    bound: list[HookReceiver] = []
    for hook in HOOKS:
        signal = bus.signal(hook.signal)
        for member in reversed(in_order) if hook.signal == "run_closed" else in_order:
            if hook.is_overridden(member.callback):
                receiver = _spare(spare, member, hook) or _receiver(member, hook, bus)
                if not receiver.is_disabled:
                    signal.connect_in(band_of(member.callback, hook), receiver)
                bound.append(receiver)
    for receiver in bound:
        receiver.siblings = [one for one in bound if one.member.callback is receiver.member.callback]
    return bound


def band_of(callback: Callback, hook: Hook) -> Band:
    """Return where a hook runs; when the run is closed, what saves it comes before the handlers clean up."""
    is_late = runs_after_handlers(callback) and hook.signal != "run_closed"
    return Band.LAST if is_late else Band.CALLBACKS


def _spare(spare: list[HookReceiver], member: Member, hook: Hook) -> HookReceiver | None:
    """Take out of `spare` the one that serves this hook of the callback."""
    for receiver in spare:
        if receiver.member.callback is member.callback and receiver.hook is hook:
            spare.remove(receiver)
            receiver.adopt(member)
            return receiver
    return None


def _receiver(member: Member, hook: Hook, bus: Bus) -> HookReceiver:
    signal = bus.signal(hook.signal)
    receiver = HookReceiver(member, hook, bus.common, disconnect=lambda: signal.disconnect(receiver))
    return receiver


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user chose for a callback; holds it, so that no other one gets its `id`."""

    callback: Callback
    name: str | None
    on_error: OnError | None
    only_first: bool | None = None

    @property
    def is_only_first(self) -> bool:
        """Whether it runs on the first rank alone."""
        return self.callback.only_first if self.only_first is None else self.only_first


def members(
    in_order: Iterable[Callback],
    as_added: Iterable[Callback],
    choices: Mapping[int, Choice],
    on_error: OnError,
) -> list[Member]:
    """Return callbacks with what was chosen for them; of two that would share a name, the later is numbered.

    Args:
        in_order: the callbacks, as they are to be returned.
        as_added: the same, in the order in which they are numbered.
        choices: by `id` of the callback.
        on_error: for those of which nobody chose otherwise.
    """
    names: dict[int, str] = {}
    for callback in as_added:
        choice = choices.get(id(callback))
        name = choice.name if choice is not None and choice.name else type(callback).__name__
        number, unique = 1, name
        while unique in names.values():
            number += 1
            unique = f"{name} ({number})"
        names[id(callback)] = unique
    return [Member(one, names[id(one)], _policy(choices.get(id(one)), on_error)) for one in in_order]


def _policy(choice: Choice | None, default: OnError) -> OnError:
    return default if choice is None or choice.on_error is None else choice.on_error
