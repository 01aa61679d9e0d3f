"""What the two minibatch signals call, decided beforehand: the container's minibatch methods only look it up.

Most minibatches are plain: just the receivers that fire at every one are called, in one flat loop that the
container holds itself (a layer between costs more than the dispatch). All else is a special minibatch, of
which the index is known in advance: `special`. There each receiver is asked anew, in its place in the order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from trainsignal.binding import HookReceiver
from trainsignal.bus import Bus, TrainSignal, strong
from trainsignal.errors import RunStateError
from trainsignal.frequency import Frequency, fires, is_int, next_firing
from trainsignal.receiver import Receiver, name_of, note_place, place
from trainsignal.sampling import Sampler
from trainsignal.subscription import Subscription

Call: TypeAlias = Callable[[Any, Any, int, int], object]
"""Called with callback_data, model, epoch, minibatch."""


@dataclass(slots=True)
class Entry:
    """One receiver of a minibatch signal, in the form in which the hot path calls it.

    Attributes:
        receiver: as the signal holds it.
        call: the shortest way to call it; an object that no other entry has.
        frequency: returns when it fires, as it is now; 1 where it decides itself when called.
        is_hook: whether `call` is a callback's hook itself, so that its errors still have to be treated.
        when: its frequency at the last change of the wiring; a change of it is one.
        step: minibatches from one firing to the next; 1: it fires at each; 0: irregular, or never.
        due: the minibatch at which it fires next, where not at each; one in the past: to be found anew.
        account: where its time is added up; None: it is not one of ours.
    """

    receiver: Callable[..., Any]
    call: Call
    frequency: Callable[[], Frequency] = lambda: 1
    is_hook: bool = False
    when: Frequency = field(init=False)
    step: int = field(init=False)
    due: int = field(default=-1, init=False)
    account: Receiver | None = field(init=False)

    def __post_init__(self) -> None:
        self.when = self.frequency()
        self.step = int(self.when) if is_int(self.when) else 0
        self.account = self.receiver if isinstance(self.receiver, Receiver) else None


class HotPath:
    """The receivers of one minibatch signal.

    Attributes:
        special: the first minibatch of this epoch that is not plain; -1: the next one, whichever it is.
        always: what a plain minibatch calls. Emptied when the wiring changes, which ends a loop over it.
        data: the shared data, first argument of each call.
        model: the sender, second argument.
        latest: the minibatch of this epoch that was last done, as its publisher notes; -1: none yet.
    """

    __slots__ = (
        "_bus", "_entries", "_gated", "_is_open", "_is_stale", "_is_woken", "_on_look", "_sampler", "_signal",
        "_soon", "always", "data", "latest", "model", "special",
    )  # fmt: skip

    def __init__(self, bus: Bus, signal: TrainSignal, on_look: Callable[[], object] = lambda: None) -> None:
        """Prepare for one signal.

        Args:
            bus: whose common payload holds the shared data and the run.
            signal: `minibatch_begin` or `minibatch_end`.
            on_look: called now and then, whenever the clock is looked at.
        """
        self._bus = bus
        self._signal = signal
        self._on_look = on_look
        self._entries: tuple[Entry, ...] = ()
        self._gated: tuple[Entry, ...] = ()
        self._is_open = False
        self._is_stale = True
        self._is_woken = False
        self._sampler = Sampler(bus.clock)
        self._soon: deque[Callable[[], object]] = deque()
        self.always: list[Call] = []
        self.special = -1
        self.latest = -1
        self.data: Any = None
        self.model: Any = None

    def open(self, data: object, model: object) -> None:
        """Begin a run: from now on the signal may be published."""
        self.data, self.model, self._is_open = data, model, True
        self._sampler = Sampler(self._bus.clock)

    def close(self) -> None:
        """End the run: a further publication is refused."""
        self._is_open = False
        self.invalidate()

    def invalidate(self) -> None:
        """Look anew at who fires when, at once: also the rest of a minibatch that is being published."""
        self._is_stale = True
        self.special = -1
        self.always.clear()

    def wake(self) -> None:
        """Have the next minibatch be a special one; may be called amid anything, by any thread."""
        self._is_woken = True
        self.special = -1

    def call_soon(self, call: Callable[[], object]) -> None:
        """Have something called once, after the next minibatch or the one after; by any thread."""
        self._soon.append(call)
        self.wake()

    def new_epoch(self, minibatches: int) -> None:
        """Begin to count minibatches at 0 again, after an epoch of so many."""
        self._sampler.begin_epoch(minibatches)
        self.latest = -1
        for entry in self._gated:
            entry.due = -1
        if not self._is_stale:
            self._plan(0)

    def fire(self, epoch: int, minibatch: int) -> None:
        """Publish a special minibatch: ask every receiver, in order.

        Raises:
            RunStateError: no run is open.
        """
        if not self._is_open:
            raise RunStateError(
                f"{self._signal.name} was published outside a run: call on_train_begin(epochs) first, and "
                "nothing after on_train_end()"
            )
        if self._is_stale:
            self._compile()
        self._is_woken = False
        weight = self._sampler.weight(minibatch)
        self._fire(self._entries, epoch, minibatch, weight)
        while self._soon:
            self._soon.popleft()()
        if weight:
            self._sampler.look(minibatch)
            self._on_look()
        if not self._is_stale:
            self._plan(minibatch + 1)

    def fire_rest(self, after: Call | None, epoch: int, minibatch: int) -> None:
        """Publish to the receivers behind `after`, one of `always`, when the wiring changed amid the loop."""
        calls = [entry.call for entry in self._entries]
        position = next((index for index, call in enumerate(calls) if call is after), -1)
        self._fire(self._entries[position + 1 :], epoch, minibatch, weight=0)

    def recover(self, failed: Call | None, error: BaseException, epoch: int, minibatch: int) -> None:
        """Treat an error out of the loop over `always` as the receiver's user chose; go on behind it.

        Raises:
            BaseException: `error` itself, unless its receiver was added with another `on_error`.
        """
        entry = next((one for one in self._entries if one.call is failed), None)
        if entry is None or not isinstance(error, Exception):
            raise error
        self._failed(entry, error, epoch, minibatch)
        self.fire_rest(failed, epoch, minibatch)

    def _compile(self) -> None:
        muted = self._signal.is_muted
        connected = () if muted else tuple(self._signal.connected_for(self.model))
        self._entries = tuple(self._entry_of(one) for one in connected)
        self._gated = tuple(entry for entry in self._entries if entry.step != 1)
        self.always[:] = [entry.call for entry in self._entries if entry.step == 1]
        self._is_stale = False

    def _plan(self, minibatch: int) -> None:
        """Find the first minibatch, from `minibatch` on, that is not plain."""
        special = self._sampler.next_look
        for entry in self._gated:
            if entry.due < minibatch:
                entry.due = next_firing(entry.when, minibatch)
            if entry.due < special:  # `min` would take four times as long
                special = entry.due
        self.special = special
        if self._is_woken:  # asked after it was set: whoever wakes amid this is heard
            self.special = -1

    def _fire(self, entries: tuple[Entry, ...], epoch: int, minibatch: int, weight: int) -> None:
        """Call those that are due; `weight`: for how many minibatches the time of one in `always` stands."""
        data, model, clock = self.data, self.model, self._bus.clock
        began = clock()
        for entry in entries:
            if self._is_stale:
                if not (self._is_connected(entry) and fires(entry.frequency(), minibatch)):
                    continue
            elif entry.step != 1:
                if entry.due < minibatch:
                    entry.due = next_firing(entry.when, minibatch)
                if entry.due != minibatch:
                    continue
                entry.due += entry.step
            try:
                entry.call(data, model, epoch, minibatch)
            except Exception as error:  # noqa: BLE001  # re-raised unless its user chose otherwise
                self._failed(entry, error, epoch, minibatch)
            ended = clock()
            if entry.account is not None:
                entry.account.spent_s += (ended - began) * (weight if entry.step == 1 else 1)
            began = ended

    def _entry_of(self, receiver: Callable[..., Any]) -> Entry:
        if isinstance(receiver, HookReceiver) and receiver.is_plain:
            method = receiver.method
            if method is getattr(receiver.member.callback, receiver.hook.method):
                method = partial(method)  # no bound method, made anew by each look-up: others may hold it too
            return Entry(receiver, method, lambda: receiver.frequency, is_hook=True)
        if isinstance(receiver, Subscription) and receiver.is_plain:
            return Entry(receiver, self._call_of(receiver), lambda: receiver.trigger.frequency)
        return Entry(receiver, self._call_of(receiver))

    def _call_of(self, receiver: Callable[..., Any]) -> Call:
        """Return a way to call a receiver of any kind, also a weakly held one, with neon's arguments."""
        common = self._bus.common

        def call(data: object, model: object, epoch: int, minibatch: int) -> object:
            live = strong(receiver)
            return None if live is None else live(model, epoch=epoch, minibatch=minibatch, **common)

        return call

    def _is_connected(self, entry: Entry) -> bool:
        return any(one is entry.receiver for one in self._signal.connected_for(self.model))

    def _failed(self, entry: Entry, error: Exception, epoch: int, minibatch: int) -> None:
        where = place(self._signal.name, {"epoch": epoch, "minibatch": minibatch})
        if isinstance(entry.receiver, Receiver):
            if entry.is_hook:
                entry.receiver.failed(error, where)
                return
        else:  # one of ours has noted its own
            note_place(error, name_of(strong(entry.receiver)), where)
        raise error
