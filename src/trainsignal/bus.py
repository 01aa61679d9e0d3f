"""The bus: blinker's signals with an order, strong references and a closed, extensible catalogue.

The only file that imports blinker. It knows no callback and no run: it publishes to whoever is connected.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from enum import IntEnum
from time import perf_counter
from typing import Any, TypeVar, cast

import blinker
from blinker import ANY
from blinker._utilities import make_id
from blinker.base import ANY_ID

from trainsignal.errors import ConfigurationError, UnknownSignalError, did_you_mean
from trainsignal.receiver import OnError, deliver
from trainsignal.signals import CATALOGUE, COMMON_PAYLOAD, SENDER_NAMES, SignalSpec
from trainsignal.subscription import Subscription, Trigger, When

_F = TypeVar("_F", bound=Callable[..., Any])


class Band(IntEnum):
    """The groups of receivers of a signal, in the order in which they run."""

    FIRST = 0
    CALLBACKS = 1
    AFTER = 2
    LAST = 3


def strong(connected: Any) -> Callable[..., Any] | None:
    """Return the receiver behind what a signal holds of it; None where a weakly held one is gone."""
    if isinstance(connected, weakref.ref):
        reference = cast("weakref.ref[Callable[..., Any]]", connected)
        return reference()
    receiver: Callable[..., Any] = connected
    return receiver


class TrainSignal(blinker.NamedSignal):
    """A blinker signal whose receivers run in a stated order and are kept alive.

    What differs from `blinker.Signal`: receivers run by band and then as connected, also those for one
    sender among those for any; references are strong unless `weak=True`; `muted()` nests; leaving
    `connected_to` and disconnecting from one sender leave the other connections, and only those.
    """

    def __init__(self, spec: SignalSpec, on_change: Callable[[], None] = lambda: None) -> None:
        self.spec = spec
        self._bands: dict[Any, Band] = {}
        self._ordered: dict[Any, tuple[Any, ...]] = {}
        self._mutes = 0
        self._forced_mute = False
        self._on_change = on_change
        super().__init__(spec.name, f"{spec.meaning}\n\nPayload: {', '.join(spec.payload) or 'none'}.")

    @property  # an attribute in blinker, but setting it must be heard
    def is_muted(self) -> bool:
        """Whether publications reach nobody for now."""
        return self._forced_mute or self._mutes > 0

    @is_muted.setter
    def is_muted(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._forced_mute = value
        self._changed()

    def connect(self, receiver: _F, sender: Any = ANY, weak: bool = False) -> _F:
        """Connect `receiver` as blinker does, but by a strong reference unless `weak=True`."""
        return self.connect_in(Band.AFTER, receiver, sender, weak)

    def connect_in(self, band: Band, receiver: _F, sender: Any = ANY, weak: bool = False) -> _F:
        """Connect `receiver` in a band of the order; one that is connected already keeps its place."""
        self._bands.setdefault(make_id(receiver), band)
        self._changed()
        return super().connect(receiver, sender, weak)

    @contextmanager
    def connected_to(self, receiver: Callable[..., Any], sender: Any = ANY) -> Generator[None]:
        """Connect `receiver` for the `with` block; what was connected before it stays connected after it."""
        receiver_id, sender_id = make_id(receiver), ANY_ID if sender is ANY else make_id(sender)
        was_connected = receiver_id in self._by_sender.get(sender_id, ())
        self.connect(receiver, sender)
        try:
            yield
        finally:
            if not was_connected:
                self._forget(receiver_id, sender_id)
                self.receiver_disconnected.send(self, receiver=receiver, sender=sender)

    @contextmanager
    def muted(self) -> Generator[None]:
        """Reach nobody while the `with` block runs; blocks may nest."""
        self._mutes += 1
        self._changed()
        try:
            yield
        finally:
            self._mutes -= 1
            self._changed()

    def receivers_for(self, sender: Any) -> Generator[Callable[..., Any]]:
        """Yield the receivers for `sender` in order; one that is disconnected meanwhile is not called."""
        for connected in self.connected_for(sender):
            receiver = strong(connected)
            if receiver is not None:
                yield receiver

    def connected_for(self, sender: Any) -> Generator[Any]:
        """Yield what is connected for `sender` in order: a receiver, or a weak reference to one."""
        sender_id = make_id(sender)
        key = sender_id if sender_id in self._by_sender else ANY_ID
        ordered = self._ordered.get(key)
        if ordered is None:
            ordered = self._ordered[key] = self._in_order(key)
        for receiver_id in ordered:
            connected = self.receivers.get(receiver_id)
            if connected is not None:
                yield connected

    def receivers_in(self, band: Band) -> list[Callable[..., Any]]:
        """Return what is connected in one band of the order, for whichever sender."""
        connected = [receiver for one, receiver in self.receivers.items() if self._bands[one] is band]
        return [receiver for receiver in map(strong, connected) if receiver is not None]

    def _in_order(self, sender_id: Any) -> tuple[Any, ...]:
        connected = self._by_sender[ANY_ID] | self._by_sender[sender_id]
        return tuple(
            sorted((one for one in self.receivers if one in connected), key=lambda one: self._bands[one])
        )

    def _disconnect(self, receiver_id: Any, sender_id: Any) -> None:
        super()._disconnect(receiver_id, sender_id)
        # blinker keeps a receiver whose last sender has gone, and `if signal.receivers:` stays true.
        if not self._by_receiver.get(receiver_id):
            self.receivers.pop(receiver_id, None)
            self._bands.pop(receiver_id, None)
        self._changed()

    def _forget(self, receiver_id: Any, sender_id: Any) -> None:
        """Undo one connection; blinker can undo "any sender" only together with all others."""
        self._by_sender[sender_id].discard(receiver_id)
        self._by_receiver[receiver_id].discard(sender_id)
        if not self._by_receiver[receiver_id]:
            self._disconnect(receiver_id, ANY_ID)
        self._changed()

    def _clear_state(self) -> None:
        super()._clear_state()
        self._bands.clear()
        self._changed()

    def _changed(self) -> None:
        self._ordered.clear()
        self._on_change()


class Bus:
    """The named signals of one run.

    Each signal of the catalogue is an attribute: `bus.epoch_end` is a real blinker signal. There is no
    default bus: a run has its own.
    """

    train_begin: TrainSignal
    epoch_begin: TrainSignal
    minibatch_begin: TrainSignal
    minibatch_end: TrainSignal
    epoch_end: TrainSignal
    train_end: TrainSignal
    stop_requested: TrainSignal
    checkpoint_saved: TrainSignal
    run_closed: TrainSignal

    def __init__(self, *, clock: Callable[[], float] = perf_counter) -> None:
        """Make the signals of the catalogue.

        Args:
            clock: seconds, for `every="30s"` and for the time that receivers take.
        """
        self.common: dict[str, Any] = {}
        self.on_change: Callable[[], None] = lambda: None
        self.clock = clock
        self._signals: dict[str, TrainSignal] = {}
        for spec in CATALOGUE:
            self._add(spec)

    def __getattr__(self, name: str) -> TrainSignal:
        if name.startswith("_"):  # a copy that has no signals yet asks for these
            raise AttributeError(name)
        raise self._unknown(name)

    def __iter__(self) -> Iterator[TrainSignal]:
        return iter(self._signals.values())

    def signal(self, name: str) -> TrainSignal:
        """Return the signal called `name`.

        Raises:
            UnknownSignalError: there is none; the message offers near names.
        """
        try:
            return self._signals[name]
        except KeyError:
            raise self._unknown(name) from None

    def declare(self, name: str, payload: tuple[str, ...] = (), meaning: str = "") -> TrainSignal:
        """Add a signal of your own; from then on it is an attribute of the bus like the others.

        Args:
            name: an identifier that the bus does not have yet.
            payload: names of the keywords that it will be sent with.
            meaning: when it is published, for the docs and the wiring.

        Raises:
            ConfigurationError: the name is taken or no identifier, or a payload name is reserved.
        """
        if not name.isidentifier() or name.startswith("_") or name in self._signals or hasattr(Bus, name):
            raise ConfigurationError(f"cannot declare a signal {name!r}: it is taken or no identifier")
        if name in vars(self):
            raise ConfigurationError(f"cannot declare a signal {name!r}: the bus uses that name itself")
        if isinstance(payload, str):
            raise ConfigurationError(
                f"payload={payload!r}: expected a tuple of names, such as ({payload!r},)"
            )
        reserved = {*COMMON_PAYLOAD, *SENDER_NAMES, "self", "_async_wrapper", "_sync_wrapper"}
        wrong = [key for key in payload if key in reserved or not key.isidentifier()]
        if wrong:
            raise ConfigurationError(f"signal {name!r} cannot carry {wrong[0]!r}: reserved or no identifier")
        return self._add(SignalSpec(name, tuple(payload), meaning or f"Declared as {name!r}."))

    def subscribe(
        self,
        name: str,
        handler: Callable[..., object],
        *,
        every: When = None,
        at: int | list[int] | tuple[int, ...] | None = None,
        once: bool = False,
        when: Callable[..., bool] | None = None,
        first: bool = False,
        on_error: OnError = "raise",
    ) -> Subscription:
        """Call `handler` at a signal, with just the payload that its parameters name.

        Args:
            name: of the signal.
            handler: its parameters are among the signal's payload, `callback_data`, `run` and `model`.
            every: an int n fires at each nth index, by neon's rule `(index + 1) % n == 0`, where the index
                is the minibatch within its epoch or the epoch, or else the count of publications; an
                interval ("30s", "5m", a timedelta) fires at the first publication after each.
            at: a 0-based index, or several.
            once: fire one time, then unsubscribe.
            when: a predicate over payload that it names, asked last.
            first: run before the callbacks; otherwise after them.
            on_error: what an exception of the handler leads to.

        Returns:
            The subscription; `cancel()` ends it, and so does leaving it as a `with` block.

        Raises:
            UnknownSignalError: no such signal.
            HandlerError: a parameter that the signal does not carry.
            FrequencyError: `every` or `at` can never fire, or both are given.
        """
        signal = self.signal(name)
        trigger = Trigger.of(every, at, self.clock)
        subscription = Subscription(
            signal.spec, handler, trigger, when, self.common, once=once, on_error=on_error,
            disconnect=lambda: signal.disconnect(subscription),
        )  # fmt: skip
        return signal.connect_in(Band.FIRST if first else Band.AFTER, subscription)

    def publish(self, signal: TrainSignal, sender: object, /, **payload: Any) -> None:
        """Send a signal with the common payload; errors get a note of who and where.

        Raises:
            ConfigurationError: the payload is not what the signal was declared to carry.
        """
        if payload.keys() != set(signal.spec.payload):
            raise ConfigurationError(
                f"{signal.name} carries ({', '.join(signal.spec.payload)}), and was published with "
                f"({', '.join(payload)})"
            )
        if signal.receivers and not signal.is_muted:
            for receiver in signal.receivers_for(sender):
                deliver(receiver, sender, signal.spec.name, {**self.common, **payload}, self.clock)

    def publish_to_all(self, signal: TrainSignal, sender: object, /, **payload: Any) -> list[Exception]:
        """Send a signal to every receiver even where some fail; return what they raised."""
        errors: list[Exception] = []
        for receiver in () if signal.is_muted else tuple(signal.receivers_for(sender)):
            try:
                deliver(receiver, sender, signal.spec.name, {**self.common, **payload}, self.clock)
            except Exception as error:  # noqa: BLE001  # collected: the caller raises them after the last receiver
                errors.append(error)
        return errors

    def _add(self, spec: SignalSpec) -> TrainSignal:
        signal = TrainSignal(spec, on_change=lambda: self.on_change())
        self._signals[spec.name] = signal
        setattr(self, spec.name, signal)
        return signal

    def _unknown(self, name: str) -> UnknownSignalError:
        hint = did_you_mean(name, self._signals) or f" There are {', '.join(self._signals)}."
        return UnknownSignalError(
            f"no signal named {name!r}.{hint} Add one of your own with bus.declare({name!r}, payload=(...))."
        )
