"""The handlers of one replica: connected when it may tell them something, also to signals that come later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from trainsignal.bus import Bus, TrainSignal
from trainsignal.errors import ConfigurationError, HandlerError, UnknownSignalError, did_you_mean
from trainsignal.relay.messages import MessageError
from trainsignal.signals import CATALOGUE, SignalSpec
from trainsignal.subscription import Subscription, wanted_payload

Handler: TypeAlias = Callable[..., object]


def check_handlers(handlers: Sequence[tuple[str, Handler]]) -> None:
    """Refuse names that look like misspelt signals, and what cannot be called at a signal.

    Of a signal that a run declares itself nothing is known before it is published.

    Raises:
        UnknownSignalError: a name that is nearly that of a signal.
        HandlerError: the signal does not carry what the handler wants.
    """
    names, bus = [spec.name for spec in CATALOGUE], Bus()
    for name, handler in handlers:
        if name in names:
            bus.subscribe(name, handler)
        elif hint := did_you_mean(name, names, cutoff=0.8):
            raise UnknownSignalError(f"no signal named {name!r}.{hint}")


class Handlers:
    """Connects handlers to the bus of a replica.

    Args:
        bus: of the replica.
        handlers: name of a signal, and who is called at it; a run may declare signals of its own.
    """

    def __init__(self, bus: Bus, handlers: Sequence[tuple[str, Handler]]) -> None:
        self._bus = bus
        self._waiting = list(handlers)
        self._connected: list[Subscription] = []
        self._is_open = False

    def connect(self) -> None:
        """From now on, tell them; those of signals that are not declared yet, once they are."""
        self._is_open = True
        known = {signal.name for signal in self._bus}
        for name, handler in self._waiting:
            if name in known:
                self._connected.append(self._bus.subscribe(name, handler))
        self._waiting = [one for one in self._waiting if one[0] not in known]

    def disconnect(self) -> None:
        """Tell them nothing any more."""
        for subscription in self._connected:
            subscription.cancel()

    def signal_for(self, name: str, payload: Mapping[str, Any]) -> TrainSignal:
        """Return a signal of the run's own, declared if it is new.

        Raises:
            MessageError: the name or the payload cannot be, or the payload was another one before, or lacks
                a part that a handler wants.
        """
        if name not in {signal.name for signal in self._bus}:
            try:
                spec = SignalSpec(name, tuple(payload), "")
                for handler in [handler for wanted, handler in self._waiting if wanted == name]:
                    wanted_payload(handler, spec, "handler")
                self._bus.declare(name, spec.payload)
            except (ConfigurationError, HandlerError) as error:
                raise MessageError(str(error)) from error
            if self._is_open:
                self.connect()
        signal = self._bus.signal(name)
        if set(signal.spec.payload) != set(payload):
            raise MessageError(
                f"{name!r} came with ({', '.join(payload)}), and before with "
                f"({', '.join(signal.spec.payload)})"
            )
        return signal
