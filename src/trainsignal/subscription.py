"""A handler subscribed to a signal: when it fires, and which payload it is given.

Knows neither blinker nor callbacks: `bus.subscribe` makes these.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeAlias

from trainsignal.errors import FrequencyError, HandlerError, did_you_mean
from trainsignal.frequency import (
    Frequency,
    Interval,
    check_frequency,
    fires,
    frequency_words,
    interval_seconds,
)
from trainsignal.receiver import OnError, Receiver, place
from trainsignal.signals import COMMON_PAYLOAD, SENDER_NAMES, SignalSpec

When: TypeAlias = int | str | timedelta | None


@dataclass(frozen=True, slots=True)
class Trigger:
    """Which publications a handler wants: those of a frequency, or those after each interval of time."""

    frequency: Frequency
    interval: Interval | None = None

    @classmethod
    def of(cls, every: When, at: Frequency, clock: Callable[[], float]) -> Trigger:
        """Build it from what `bus.subscribe` was given.

        Raises:
            FrequencyError: `every` or `at` is no frequency, or both were given.
        """
        if every is not None and at is not None:
            raise FrequencyError(f"every={every!r} and at={at!r}: give one of them")
        if at is not None:
            indices = at if isinstance(at, Collection) else [at]
            check_frequency(indices, "at")
            return cls(indices)
        if isinstance(every, (str, timedelta)):
            return cls(1, Interval(interval_seconds(every), clock))
        check_frequency(every, "every")
        return cls(1 if every is None else every)

    def __str__(self) -> str:
        if self.interval is not None:
            return f"every {self.interval.seconds:g} s"
        return frequency_words(self.frequency)


class Subscription(Receiver):
    """One handler at one signal; also a context manager that cancels it on leaving.

    Attributes:
        handler: the function of the user.
        trigger: at which publications it fires.
        is_plain: whether the trigger's frequency alone decides, so that it may be looked at beforehand.
    """

    __slots__ = (
        "_common",
        "_count",
        "_once",
        "_spec",
        "_wanted",
        "_when",
        "_when_wanted",
        "handler",
        "trigger",
    )

    def __init__(
        self,
        spec: SignalSpec,
        handler: Callable[..., object],
        trigger: Trigger,
        when: Callable[..., bool] | None,
        common: Mapping[str, Any],
        *,
        once: bool,
        on_error: OnError,
        disconnect: Callable[[], None],
    ) -> None:
        name = getattr(handler, "__qualname__", None) or type(handler).__qualname__
        super().__init__(name, on_error, disconnect)
        self.handler = handler
        self.trigger = trigger
        self._wanted = wanted_payload(handler, spec, "handler")
        self._when = when
        self._when_wanted = () if when is None else wanted_payload(when, spec, "when")
        self._spec = spec
        self._common = common
        self._once = once
        self._count = 0

    @property
    def is_plain(self) -> bool:
        """Whether the frequency alone decides: then nothing needs to be asked when it does not fire."""
        return self.trigger.interval is None and self._spec.index is not None

    def __call__(self, sender: object, **payload: Any) -> object:
        """Receive one publication: fire if the filters say so."""
        try:
            if not self._is_due(sender, payload):
                return None
            if self._once:
                self.cancel()
            return self.handler(**self._values(self._wanted, sender, payload))
        except Exception as error:  # noqa: BLE001  # `failed` re-raises unless the subscriber chose otherwise
            self.failed(error, place(self._spec.name, payload))
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Stop listening; may be called twice."""
        self.disconnect()

    def _is_due(self, sender: object, payload: Mapping[str, Any]) -> bool:
        index = self._count if self._spec.index is None else payload[self._spec.index]
        self._count += 1
        if not fires(self.trigger.frequency, index):
            return False
        if self._when is not None and not self._when(**self._values(self._when_wanted, sender, payload)):
            return False
        return self.trigger.interval is None or self.trigger.interval.fires()

    def _values(
        self, names: tuple[str, ...] | None, sender: object, payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the payload under `names` (None: all of it)."""
        if names is None:
            return {**self._common, **payload}
        values: dict[str, Any] = {}
        for name in names:
            if name in SENDER_NAMES:
                values[name] = sender
            elif name in payload:
                values[name] = payload[name]
            elif name in self._common:
                values[name] = self._common[name]
            else:
                raise HandlerError(
                    f"{self._spec.name} was published without {name!r}, which {self.name} wants"
                )
        return values


def wanted_payload(function: Callable[..., object], spec: SignalSpec, role: str) -> tuple[str, ...] | None:
    """Return the payload that the parameters of `function` name; None where it takes all (`**payload`).

    Raises:
        HandlerError: a parameter without default that the signal does not carry; a coroutine function.
    """
    name = getattr(function, "__qualname__", repr(function))
    if not callable(function):
        raise HandlerError(f"{role} {function!r} for {spec.name} is not callable")
    if inspect.iscoroutinefunction(function):
        raise HandlerError(f"{role} {name} is a coroutine function; a training loop calls and does not await")
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # some builtins do not tell
        parameters = None
    carried = (*spec.payload, *COMMON_PAYLOAD, *SENDER_NAMES)
    advice = f"{spec.name} carries {', '.join(carried)}"
    if parameters is None:
        raise HandlerError(f"{role} {name} does not tell its parameters: wrap it in a lambda. {advice}")
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    wanted: list[str] = []
    for one in parameters:
        if one.kind is one.POSITIONAL_ONLY or one.kind is one.VAR_POSITIONAL:
            raise HandlerError(
                f"{role} {name} has the parameter {one!s}, which cannot be given by name: wrap it in a "
                f"lambda that names what it wants. {advice}"
            )
        if one.name in carried:
            wanted.append(one.name)
        elif one.default is one.empty:
            hint = did_you_mean(one.name, carried)
            raise HandlerError(f"{role} {name} wants {one.name!r}, but {advice}.{hint}")
    return tuple(wanted)
